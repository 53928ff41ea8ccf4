"""Statements that go straight to the driver, past SQLAlchemy: half as dear, and no listener hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


def open_cursor(connection: Connection) -> Any:
    """Return a new cursor of the driver, within the transaction that the connection is in or begins now.

    What is executed without parameters is sent as it is: percent signs and colons mean themselves.
    """
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.cursor()


def fetch_rows(cursor: Any, query: str, *parameters: Any) -> Sequence[Any]:
    """Return the rows of a query on a cursor of the driver, and close that."""
    try:
        cursor.execute(query, *parameters)
        rows: Sequence[Any] = cursor.fetchall()
    finally:
        cursor.close()
    return rows
