"""Finds the statement whose error a revision has caught, where its transaction accepts nothing since then."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

from dormatory.backends.driver import is_transaction_aborted
from dormatory.errors import SwallowedErrorError
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.engine import ExceptionContext


@contextmanager
def refuse_swallowed_errors(connection: Connection, script: str, root: Path) -> Iterator[None]:
    """Raise SwallowedErrorError if the block, a revision of the file `script`, goes on in a transaction that it broke.

    Whether another statement told it or not: the error is that of the statement that failed first.
    """
    failures: list[tuple[Location, BaseException]] = []

    def note(context: ExceptionContext) -> None:
        error = context.original_exception
        if context.connection is connection and not is_transaction_aborted(error):
            failures.append((_line_in(script, root), error))

    event.listen(connection.dialect, "handle_error", note)  # connections do not have this event
    try:
        yield
    except Exception as error:
        if failures and is_transaction_aborted(getattr(error, "orig", None)):
            raise _error_at(*failures[-1]) from failures[-1][1]
        raise
    finally:
        event.remove(connection.dialect, "handle_error", note)
    if failures and _is_aborted(connection):
        raise _error_at(*failures[-1]) from failures[-1][1]


def _error_at(location: Location, error: BaseException) -> SwallowedErrorError:
    return SwallowedErrorError(location, f"{type(error).__name__}: {error}")


def _line_in(script: str, root: Path) -> Location:
    """Return the innermost line of a file in the call stack."""
    frame = sys._getframe(1)  # noqa: SLF001  # documented, and cheaper than inspect.stack()
    while frame is not None and frame.f_code.co_filename != script:
        frame = frame.f_back  # type: ignore[assignment]
    return Location(script.removeprefix(f"{root}/"), frame.f_lineno if frame else 0)


def _is_aborted(connection: Connection) -> bool:
    """Return whether the transaction of a connection refuses every statement, asked below SQLAlchemy."""
    if not connection.in_transaction():
        return False
    cursor = connection.connection.cursor()
    try:
        cursor.execute("SELECT 1")
    except connection.dialect.loaded_dbapi.Error:
        return True
    finally:
        cursor.close()
    return False
