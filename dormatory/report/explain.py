"""The explanation of one rule."""

from __future__ import annotations

import difflib

from dormatory.checks.registry import RULES
from dormatory.checks.rule import current_rule_id
from dormatory.errors import UnknownRuleError


def rule_explanation(name: str) -> str:
    """Return a rule's meaning, the reason for it and the safe recipe; raises UnknownRuleError."""
    rule = RULES.get(current_rule_id(name, RULES))
    if rule is None:
        raise UnknownRuleError(name, similar_names=difflib.get_close_matches(name, RULES))
    parts = (f"{rule.id} ({rule.family}, {rule.severity.value}): {rule.meaning}", rule.why, rule.recipe)
    return "\n\n".join(part.strip() for part in parts if part.strip())
