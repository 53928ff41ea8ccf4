"""One direction of a revision on one backend: the structure before and after, and statements on its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dormatory.authoring.extra_operations import ExecuteSql, OnlyOn
from dormatory.backends.registry import backend_by_name, dialect_by_name
from dormatory.schema.alteration import AlterStatement
from dormatory.schema.portable import DEFAULT_NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alembic.operations import MigrateOperation

    from dormatory.schema.snapshot import Column, Snapshot, Table
    from dormatory.sql.dialect import Dialect

# The namespace, None for the default one, the table and the column: one name for the same column on each backend.
ColumnKey: TypeAlias = tuple[str | None, str, str]


@dataclass(frozen=True, slots=True)
class Transition:
    """What one direction of a revision changes on one backend."""

    backend: str
    before: Snapshot
    after: Snapshot

    @property
    def dialect(self) -> Dialect:
        """The SQL of the backend."""
        return dialect_by_name(self.backend)

    def columns(self) -> Iterator[tuple[ColumnKey, Column | None, Column]]:
        """Yield the columns of the tables that stay, as they are before (None: a new one) and after."""
        old_tables = {table.id: table for table in self.before.tables}
        for table in self.after.tables:
            if table.id in old_tables:
                old = {column.name: column for column in old_tables[table.id].columns}
                for column in table.columns:
                    yield column_key(table, column.name), old.get(column.name), column

    def column_of(self, table: Table, key: ColumnKey) -> Column | None:
        """Return the column of a table that is so called, if it is there."""
        return next((it for it in table.columns if column_key(table, it.name) == key), None)


def column_key(table: Table, column: str) -> ColumnKey:
    """Return how a column is called on each backend."""
    return None if table.namespace in DEFAULT_NAMESPACES else table.namespace, table.name, column


def update_statement(transitions: Sequence[Transition], key: ColumnKey, value: str, condition: str) -> str:
    """Return an UPDATE of a column; `{}` in the value and the condition is its name."""
    namespace, table, column = key
    name = quoted_name(transitions, column)
    target = quoted_name(transitions, table)
    if namespace:
        target = f"{quoted_name(transitions, namespace)}.{target}"
    values, rows = value.replace("{}", name), condition.replace("{}", name)
    return f"UPDATE {target} SET {name} = {values} WHERE {rows}"  # noqa: S608  # it is written, not run


def quoted_name(transitions: Sequence[Transition], name: str) -> str:
    """Return a name as each of the backends reads it: in quotes where one of them needs it."""
    return max((it.dialect.quote_identifier(name) for it in transitions), key=len)


def on_each_backend(
    statements: Mapping[str, str], backends: int, *, after_changes: bool = False
) -> Iterator[MigrateOperation]:
    """Yield what executes the statement of each backend: once where it is the same on all of them.

    With `after_changes` of the structure, a server commits those first: their locks would keep others waiting.
    """
    online = {name: after_changes and backend_by_name(name).has_online_forms for name in statements}
    operations = {name: ExecuteSql([AlterStatement(sql, online[name])]) for name, sql in statements.items()}
    if len(statements) == backends and len(set(statements.values())) == len(set(online.values())) == 1:
        yield next(iter(operations.values()))
    else:
        yield from (OnlyOn(name, [operation]) for name, operation in operations.items())
