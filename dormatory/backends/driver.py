"""Statements and connections of the driver itself, for what SQLAlchemy is too slow or has no function.

A statement that goes straight to the driver costs half the time, and SQLAlchemy's event listeners do not see it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from dormatory.errors import DormatoryError


def open_cursor(connection: Connection) -> Any:
    """Return a new cursor of the driver, in the transaction of the connection, which begins one if it has none.

    What is executed without parameters is sent as it is: percent signs and colons mean themselves.
    """
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.cursor()


def execute_verbatim(connection: Connection, statement: str) -> None:
    """Execute a statement as it is: SQLAlchemy's drivers would take a percent sign in it for a parameter."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def fetch_rows(cursor: Any, query: str, *parameters: Any) -> Sequence[Any]:
    """Return the rows of a query on a cursor of the driver, and close the cursor."""
    try:
        cursor.execute(query, *parameters)
        rows: Sequence[Any] = cursor.fetchall()
    finally:
        cursor.close()
    return rows


def sql_state(error: BaseException | None) -> str:
    """Return the SQLSTATE of a driver's error, "" if it has none; psycopg2 calls it pgcode."""
    return str(getattr(error, "pgcode", None) or getattr(error, "sqlstate", None) or "")


def is_transaction_aborted(error: BaseException | None) -> bool:
    """Return whether a statement was refused because an earlier one of its transaction has failed."""
    return sql_state(error) == "25P02"


@contextlib.contextmanager
def raw_connection(engine: Engine, explain: Callable[[BaseException], DormatoryError]) -> Iterator[Any]:
    """Open a connection of the driver, and close it at the end: what was not committed is rolled back.

    An error of the driver is raised as what `explain` returns for it.
    """
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415  # an engine is there, so SQLAlchemy is loaded

    try:
        with contextlib.closing(engine.raw_connection()) as connection:
            yield connection.driver_connection
    except (engine.dialect.loaded_dbapi.Error, DBAPIError) as error:  # SQLAlchemy queries a new server's version first
        raise explain(error) from error


@contextlib.contextmanager
def explained_connection(
    engine: Engine, explain: Callable[[BaseException], DormatoryError | None]
) -> Iterator[Connection]:
    """Connect for the length of the block; an error of the driver or of SQLAlchemy is raised as what `explain` returns.

    It passes as it is if that is None.
    """
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # an engine is there, so SQLAlchemy is loaded

    driver_error = engine.dialect.loaded_dbapi.Error
    try:
        with engine.connect() as connection:
            try:
                yield connection
            except driver_error:  # SQLAlchemy has not seen it: a rollback on a lost connection would print a traceback
                connection.invalidate()
                raise
    except (driver_error, SQLAlchemyError) as error:
        if (explained := explain(error)) is None:
            raise
        raise explained from error
