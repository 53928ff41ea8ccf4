"""Makes findings about a revision that was played, each at its place in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors.location import NOWHERE, Location

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding, Severity
    from dormatory.checks.rule import Rule
    from dormatory.project.script import Revision


def revision_finding(
    rule: Rule,
    revision: Revision,
    backend: str,
    message: str,
    hint: str,
    *,
    location: Location = NOWHERE,
    object_name: str = "",
    severity: Severity | None = None,
) -> Finding:
    """Return a finding where something failed, or at the downgrade where nothing did."""
    line = location.line or revision.downgrade_line or 1
    return rule.finding(
        message,
        hint,
        severity=severity,
        backend=backend,
        object_name=object_name,
        revision=revision.id,
        location=revision.whole_path(Location(location.path or str(revision.path), line)),
    )
