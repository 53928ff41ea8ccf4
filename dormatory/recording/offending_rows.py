"""The rows that a revision fails on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OffendingRows:
    """Rows that a revision cannot be applied to: what they violate, how many there are, and how to find them.

    `keys` are the first of them, as `id=7`, and empty if values must not be shown. `query` lists all of them, on the
    structure before or after the revision's changes; "" if only the first one is known. In it, `condition` holds
    for the rows of `source` AS c.
    """

    rule: str  # UNIQUE, NOT NULL, FOREIGN KEY, CHECK, or the type that a value does not fit
    table: str
    columns: tuple[str, ...]
    count: int
    keys: tuple[str, ...] = ()
    key_names: tuple[str, ...] = ()
    query: str = ""
    source: str = ""
    condition: str = ""
