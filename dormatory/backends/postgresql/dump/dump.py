"""Write the structure of a PostgreSQL database as SQL: pg_dump's statements, arranged by table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.postgresql.dump import archive
from dormatory.backends.postgresql.dump.order import arrange
from dormatory.backends.postgresql.engine import postgresql_driver_connection
from dormatory.backends.queries import VERSION_TABLE, version_inserts
from dormatory.errors import DatabaseNotEmptyError

if TYPE_CHECKING:
    from dormatory.backends.postgresql.dump.archive_entries import ArchiveEntry
    from dormatory.backends.url import Target

# All of pg_dump's settings that change what the statements below them mean.  Every name is written with its schema.
_PREAMBLE = """\
SET client_encoding = 'UTF8';
SET check_function_bodies = false;
SET search_path = '';
"""
_RELATION_COUNT = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""


def dump_schema(target: Target, *version_tables: str) -> str:
    """Return the structure and the revision of a database as SQL (see parts.Dump)."""
    names = version_tables or (VERSION_TABLE,)
    with postgresql_driver_connection(target) as driver:
        entries = archive.read_archive(target, driver.server_version // 10000)
        tables = [it for it in entries if it.kind == "TABLE" and {it.name, f"{it.namespace}.{it.name}"} & set(names)]
        tables.sort(key=lambda entry: (entry.namespace != "public", entry.namespace, entry.name))
        rows = "".join(_revision_inserts(driver, table) for table in tables)
    blocks = ["\n".join((f"-- {block.title}", *block.statements)) + "\n" for block in arrange(entries, last=tables)]
    return "\n".join([_PREAMBLE, *blocks, rows] if rows else [_PREAMBLE, *blocks])


def load_schema(target: Target, text: str) -> None:
    """Execute a dump in an empty database (see parts.Dump).

    The driver sends it, not psql: psql executes backslash commands in its input, including shell commands
    (CVE-2025-8714); the server only knows SQL.  All statements sent at once are one transaction.
    """
    with postgresql_driver_connection(target) as driver, driver.cursor() as cursor:
        cursor.execute(_RELATION_COUNT)
        if cursor.fetchone()[0]:
            raise DatabaseNotEmptyError(str(target))
        driver.set_client_encoding("UTF8")
        cursor.execute(text)
        driver.commit()


def _revision_inserts(driver: Any, table: ArchiveEntry) -> str:
    with driver.cursor() as cursor:
        query = 'SELECT quote_literal(version_num) FROM {} ORDER BY version_num COLLATE "C"'
        cursor.execute(sql.SQL(query).format(sql.Identifier(table.namespace, table.name)))
        rows = cursor.fetchall()
    return version_inserts(DIALECT.qualified_name(table.namespace, table.name), (row[0] for row in rows))
