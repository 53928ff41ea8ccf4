"""Statements that go straight to the driver, past SQLAlchemy: half as dear, and no listener hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection


def cursor(connection: Connection) -> Any:
    """Return a new cursor of the driver, within the transaction that the connection is in or begins now.

    What is executed without parameters is sent as it is: percent signs and colons mean themselves.
    """
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.cursor()
