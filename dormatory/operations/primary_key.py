"""The primary key of a table: the order in which its rows are gone through, and conditions for a part of them.

Keys are read and sent as the driver has them, without the types of the table's columns: none of them is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from dormatory.errors.batches import MissingPrimaryKeyError, MissingTableError, NullKeyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, TableClause

RowKey: TypeAlias = tuple[Any, ...]


class _AsStored(UserDefinedType[Any]):
    """A type that changes no value; SQLAlchemy would give a value without a type that of the column."""

    cache_ok = True


@dataclass(frozen=True, slots=True)
class PrimaryKey:
    """The columns of a table's primary key; `stored` is the table with these alone, as the driver reads them."""

    table: TableClause
    stored: TableClause

    @classmethod
    def read(cls, connection: Connection, table: TableClause) -> PrimaryKey:
        """Read it from the database; raises BatchError if the table cannot be gone through by it."""
        inspector = sa.inspect(connection)
        if not inspector.has_table(table.name, schema=table.schema):
            raise MissingTableError(table.fullname)
        names = inspector.get_pk_constraint(table.name, schema=table.schema)["constrained_columns"]
        if not names:
            raise MissingPrimaryKeyError(table.fullname)
        stored: list[sa.ColumnClause[Any]] = [sa.column(name, _AsStored()) for name in names]
        key = cls(table, sa.table(table.name, *stored, schema=table.schema))
        columns = inspector.get_columns(table.name, schema=table.schema)
        if any(column["nullable"] for column in columns if column["name"] in names) and key._has_null(connection):
            raise NullKeyError(table.fullname, ", ".join(names))
        return key

    def last(self, connection: Connection) -> RowKey | None:
        """Return the last key, None if there are no rows."""
        backwards = [column.desc() for column in self.columns]
        row = connection.execute(sa.select(*self.columns).order_by(*backwards).limit(1)).first()
        return tuple(row) if row else None

    def following(self, connection: Connection, after: RowKey | None, end: RowKey, limit: int) -> list[RowKey]:
        """Return the next keys behind `after` and up to `end`, in their order; OFFSET would read all before them."""
        query = sa.select(*self.columns).where(_between(self.columns, after, end)).order_by(*self.columns)
        return [tuple(row) for row in connection.execute(query.limit(limit))]

    def count(self, connection: Connection, after: RowKey | None, end: RowKey) -> int:
        """Return how many rows are behind `after` and up to `end`."""
        rows = sa.select(sa.func.count()).select_from(self.stored).where(_between(self.columns, after, end))
        return connection.execute(rows).scalar_one()

    def between(self, after: RowKey | None, end: RowKey) -> ColumnElement[bool]:
        """Return the condition for the rows behind `after` and up to `end`, for statements on the table itself."""
        columns = [self.table.c.get(column.name, sa.column(column.name)) for column in self.columns]
        return _between(columns, after, end)

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """The columns of the key, in its order."""
        return list(self.stored.c)

    def _has_null(self, connection: Connection) -> bool:
        is_null = sa.or_(*(column.is_(None) for column in self.columns))
        return connection.execute(sa.select(*self.columns).where(is_null).limit(1)).first() is not None


def as_stored(value: Any) -> ColumnElement[Any]:
    """Return a part of a key as a parameter of a statement."""
    return sa.bindparam(None, value, type_=_AsStored())


def _between(columns: Sequence[ColumnElement[Any]], after: RowKey | None, end: RowKey) -> ColumnElement[bool]:
    row: ColumnElement[Any] = columns[0] if len(columns) == 1 else sa.tuple_(*columns)
    conditions = [row <= _value(end)]
    if after is not None:
        conditions.insert(0, row > _value(after))
    return sa.and_(*conditions)


def _value(key: RowKey) -> ColumnElement[Any]:
    values = [as_stored(value) for value in key]
    return values[0] if len(values) == 1 else sa.tuple_(*values)
