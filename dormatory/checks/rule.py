"""What is known of a rule, whatever it finds."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.checks.finding import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its stable id, its family, how bad it is, what it means, why it matters, and how to do it right.

    `meaning` is a clause without a capital, `why` one or more sentences, `recipe` code in Alembic terms or commands.
    """

    id: str
    family: str
    severity: Severity
    meaning: str
    why: str
    recipe: str

    def __post_init__(self) -> None:
        """Take the indentation of our own source out of the texts."""
        object.__setattr__(self, "why", " ".join(self.why.split()))
        object.__setattr__(self, "recipe", cleandoc(self.recipe))
