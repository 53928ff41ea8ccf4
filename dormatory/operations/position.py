"""How far a loop has come: kept in a table of the database, in the transaction of each batch, until the stamp.

The table is `dormatory_batches_REVISION_DIRECTION_NUMBER`, with one row. The version table is written after the last
statement of a revision; the table is dropped in that same transaction, so that there is always one of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import DropTable
from sqlalchemy.sql.expression import ClauseElement, Executable

from dormatory.errors.batches import LoopTakenOverError
from dormatory.operations.primary_key import as_stored

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection

    from dormatory.operations.calling_revision import RevisionLoop
    from dormatory.operations.primary_key import PrimaryKey, RowKey

_MAX_NAME_LENGTH = 63  # of PostgreSQL; SQLite has no limit


@dataclass(frozen=True, slots=True)
class Position:
    """Behind which key the next batch begins, None at the start, and how many rows are done."""

    key: RowKey | None = None
    rows_done: int = 0
    is_finished: bool = False


class PassingPosition:
    """A position that ends with the process: the next run begins at the first row."""

    def __init__(self) -> None:
        self._position = Position()

    def read(self) -> Position:
        """Return the position."""
        return self._position

    def write(self, position: Position) -> None:
        """Keep a new position."""
        self._position = position


class KeptPosition:
    """A position in a table of the database: a later run of the same loop continues there."""

    def __init__(self, connection: Connection, key: PrimaryKey, loop: RevisionLoop, schema: str | None) -> None:
        self._connection, self._source = connection, key
        self._key_names = [f"key_{number}" for number, _ in enumerate(key.columns, start=1)]
        columns: list[sa.ColumnClause[Any]] = [sa.column(it) for it in (*self._key_names, "rows_done", "is_finished")]
        self._table = sa.table(_table_name(loop), *columns, schema=schema)
        if not sa.inspect(connection).has_table(self._table.name, schema=schema):
            self._create(key)

    def read(self) -> Position:
        """Return the position, and hold it until the end of the transaction.

        Without the upgrade lock, under plain Alembic, another run of the revision may be in the same loop: the two take
        turns, and no row is written twice.
        """
        table = self._table
        held = self._connection.execute(table.update().values(rows_done=table.c.rows_done))
        row = self._connection.execute(sa.select(table)).mappings().first() if held.rowcount else None
        if row is None:
            raise LoopTakenOverError(self._source.table.fullname)
        key = tuple(row[name] for name in self._key_names)
        return Position(None if None in key else key, row["rows_done"], bool(row["is_finished"]))

    def write(self, position: Position) -> None:
        """Keep a new position, in the transaction of the batch that has reached it."""
        values: dict[str, Any] = {"rows_done": position.rows_done, "is_finished": int(position.is_finished)}
        if position.key is not None:
            values |= {name: as_stored(value) for name, value in zip(self._key_names, position.key, strict=True)}
        self._connection.execute(self._table.update().values(values))

    def drop_with_stamp(self, context: MigrationContext) -> None:
        """Have the table dropped when Alembic has written the revision into the version table."""

        def drop(*, ctx: MigrationContext, **_: Any) -> None:
            ctx.on_version_apply_callbacks = tuple(it for it in ctx.on_version_apply_callbacks if it is not drop)
            table = sa.Table(self._table.name, sa.MetaData(), schema=self._table.schema)
            self._connection.execute(DropTable(table, if_exists=True))

        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, drop)

    def _create(self, key: PrimaryKey) -> None:
        """Create the table with the types of the key: each part of it is stored exactly as it is."""
        keys = [column.label(name) for column, name in zip(key.columns, self._key_names, strict=True)]
        rows_done = sa.cast(sa.literal_column("0"), sa.BigInteger).label("rows_done")
        is_finished = sa.literal_column("0", sa.Integer).label("is_finished")
        none = sa.select(*keys, rows_done, is_finished).where(sa.literal_column("1") == sa.literal_column("0"))
        self._connection.execute(_CreateTableAs(self._table, none))
        self._connection.execute(self._table.insert().values(rows_done=0, is_finished=0))


def _table_name(loop: RevisionLoop) -> str:
    name = f"dormatory_batches_{loop.revision}_{loop.direction}_{loop.number}"
    if len(name.encode()) <= _MAX_NAME_LENGTH:
        return name
    digest = sha256(loop.revision.encode()).hexdigest()[:16]
    return f"dormatory_batches_{digest}_{loop.direction}_{loop.number}"


class _CreateTableAs(Executable, ClauseElement):
    """CREATE TABLE ... AS SELECT, which SQLAlchemy does not have before 2.1."""

    inherit_cache = False

    def __init__(self, table: sa.TableClause, query: sa.Select[Any]) -> None:
        self.table, self.query = table, query


@compiles(_CreateTableAs)
def _create_table_as(element: _CreateTableAs, compiler: Any, **options: Any) -> str:
    name = compiler.preparer.format_table(element.table)
    return f"CREATE TABLE {name} AS {compiler.process(element.query, **options)}"
