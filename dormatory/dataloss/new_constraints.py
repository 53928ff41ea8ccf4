"""What a later form of a table no longer lets in: rows and values that break it could not have survived."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dormatory.dataloss import values
from dormatory.dataloss.matching import contents_of, projected
from dormatory.sql import evaluate
from dormatory.sql.expression import portable_expression
from dormatory.sql.types import NUMBERS, portable_type

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from dormatory.dataloss.contents import TableContents
    from dormatory.dataloss.model import State
    from dormatory.dataloss.values import Value
    from dormatory.schema.snapshot import Constraint, Table
    from dormatory.sql.lexer import Syntax
    from dormatory.sql.normal_form import Node

Row = dict[str, "Value"]


class Restrictions:
    """The constraints that a table has gained between two states, and how its rows stand to them."""

    def __init__(
        self,
        before: Table,
        after: Table,
        rows: TableContents,
        state: State,
        *,
        names: Mapping[str, str],
        syntax: Syntax,
    ) -> None:
        self._after, self._state, self._names, self._syntax = after, state, names, syntax
        old = {_plain(it, names) for it in before.constraints}
        self._constraints = [it for it in after.constraints if _plain(it, {}) not in old]
        indexes = {(it.keys, it.predicate) for it in before.indexes if it.unique}
        self._indexes = [it for it in after.indexes if it.unique and (it.keys, it.predicate) not in indexes]
        was_nullable = {names.get(it.name) for it in before.columns if it.nullable}
        self._required = {it.name for it in after.columns if not it.nullable and it.name in was_nullable}
        self._types = {column.name: column.type for column in after.columns}
        self._labels = {enum.name: enum.values for enum in state.schema.enums}
        self._columns = rows.columns
        self._rows = [self._renamed(dict(zip(rows.columns, row, strict=True))) for row in rows.rows]
        self._kept = contents_of(state.contents, after)

    def requires(self, column: str) -> bool:
        """Tell whether a column that could be NULL no longer can."""
        return column in self._required

    def refuses(self, place: int, column: str | None = None) -> bool:
        """Tell whether a row as it was breaks a new constraint; of all, or of those that look at one column."""
        row = self._rows[place]
        if any(row.get(name) is None for name in self._required if column in {None, name}):
            return True
        if any(self._breaks(it, row) for it in self._constraints if column is None or self._looks_at(it, column)):
            return True
        return column is not None and not self._holds(column, row.get(column))

    def crowds(self, place: int, column: str | None = None, *, alike: bool = False) -> bool:
        """Tell whether a row shared a key with others that may now stand only once.

        Asked of a whole row, it does so only if one of them was kept, or with `alike` whether it was or not.
        """
        for keys in self._keys():
            if column is not None and column.lower() not in frozenset().union(*map(evaluate.names, keys)):
                continue
            mine = self._key(self._rows[place], keys)
            if mine is None:
                continue
            if column is not None or alike:
                if Counter(self._key(row, keys) for row in self._rows)[mine] > 1:
                    return True
            elif mine in {self._key(row, keys) for row in self._now()}:
                return True
        return False

    def _keys(self) -> list[tuple[Node, ...]]:
        found = [it.columns for it in self._constraints if it.kind in {"UNIQUE", "PRIMARY KEY"}]
        named: list[tuple[Node, ...]] = [tuple(("name", name.lower()) for name in columns) for columns in found]
        return named + [tuple(portable_expression(key, self._syntax) for key in it.keys) for it in self._indexes]

    def _key(self, row: Row, keys: tuple[Node, ...]) -> Hashable:
        """Return what a unique key makes of a row, None where it lets any number stand."""
        found = []
        for node in keys:
            value = self._evaluated(node, row)
            if value is None or value is evaluate.UNKNOWN:
                return None
            found.append(values.loose(value))
        return tuple(found)

    def _evaluated(self, node: Node, row: Row) -> Any:
        with suppress(TypeError, ValueError, ArithmeticError):
            return evaluate.evaluate(node, {name.lower(): value for name, value in row.items()})
        return evaluate.UNKNOWN

    def _now(self) -> list[Row]:
        kept = self._kept
        return [] if kept is None else [dict(zip(kept.columns, row, strict=True)) for row in kept.rows]

    def _breaks(self, constraint: Constraint, row: Row) -> bool:
        if constraint.kind == "CHECK" and constraint.expression:
            found = self._evaluated(portable_expression(constraint.expression, self._syntax), row)
            return found is False or (isinstance(found, int) and not found)
        if constraint.kind == "FOREIGN KEY" and constraint.references:
            return is_orphan(constraint, row, parents_of(constraint, self._state))
        return False

    def _looks_at(self, constraint: Constraint, column: str) -> bool:
        if constraint.kind == "CHECK" and constraint.expression:
            return column.lower() in evaluate.names(portable_expression(constraint.expression, self._syntax))
        return column in constraint.columns

    def _holds(self, column: str, value: Value) -> bool:
        """Tell whether a column's type has a place for a value, in whatever form."""
        declared = self._types.get(column, "")
        family = portable_type(declared).partition("(")[0]
        labels = self._labels.get(declared.rpartition(".")[2].strip('"'))
        if labels is not None:
            return value is None or value in labels
        if isinstance(value, str) and family in NUMBERS:
            return values.number(value) is not None
        return True

    def _renamed(self, row: Row) -> Row:
        return {self._names.get(name, name): value for name, value in row.items()}


def parents_of(constraint: Constraint, state: State) -> frozenset[Hashable] | None:
    """Return the keys that a foreign key may name, none where their table is gone; None where not all were read."""
    reference = constraint.references
    if reference is None:
        return None
    target = reference.namespace, reference.table
    parents = next((it for it in state.contents.tables if (it.namespace, it.name) == target), None)
    if parents is None:
        return None if any((it.namespace, it.name) == target for it in state.schema.tables) else frozenset()
    if not parents.is_whole or not set(reference.columns) <= set(parents.columns):
        return None
    return frozenset(projected(parents, reference.columns))


def is_orphan(constraint: Constraint, row: Mapping[str, Value], parents: frozenset[Hashable] | None) -> bool:
    """Tell whether a row's foreign key surely names no row."""
    mine = [row.get(name) for name in constraint.columns]
    return parents is not None and None not in mine and tuple(map(values.loose, mine)) not in parents


def _plain(constraint: Constraint, names: Mapping[str, str]) -> tuple[object, ...]:
    """Return what a constraint demands, without its name and by the names of today."""
    columns = tuple(names.get(name, name) for name in constraint.columns)
    target = (constraint.references.table, constraint.references.columns) if constraint.references else None
    return constraint.kind, columns, constraint.expression, target
