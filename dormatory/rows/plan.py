"""What the rows of a table must be like, as values: its columns, unique keys, foreign keys and conditions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from dormatory.rows import candidates, unique_values
from dormatory.rows.near_duplicates import near_duplicates, normal_forms
from dormatory.sql import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.rows.column_types import ColumnType
    from dormatory.rows.unique_values import GeneratedValue
    from dormatory.schema.snapshot import Table, TableId
    from dormatory.sql.normal_form import Node

_MAX_NUMBERS_TRIED = 400  # for more values that fulfil the conditions


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A column, and the values that it may have."""

    name: str
    lower_name: str  # lower case, as in conditions
    column_type: ColumnType
    label: str
    nullable: bool
    is_generated: bool  # only the database sets it
    is_auto_numbered: bool  # the database can number it
    has_default: bool
    default: Any  # the value of a constant default, otherwise UNDECIDED
    has_constant_default: bool  # the default is the same at any time
    conditions: tuple[Node, ...]
    plausible: tuple[GeneratedValue, ...]
    extreme: tuple[GeneratedValue, ...]
    enumerated: bool  # no other values than `plausible` are allowed
    known: tuple[GeneratedValue, ...] = ()  # the first values of a column in which all must differ

    def is_allowed(self, value: GeneratedValue) -> bool:
        """Return whether no condition on this column alone surely refuses a value."""
        return not self.conditions or not any(
            evaluate.is_surely_false(condition, {self.lower_name: value}) for condition in self.conditions
        )

    def distinct_values(self, start: int) -> Iterator[GeneratedValue]:
        """Yield different values, as many as possible; with a higher `start`, the first ones are left out."""
        for number in range(start + 1, start + _MAX_NUMBERS_TRIED):
            value = unique_values.unique_value(self.column_type, self.label, number)
            if value is not None and self.is_allowed(value):
                yield value
            elif self.conditions:
                yield from self._formatted_value(number)

    def varied_values(self, start: int, *, with_extremes: bool) -> Iterator[GeneratedValue]:
        """Yield different values, each followed by one that almost equals it and, on request, by an extreme one."""
        extremes = chain(filter(self.is_allowed, normal_forms(self.column_type)), self.extreme)
        yield from self.known
        if self.known and self.enumerated:
            return
        for number, value in enumerate(self.distinct_values(start)):
            yield value
            similar = self.near_duplicates(value)
            yield from similar[number % len(similar) :][:1] if similar else ()
            if number and with_extremes:
                yield from islice(extremes, 1)

    def near_duplicates(self, value: GeneratedValue) -> list[GeneratedValue]:
        """Return the values that almost equal a value, without those that a condition on this column refuses."""
        return [it for it in near_duplicates(self.column_type, value) if self.is_allowed(it)]

    def _formatted_value(self, number: int) -> Iterator[GeneratedValue]:
        """Yield values in formats that the conditions may require, at most one of each family."""
        patterns = (candidates.matching_text(condition, number) for condition in self.conditions)
        texts = [found[1] for found in patterns if found] if self.column_type.family == "text" else []
        if self.column_type.family == "text":
            texts += candidates.formatted_texts(self.label, number)
            texts += [f"{text}{unique_values.base36(number)}" for text in self.plausible[:2] if isinstance(text, str)]
        size = self.column_type.length
        found: Iterator[GeneratedValue] = (
            text for text in texts if (not size or len(text) <= size) and self.is_allowed(text)
        )
        yield from islice(found, 1)
        if self.column_type.family in {"date", "timestamp", "timestamptz"}:
            days = (unique_values.days_later(text, number) for text in self.plausible if isinstance(text, str))
            yield from islice((text for text in days if text and self.is_allowed(text)), 1)
        if self.column_type.family in {"integer", "float", "numeric"}:
            neighbours = (value + number for value in self.plausible[:1] if isinstance(value, (int, float)))
            yield from (value for value in (*neighbours, number) if self.is_allowed(value))


@dataclass(frozen=True, slots=True, eq=False)
class UniqueKey:
    """Columns or expressions that must be unique where a predicate holds; compared by identity."""

    columns: frozenset[str]  # lower case
    expressions: tuple[Node, ...]
    predicate: Node | None
    nulls_distinct: bool


@dataclass(frozen=True, slots=True, eq=False)
class ForeignKeyPlan:
    """A foreign key; compared by identity."""

    namespace: str | None
    name: str | None
    columns: tuple[ColumnPlan, ...]
    parent: TableId
    parent_columns: tuple[str, ...]
    is_match_full: bool
    definition: str

    @property
    def is_required(self) -> bool:
        """Whether every row needs a parent."""
        return not any(column.nullable for column in self.columns)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table, and what its rows must be like."""

    table: Table
    columns: tuple[ColumnPlan, ...]
    unique_keys: tuple[UniqueKey, ...]
    foreign_keys: tuple[ForeignKeyPlan, ...]
    conditions: tuple[Node, ...]  # those on more than one column
    distinct_columns: frozenset[str]  # columns in which all values should differ

    @property
    def id(self) -> TableId:
        """The table's namespace and name."""
        return self.table.namespace, self.table.name
