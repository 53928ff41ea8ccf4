"""What a project's settings do to findings: other severities, rules that are off, old revisions left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.registry import RULES
from dormatory.checks.rule import current_rule_id
from dormatory.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.settings import Settings

OFF = "off"
_FAMILIES_LIMITED_BY_SINCE = frozenset({"source", "locks", "sql"})  # their rules are about how a revision is written
_SEVERITIES = {severity.value: severity for severity in Severity}


def apply_settings(findings: Iterable[Finding], settings: Settings, history: History | None) -> Iterator[Finding]:
    """Yield the findings with the severities of the project's settings; without `since` they apply to every revision.

    `history` is None where the files make none: `since` has no meaning then. Raises UnknownRevisionError where `since`
    is not a revision of the history.
    """
    severities = _severities(settings)
    old = history.ancestors(settings.since) if history and settings.since else frozenset[str]()
    for found in findings:
        wanted = severities.get(found.rule, "")
        is_old = found.revision in old and RULES[found.rule].family in _FAMILIES_LIMITED_BY_SINCE
        if not is_old and wanted != OFF:
            yield replace(found, severity=_SEVERITIES[wanted]) if wanted else found


def refuse_unknown_rules(settings: Settings, file: Path) -> None:
    """Raise InvalidSettingError for a rule or a severity in the settings that does not exist."""
    for rule, severity in _severities(settings).items():
        if rule not in RULES:
            raise InvalidSettingError(file, f"severities names a rule {rule}, which there is not")
        if severity not in (*_SEVERITIES, OFF):
            known = ", ".join((*_SEVERITIES, OFF))
            raise InvalidSettingError(file, f"{severity} is no severity of {rule}; it may be {known}")


def _severities(settings: Settings) -> dict[str, str]:
    """Return the severity that a project gives each rule, or `off`, by the rule's present id."""
    return {current_rule_id(rule, RULES): severity for rule, severity in settings.severities}
