"""One measured figure and its limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its limit, both in `unit`: ms, s, MB or x (a ratio).

    The value must not be above the limit, or below it if the limit `is_minimum`; `detail` is what it was computed from.
    """

    name: str
    value: float
    limit: float
    unit: str
    is_minimum: bool = False
    detail: str = ""

    @property
    def is_within_limit(self) -> bool:
        """Whether the promise is kept."""
        return self.value >= self.limit if self.is_minimum else self.value <= self.limit

    @property
    def value_text(self) -> str:
        """The value as people read it."""
        return f"{self.value:.3g} {self.unit}" + (f" ({self.detail})" if self.detail else "")

    @property
    def limit_text(self) -> str:
        """The limit as people read it."""
        return f"at {'least' if self.is_minimum else 'most'} {self.limit:.3g} {self.unit}"

    def __str__(self) -> str:
        return (
            f"{'ok  ' if self.is_within_limit else 'FAIL'} {self.name}: {self.value_text}, promised {self.limit_text}"
        )
