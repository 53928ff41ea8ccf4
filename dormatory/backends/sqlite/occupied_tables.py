"""Puts a row into each table: SQLite lets some forms of ALTER TABLE pass only while a table is empty."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.dialect import DIALECT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import Table


def occupy_tables(connection: Connection, tables: Iterable[Table]) -> None:
    """Insert a row of ones into each table that takes it, in the transaction of the connection.

    CHECKs are ignored until the connection is closed: what matters is that there is a row.
    """
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415  # a backend loads without it

    quote = DIALECT.quote_identifier
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    for table in tables:
        columns = [column.name for column in table.columns if column.generated is None]
        names, ones = ", ".join(map(quote, columns)), ", ".join("1" * len(columns))
        with suppress(DBAPIError), connection.begin_nested():
            connection.exec_driver_sql(f"INSERT INTO {quote(table.name)} ({names}) VALUES ({ones})")  # noqa: S608
