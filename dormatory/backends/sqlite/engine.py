"""SQLAlchemy's engines for an SQLite file, whose transactions SQLAlchemy alone begins and ends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, event

from dormatory.backends.driver import raw_connection
from dormatory.backends.sqlite import write_lock
from dormatory.backends.sqlite.connection import disable_driver_transactions
from dormatory.backends.sqlite.explanations import explain_sqlite_error

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from dormatory.backends.url import Target


def sqlite_engine(target: Target, *, writing: bool, wait_seconds: float) -> Engine:
    """Return an engine that waits at most `wait_seconds` for another writer.

    The driver's legacy mode commits before DDL and begins only at the first INSERT, so a failed revision
    would stay half done. Foreign keys are off before BEGIN, inside a transaction the pragma does nothing,
    and with them on, a batch rebuild's DROP TABLE would empty the children.
    """
    engine = create_engine(target.sqlalchemy_url(), poolclass=NullPool, connect_args={"timeout": wait_seconds})

    @event.listens_for(engine, "connect")
    def _configure_driver(driver: Any, _record: object) -> None:
        disable_driver_transactions(driver)
        driver.execute("PRAGMA foreign_keys = OFF")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return  # an autocommit_block(): SQLAlchemy reports a transaction that does not exist
        if writing:
            write_lock.begin_immediate(connection.connection.dbapi_connection, target, wait_seconds)
        else:
            write_lock.wait_until_readable(connection.connection.dbapi_connection, target)
            connection.exec_driver_sql("BEGIN")

    return engine


def sqlite_driver_connection(
    target: Target, *, writing: bool, wait_seconds: float = write_lock.WRITE_LOCK_WAIT_SECONDS
) -> AbstractContextManager[Any]:
    """Open a connection of the driver for the length of the block; what was not committed is rolled back."""
    engine = sqlite_engine(target, writing=writing, wait_seconds=wait_seconds)
    return raw_connection(engine, partial(explain_sqlite_error, target=target))


def foreign_keys_are_enforced(target: Target) -> bool:
    """Return whether a connection as the application opens it enforces foreign keys: its listeners may say so."""
    with create_engine(target.sqlalchemy_url(), poolclass=NullPool).connect() as connection:
        return bool(connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one())
