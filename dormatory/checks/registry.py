"""Every rule there is, and the one way to make a finding of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dormatory.checks.finding import Finding, Severity
from dormatory.checks.rule import Rule
from dormatory.checks.rules import history, locks, played, schema, source

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAMILIES", "RULES", "Rule", "finding", "severity_at_most_warning"]

RULES: Mapping[str, Rule] = {
    rule.id: rule for module in (history, source, played, schema, locks) for rule in module.RULES
}
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(rule.family for rule in RULES.values()))


def finding(rule: str, message: str, hint: str, *, severity: Severity | None = None, **where: Any) -> Finding:
    """Return a finding of a rule, as bad as the catalogue says unless it is told otherwise for this one.

    `where` are the other fields of a finding. Raises KeyError for a rule that is not in the catalogue.
    """
    return Finding(rule, severity or RULES[rule].severity, message, hint, **where)


def severity_at_most_warning(rule: str) -> Severity:
    """Return the severity of a rule, an error taken down to a warning."""
    severity = RULES[rule].severity
    return Severity.WARNING if severity is Severity.ERROR else severity
