"""One measured figure and what was promised of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its limit, both in `unit`: ms, s or x (a ratio)."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.limit

    @property
    def shown(self) -> str:
        """The value as people read it."""
        return f"{self.value:.3g} {self.unit}"

    @property
    def promised(self) -> str:
        """The limit as people read it."""
        return f"at most {self.limit:g} {self.unit}"

    def __str__(self) -> str:
        return f"{'ok  ' if self.is_kept else 'FAIL'} {self.name}: {self.shown} ({self.promised})"
