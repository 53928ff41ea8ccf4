"""The state of a synthetic history between two revisions, and how a revision's lines are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.synthetic_tables import BIG_INTEGER, BOOLEAN, INTEGER, SHORT_TEXT, TEXT, UUID, Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_OWNERS = ("tenant", "room", "lease", "building", "invoice", "payment", "visitor", "contract", "supplier", "inspection")
_THINGS = (
    "account", "address", "alert", "badge", "booking", "budget", "comment", "contact", "deposit", "device", "document",
    "event", "fee", "file", "guest", "item", "key", "locker", "meter", "message", "notice", "offer", "permit", "photo",
    "plan", "quote", "rating", "reading", "refund", "repair", "report", "rule", "schedule", "shift", "status_change",
    "survey", "tag", "task", "template", "ticket",
)  # fmt: skip
_TYPES = (
    SHORT_TEXT, SHORT_TEXT, TEXT, INTEGER, BIG_INTEGER, BOOLEAN, "sa.Date()", "sa.DateTime()",
    "sa.DateTime(timezone=True)",
    "sa.Numeric(precision=10, scale=2)", "sa.Float()", "sa.JSON()", "sa.String(length=200)", UUID,
)  # fmt: skip
_NAMES = (
    "label", "note", "amount", "floor", "begun", "ended", "email", "phone", "colour", "weight", "origin", "remark",
    "level", "source", "title", "city", "street", "quantity", "archived_at", "visible", "score", "payload", "external",
)  # fmt: skip
_TABLES_PER_AREA = 8


@dataclass(frozen=True, slots=True)
class Change:
    """What one revision does: a title, and the lines of both functions."""

    title: str
    upgrade: list[str]
    downgrade: list[str]


class SyntheticSchema:
    """The tables as the next revision finds them.

    A project grows by areas: a table refers to others of its own, and to those of the first, which all know. Were any
    table to refer to any other, Alembic's batches, which reflect whatever can be reached, would be most of the time.
    """

    def __init__(self, rng: Random) -> None:
        self.rng, self.tables = rng, list[Table]()
        self._table_names = _unused_table_names()
        self._column_count = self._table_count = 0

    def add(self, table: Table, area: int | None = None) -> None:
        """Take in a table that a revision creates, in the area that is under construction unless one is given."""
        table.area = self.area if area is None else area
        self._table_count += 1
        self.tables.append(table)

    @property
    def area(self) -> int:
        """The area that is under construction."""
        return self._table_count // _TABLES_PER_AREA

    def parent_candidates(self, area: int) -> list[Table]:
        """Return what a table of an area may refer to."""
        return [table for table in self.tables if table.area in (0, area) and len(table.key) == 1]

    def new_table_name(self) -> str:
        """Return a name that no table ever had."""
        return next(self._table_names)

    def new_column_name(self, table: Table) -> str:
        """Return a name that no column of the table ever had."""
        self._column_count += 1
        name = self.rng.choice(_NAMES)
        return f"{name}_{self._column_count}" if any(name in column.name for column in table.columns) else name

    def new_column(self, table: Table) -> Column:
        """Return a new column of some type, sometimes required with a default."""
        kind = self.rng.choice(_TYPES)
        column = Column(self.new_column_name(table), kind)
        defaults = {INTEGER: 'sa.text("0")', BOOLEAN: "sa.false()", SHORT_TEXT: "\"'none'\""}
        if kind in defaults and self.rng.random() < 0.5:
            column.nullable, column.default = False, defaults[kind]
        return column

    def random_table(self, *, key: str | None = None) -> Table | None:
        """Return a table, with a single key, of one type if asked for."""
        found = [it for it in self.tables if len(it.key) == 1 and key in (None, it.column(it.key[0]).type)]
        return self.rng.choice(found) if found else None


def _unused_table_names() -> Iterator[str]:
    yield from _THINGS
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        yield from (f"{owner}_{thing}{suffix}" for thing in _THINGS for owner in _OWNERS)
        number += 1


def batch_lines(table: Table, *lines: str) -> list[str]:
    """Return the lines that change a table in one batch."""
    return [f'with op.batch_alter_table("{table.name}") as batch:', *(f"    {line}" for line in lines)]


def add_column_lines(table: Table, *columns: Column, nullable: bool | None = None) -> list[str]:
    """Return the lines that add columns, as both kinds of database can without a batch."""
    return [f'op.add_column("{table.name}", {column.source(nullable=nullable)})' for column in columns]


def drop_column_lines(table: Table, *columns: Column) -> list[str]:
    """Return the lines that drop columns which nothing else names."""
    return [f'op.drop_column("{table.name}", "{column.name}")' for column in reversed(columns)]


def core_table_line(table: Table, *names: str) -> str:
    """Return the line that names a table inside a revision, as this revision knows it."""
    columns = ", ".join(f'sa.column("{name}", {table.column(name).type})' for name in names)
    return f'{table.name} = sa.table("{table.name}", {columns})'
