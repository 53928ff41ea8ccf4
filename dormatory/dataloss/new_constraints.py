"""Which rows and values a later form of a table refuses: what it forces a revision to give up."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dormatory.dataloss import values
from dormatory.dataloss.matching import complete_contents, projection
from dormatory.sql import evaluate
from dormatory.sql.expression import portable_expression
from dormatory.sql.types import NUMBER_FAMILIES, portable_type

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.model import DatabaseState
    from dormatory.dataloss.values import CellValue
    from dormatory.schema.snapshot import Constraint, Table
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.normal_form import Node

RowValues = dict[str, "CellValue"]
_EVALUATION_ERRORS = (TypeError, ValueError, ArithmeticError)


class NewConstraints:
    """The constraints that a table has gained between two states, and whether its earlier rows fulfil them."""

    def __init__(
        self,
        table_before: Table,
        table_after: Table,
        rows: TableContents,
        state_after: DatabaseState,
        *,
        column_names: Mapping[str, str],
        dialect: Dialect,
    ) -> None:
        self._state_after, self._dialect = state_after, dialect
        old = {_nameless_definition(it, column_names) for it in table_before.constraints}
        self._constraints = [it for it in table_after.constraints if _nameless_definition(it, {}) not in old]
        indexes = {(it.keys, it.predicate) for it in table_before.indexes if it.unique}
        self._indexes = [it for it in table_after.indexes if it.unique and (it.keys, it.predicate) not in indexes]
        was_nullable = {column_names.get(it.name) for it in table_before.columns if it.nullable}
        self._required = {it.name for it in table_after.columns if not it.nullable and it.name in was_nullable}
        self._types = {column.name: column.type for column in table_after.columns}
        self._enum_values = {enum.name: enum.values for enum in state_after.schema.enums}
        names_after = [column_names.get(name, name) for name in rows.columns]
        self._rows = [dict(zip(names_after, row, strict=True)) for row in rows.rows]
        self._contents_after = complete_contents(state_after.contents, table_after)

    def is_required(self, column: str) -> bool:
        """Return whether a column could be NULL before and cannot now."""
        return column in self._required

    def is_violated_by(self, row_index: int, column: str | None = None) -> bool:
        """Return whether a row, as it was, violates a new constraint: any of them, or one on the given column."""
        row = self._rows[row_index]
        if any(row.get(name) is None for name in self._required if column in {None, name}):
            return True
        if any(self._is_violated(it, row) for it in self._constraints if column is None or self._is_about(it, column)):
            return True
        return column is not None and not self._can_hold(column, row.get(column))

    def shared_key(self, row_index: int, column: str | None = None, *, even_if_none_kept: bool = False) -> str:
        """Return the key, unique now, that a row shared with other rows; "" if there is none.

        If no column is given, one of these rows must have been kept, unless `even_if_none_kept`.
        """
        for text, keys in self._unique_keys:
            if column is not None and column.lower() not in frozenset().union(*map(evaluate.referenced_columns, keys)):
                continue
            key = self._key_values(self._rows[row_index], keys)
            if key is None:
                continue
            if column is not None or even_if_none_kept:
                if Counter(self._key_values(row, keys) for row in self._rows)[key] > 1:
                    return text
            elif key in {self._key_values(row, keys) for row in self._rows_after()}:
                return text
        return ""

    @cached_property
    def _unique_keys(self) -> list[tuple[str, tuple[Node, ...]]]:
        """Each new unique key, as a text and as expressions."""
        found = [it.columns for it in self._constraints if it.kind in {"UNIQUE", "PRIMARY KEY"}]
        nodes: list[tuple[str, tuple[Node, ...]]] = [
            (", ".join(columns), tuple(("name", name.lower()) for name in columns)) for columns in found
        ]
        return nodes + [
            (", ".join(it.keys), tuple(portable_expression(key, self._dialect) for key in it.keys))
            for it in self._indexes
        ]

    def _key_values(self, row: RowValues, keys: tuple[Node, ...]) -> Hashable:
        """Return the values of a unique key in a row, None if they may occur any number of times."""
        found = []
        for node in keys:
            value = _evaluate(node, row)
            if value is None or value is evaluate.UNDECIDED:
                return None
            found.append(values.canonical_form(value))
        return tuple(found)

    def _rows_after(self) -> list[RowValues]:
        kept = self._contents_after
        return [] if kept is None else [dict(zip(kept.columns, row, strict=True)) for row in kept.rows]

    def _is_violated(self, constraint: Constraint, row: RowValues) -> bool:
        if constraint.kind == "CHECK" and constraint.expression:
            condition = portable_expression(constraint.expression, self._dialect)
            with suppress(*_EVALUATION_ERRORS):
                return evaluate.is_surely_false(condition, _with_small_letters(row))
            return False
        if constraint.kind == "FOREIGN KEY" and constraint.references:
            return is_dangling(constraint, row, parent_keys(constraint, self._state_after))
        return False

    def _is_about(self, constraint: Constraint, column: str) -> bool:
        if constraint.kind == "CHECK" and constraint.expression:
            condition = portable_expression(constraint.expression, self._dialect)
            return column.lower() in evaluate.referenced_columns(condition)
        return column in constraint.columns

    def _can_hold(self, column: str, value: CellValue) -> bool:
        """Return whether a column's type can hold a value, in whatever form."""
        declared_type = self._types.get(column, "")
        family = portable_type(declared_type).partition("(")[0]
        labels = self._enum_values.get(declared_type.rpartition(".")[2].strip('"'))
        if labels is not None:
            return value is None or value in labels
        if isinstance(value, str) and family in NUMBER_FAMILIES:
            return values.as_number(value) is not None
        return True


def parent_keys(constraint: Constraint, state: DatabaseState) -> frozenset[Hashable] | None:
    """Return the keys that a foreign key may refer to, none if their table was dropped; None if not all were read."""
    reference = constraint.references
    if reference is None:
        return None
    target = reference.table_id
    parents = next((it for it in state.contents.tables if it.id == target), None)
    if parents is None:
        return None if any(it.id == target for it in state.schema.tables) else frozenset()
    if not parents.is_whole or not set(reference.columns) <= set(parents.columns):
        return None
    return frozenset(projection(parents, reference.columns))


def is_dangling(constraint: Constraint, row: Mapping[str, CellValue], parents: frozenset[Hashable] | None) -> bool:
    """Return whether a row's foreign key surely refers to no row."""
    key = [row.get(name) for name in constraint.columns]
    return parents is not None and None not in key and tuple(map(values.canonical_form, key)) not in parents


def _nameless_definition(constraint: Constraint, names: Mapping[str, str]) -> tuple[object, ...]:
    """Return what a constraint demands, without its name and with the new names of its columns."""
    columns = tuple(names.get(name, name) for name in constraint.columns)
    target = (constraint.references.table, constraint.references.columns) if constraint.references else None
    return constraint.kind, columns, constraint.expression, target


def _evaluate(node: Node, row: RowValues) -> Any:
    with suppress(*_EVALUATION_ERRORS):
        return evaluate.evaluate(node, _with_small_letters(row))
    return evaluate.UNDECIDED


def _with_small_letters(row: RowValues) -> RowValues:
    return {name.lower(): value for name, value in row.items()}
