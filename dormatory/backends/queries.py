"""Queries before and after a migration, for the parts that use SQLAlchemy and those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION_TABLE = "alembic_version"  # Alembic's own name for it

VERSIONS_QUERY = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608  # a constant


def version_inserts(table: str, versions: Iterable[str]) -> str:
    """Return one INSERT for each row of Alembic's table, so that a new revision changes one line of a dump.

    `table` is a name in SQL, `versions` are literals in SQL.
    """
    return "".join(f"INSERT INTO {table} (version_num) VALUES ({version});\n" for version in versions)  # noqa: S608  # SQL


# SQLite: temporary tables of batch rebuilds, and rows that refer to missing rows.
LEFTOVER_TABLES_QUERY = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '\\_alembic\\_tmp\\_%' ESCAPE '\\'"
)
DANGLING_ROWS_QUERY = "PRAGMA foreign_key_check"

# PostgreSQL: indexes that a failed CREATE INDEX CONCURRENTLY left behind.
INVALID_INDEXES_QUERY = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname NOT LIKE 'pg\\_%%'
 ORDER BY 1
"""
