"""What is the same in all findings of a rule: its id, meaning, reason and recipe."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc

from dormatory.checks.finding import Finding, Severity
from dormatory.errors.location import NOWHERE, Location


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its lasting id, its family, how bad it is, what it means, why it matters, and how to do it right.

    `meaning` is a clause without a capital, `why` one or more sentences, `recipe` code in Alembic terms or commands.
    `replaces` names rules of squawk that this rule decides better, because it measures what the server did.
    """

    id: str
    family: str
    severity: Severity
    meaning: str
    why: str
    recipe: str
    replaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Remove the indentation of the source code from the texts."""
        object.__setattr__(self, "why", " ".join(self.why.split()))
        object.__setattr__(self, "recipe", cleandoc(self.recipe))

    def finding(  # the fields of a finding, each by its name
        self,
        message: str,
        hint: str,
        *,
        severity: Severity | None = None,
        backend: str = "",
        object_name: str = "",
        revision: str = "",
        location: Location = NOWHERE,
        end_line: int = 0,
        sql: str = "",
    ) -> Finding:
        """Return a finding of this rule; `severity` replaces the rule's own."""
        return Finding(
            self.id, severity or self.severity, message, hint, backend, object_name, revision, location, end_line, sql
        )
