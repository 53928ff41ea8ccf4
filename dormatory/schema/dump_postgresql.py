"""The text of a PostgreSQL database: pg_dump's statements, arranged by table."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from psycopg2 import sql

from dormatory.database.backend import backend_for
from dormatory.errors import NotEmptyError
from dormatory.schema import archive
from dormatory.schema.arrangement import arrange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.database.url import Target
    from dormatory.schema.archive import Entry

# All of pg_dump's settings that change what the statements below them mean.  Every name is written with its schema.
_PREAMBLE = """\
SET client_encoding = 'UTF8';
SET check_function_bodies = false;
SET search_path = '';
"""
_RELATIONS = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""


def dump(target: Target, version_table: str) -> str:
    """Return the text of a database; see `dormatory.schema.dump.dump`."""
    with _connected(target) as driver:
        entries = archive.read(target, driver.server_version // 10000)
        versions = [entry for entry in entries if entry.kind == "TABLE" and entry.name == version_table]
        table = min(versions, key=lambda entry: (entry.namespace != "public", entry.namespace), default=None)
        rows = _revisions(driver, table) if table else ""
    blocks = ["\n".join((f"-- {block.title}", *block.statements)) + "\n" for block in arrange(entries, last=table)]
    return "\n".join([_PREAMBLE, *blocks, rows] if rows else [_PREAMBLE, *blocks])


def load(target: Target, text: str) -> None:
    """Run a dump in an empty database; see `dormatory.schema.dump.load`.

    It goes through the driver and not through psql, which obeys backslash commands in what it reads, shell commands
    among them (CVE-2025-8714); the server only knows SQL.  All statements sent at once are one transaction.
    """
    with _connected(target) as driver, driver.cursor() as cursor:
        cursor.execute(_RELATIONS)
        if cursor.fetchone()[0]:
            raise NotEmptyError(str(target))
        driver.set_client_encoding("UTF8")
        cursor.execute(text)
        driver.commit()


def _revisions(driver: Any, table: Entry) -> str:
    """Return one INSERT for each row of Alembic's table, so that a new revision changes one line."""
    name = sql.Identifier(table.namespace, table.name)
    with driver.cursor() as cursor:
        query = 'SELECT quote_literal(version_num) FROM {} ORDER BY version_num COLLATE "C"'
        cursor.execute(sql.SQL(query).format(name))
        rows = cursor.fetchall()
        cursor.execute("SELECT format('%%I.%%I', %s::text, %s::text)", (table.namespace, table.name))
        shown = cursor.fetchone()[0]
    return "".join(f"INSERT INTO {shown} (version_num) VALUES ({row});\n" for (row,) in rows)


@contextlib.contextmanager
def _connected(target: Target) -> Iterator[Any]:
    """Open the driver's own connection, its errors told as ours, and close it."""
    backend = backend_for(target)
    engine = backend.engine(target, writing=True)
    try:
        with contextlib.closing(engine.raw_connection()) as connection:
            yield connection.driver_connection
    except engine.dialect.loaded_dbapi.Error as error:
        raise backend.explain(error, target) from error
