"""What is the same in all findings of a rule: its id, meaning, reason and recipe."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING

from dormatory.checks.finding import Finding, Severity
from dormatory.errors.location import NOWHERE, Location

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its lasting id, its family, how bad it is, what it means, why it matters, and how to do it right.

    `meaning` is a clause without a capital, `why` one or more sentences, `recipe` code in Alembic terms or commands.
    `replaces` names rules of squawk that this rule decides better, because it measures what the server did.
    `former_ids` are ids that it had before: settings, comments and accepted.toml may still say them.
    """

    id: str
    family: str
    severity: Severity
    meaning: str
    why: str
    recipe: str
    replaces: tuple[str, ...] = ()
    former_ids: tuple[str, ...] = ()

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


def current_rule_id(name: str, rules: Mapping[str, Rule]) -> str:
    """Return the present id of a rule that is named by a former one; any other name as it is."""
    return next((rule.id for rule in rules.values() if name in rule.former_ids), name)
