"""Rebuilds a table on SQLite without reading the tables that it refers to.

Alembic reflects a table before it rebuilds it, and with it every table that its foreign keys refer to. Nothing of those
gets into the new table, and reading them takes longer than the rebuild. Alembic uses this class as soon as this module
is imported: the last class that names a dialect is used for that dialect.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy.exc import SAWarning

from dormatory.backends import driver

if TYPE_CHECKING:
    from alembic.operations.batch import BatchOperationsImpl
    from sqlalchemy import Connection

# Where such an index is lost by a rebuild, the next comparison of structures says so; it is restored, or reported.
warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index", SAWarning)

# Whether all tables exist that the foreign keys of a table refer to, directly or not; reflecting a missing one fails.
_REFERENCED_TABLES_EXIST = """
    WITH RECURSIVE reached(name) AS (
        SELECT ? UNION SELECT key."table" FROM reached, pragma_foreign_key_list(reached.name) AS key
    )
    SELECT NOT EXISTS (
        SELECT 1 FROM reached WHERE lower(name) NOT IN (SELECT lower(name) FROM sqlite_master)
    )
"""


class SQLiteBatchImpl(SQLiteImpl):
    """Alembic's SQLite, except for what it reflects."""

    __dialect__ = "sqlite"

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Return whether ALTER TABLE is not enough; Alembic calls it for each batch, before it reflects the table."""
        is_needed = super().requires_recreate_in_batch(batch_op)
        is_plain = batch_op.schema is None and "resolve_fks" not in batch_op.reflect_kwargs
        if (
            is_needed
            and is_plain
            and self.connection is not None
            and not self.as_sql  # then there is no database to read
            and _has_referenced_tables(self.connection, batch_op.table_name)
        ):
            batch_op.reflect_kwargs = {**batch_op.reflect_kwargs, "resolve_fks": False}
        return is_needed


def _has_referenced_tables(connection: Connection, table: str) -> bool:
    ((answer,),) = driver.fetch_rows(driver.open_cursor(connection), _REFERENCED_TABLES_EXIST, (table,))
    return bool(answer)
