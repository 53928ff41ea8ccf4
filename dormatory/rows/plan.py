"""What there is to know about a table before rows are made for it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from dormatory.rows import candidates, unique_values
from dormatory.sql import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.rows.column_types import Kind
    from dormatory.rows.unique_values import Value
    from dormatory.schema.snapshot import Table
    from dormatory.sql.normal_form import Node

_TRIED = 400  # numbers to try for one more value that passes the conditions


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A column, and the values it may be given."""

    name: str
    word: str  # in small letters, as conditions name it
    kind: Kind
    label: str
    nullable: bool
    left_out: bool  # the database alone fills it
    numbered: bool  # the database would number it
    has_default: bool
    default: Any  # of a constant: what it is; otherwise UNKNOWN
    is_steady: bool  # the default is the same at any time
    conditions: tuple[Node, ...]
    plausible: tuple[Value, ...]
    extreme: tuple[Value, ...]
    enumerated: bool  # `plausible` are all the values there are

    def passes(self, value: Value) -> bool:
        """Tell whether no condition on this column alone surely refuses a value."""
        return not self.conditions or not any(
            evaluate.refuses(condition, {self.word: value}) for condition in self.conditions
        )

    def fresh(self, start: int) -> Iterator[Value]:
        """Yield different values, as many as there are; those after `start` differ from the ones before it."""
        for number in range(start + 1, start + _TRIED):
            value = unique_values.fresh(self.kind, self.label, number)
            if value is not None and self.passes(value):
                yield value
            elif self.conditions:
                yield from self._shaped(number)

    def _shaped(self, number: int) -> Iterator[Value]:
        """Yield at most one value, of a shape that the conditions ask for."""
        patterns = (candidates.matching(condition, number) for condition in self.conditions)
        texts = [found[1] for found in patterns if found] if self.kind.family == "text" else []
        if self.kind.family == "text":
            texts += candidates.forms(self.label, number)
            texts += [f"{text}{unique_values.based(number)}" for text in self.plausible[:2] if isinstance(text, str)]
        size = self.kind.length
        found: Iterator[Value] = (text for text in texts if (not size or len(text) <= size) and self.passes(text))
        yield from islice(found, 1)
        if self.kind.family in {"date", "timestamp", "timestamptz"}:
            days = (unique_values.later(text, number) for text in self.plausible if isinstance(text, str))
            yield from islice((text for text in days if text and self.passes(text)), 1)
        if self.kind.family in {"integer", "float", "numeric"}:
            near = (value + number for value in self.plausible[:1] if isinstance(value, (int, float)))
            yield from (value for value in (*near, number) if self.passes(value))


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What must be unique: columns or expressions, where a predicate holds. It is equal to itself alone."""

    columns: frozenset[str]  # in small letters
    parts: tuple[Node, ...]
    predicate: Node | None
    nulls_distinct: bool


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A foreign key; it is equal to itself alone."""

    namespace: str | None
    name: str | None
    columns: tuple[ColumnPlan, ...]
    parent: tuple[str | None, str]
    referred: tuple[str, ...]
    is_full: bool
    definition: str

    @property
    def is_required(self) -> bool:
        """Tell whether there is no row without a parent."""
        return not any(column.nullable for column in self.columns)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table, and what its rows must be like."""

    table: Table
    columns: tuple[ColumnPlan, ...]
    keys: tuple[Key, ...]
    links: tuple[Link, ...]
    conditions: tuple[Node, ...]  # those on more than one column
    apart: frozenset[str]  # columns whose values had better all be different

    @property
    def id(self) -> tuple[str | None, str]:
        """The table's namespace and name."""
        return self.table.namespace, self.table.name
