"""Columns that become NOT NULL: the rows that exist get a value first, or the developer is asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alembic.operations.ops import AddColumnOp, AlterColumnOp, ModifyTableOps

from dormatory.authoring.extra_operations import Undecided
from dormatory.authoring.transition import column_key, on_each_backend, update_statement
from dormatory.schema.portable import DEFAULT_NAMESPACES
from dormatory.sql.types import portable_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alembic.operations import MigrateOperation

    from dormatory.authoring.model_values import ModelValues
    from dormatory.authoring.transition import ColumnKey, Transition
    from dormatory.schema.snapshot import Column, Table

# What a column that a downgrade adds again holds: the upgrade dropped its values.
_EMPTY_VALUES = {
    "integer": "0",
    "float": "0",
    "numeric": "0",
    "text": "''",
    "varchar": "''",
    "char": "''",
    "boolean": "false",
    "date": "'1970-01-01'",
    "timestamp": "'1970-01-01 00:00:00'",
    "time": "'00:00:00'",
}


@dataclass(frozen=True, slots=True)
class Steps:
    """A column is added as a nullable one, gets its values, and is NOT NULL then."""

    adding: MigrateOperation
    fill: tuple[MigrateOperation, ...]
    requiring: MigrateOperation


class RequiredColumns:
    """The columns that one direction of a revision makes NOT NULL in tables that may hold rows."""

    def __init__(self, transitions: Sequence[Transition], values: ModelValues, *, is_downgrade: bool) -> None:
        self._transitions, self._values, self._is_downgrade = transitions, values, is_downgrade
        self._columns: dict[ColumnKey, dict[str, tuple[Column | None, Column]]] = {}
        for transition in transitions:
            for key, old, new in transition.columns():
                if not new.nullable and (old.nullable if old else _is_empty_when_added(new)):
                    self._columns.setdefault(key, {})[transition.backend] = old, new

    def fills_of_old_columns(self) -> Iterator[MigrateOperation]:
        """Yield what fills the columns that exist already."""
        for key, on_backends in self._columns.items():
            if any(old for old, _ in on_backends.values()):
                yield from self._fill(key)

    def steps(self, operation: MigrateOperation) -> Steps | None:
        """Return how such a column is added, instead of by an operation that rows do not survive; None for another."""
        match operation:
            case ModifyTableOps(ops=[AddColumnOp() as adding], table_name=table, schema=schema):
                namespace = None if schema in DEFAULT_NAMESPACES else schema
                key = (namespace, table, adding.column.name)
                if key in self._columns and not adding.column.nullable:
                    column = adding.column._copy()  # noqa: SLF001  # as Alembic does
                    column.nullable = True
                    requiring = AlterColumnOp(
                        table, column.name, schema=schema, existing_type=column.type, modify_nullable=False
                    )
                    return Steps(
                        ModifyTableOps(table, [AddColumnOp(table, column, schema=schema)], schema=schema),
                        tuple(self._fill(key, after_changes=True)),
                        ModifyTableOps(table, [requiring], schema=schema),
                    )
        return None

    def _fill(self, key: ColumnKey, *, after_changes: bool = False) -> Iterator[MigrateOperation]:
        """Yield an UPDATE of the rows that have no value yet, or the question for it."""
        on_backends = self._columns[key]
        values = {name: self._value(key, name) for name in on_backends}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values) or self._must_differ(key):
            yield Undecided(self._question(key), after_changes=after_changes)
            return
        statements = {
            name: update_statement(self._transitions, key, value, "{} IS NULL") for name, value in known.items()
        }
        yield from on_each_backend(statements, len(self._transitions), after_changes=after_changes)

    def _value(self, key: ColumnKey, backend: str) -> str | None:
        """Return what rows get: the default of the database, that of the models, or nothing in particular."""
        old, new = self._columns[key][backend]
        if new.default is not None:
            return new.default
        value = self._values.default_value(key, backend)
        if value is None and self._is_downgrade and old is None and not self._is_restricted(key):
            return _EMPTY_VALUES.get(portable_type(new.type).partition("(")[0])
        return value

    def _tables(self, key: ColumnKey) -> Iterator[Table]:
        for transition in self._transitions:
            yield from (table for table in transition.after.tables if column_key(table, key[2]) == key)

    def _must_differ(self, key: ColumnKey) -> bool:
        """Return whether no two rows may have the same value in a column."""
        return any(
            it.columns == (key[2],) and it.kind in {"PRIMARY KEY", "UNIQUE"}
            for table in self._tables(key)
            for it in table.constraints
        ) or any(it.unique and it.keys == (key[2],) and not it.predicate for t in self._tables(key) for it in t.indexes)

    def _is_restricted(self, key: ColumnKey) -> bool:
        """Return whether a foreign key or a CHECK says which values a column may have."""
        return any(
            key[2] in it.columns or (it.expression and key[2] in it.expression)
            for table in self._tables(key)
            for it in table.constraints
        )

    def _question(self, key: ColumnKey) -> str:
        place = ".".join(filter(None, key))
        example = update_statement(self._transitions, key, "...", "{} IS NULL")
        reason = "is required again" if self._is_downgrade else "becomes required"
        if self._must_differ(key):
            note = "; no two of them may be equal"
        elif default := self._values.computed_default(key):
            note = f"; for new rows Python computes it ({default})"
        else:
            note = ""
        return (
            f"{place} {reason}: write here what the rows without a value get{note}, in place of this line: "
            f'op.execute("{example}")'
        )


def _is_empty_when_added(column: Column) -> bool:
    """Return whether the rows that exist have no value in a column that is added."""
    return column.default is None and column.generated is None and column.identity is None
