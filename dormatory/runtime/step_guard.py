"""Keeps a project's code from ending more than itself: the process, the connection, our streams and handlers."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import os
import sys
import traceback
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from dormatory.errors import RevisionFailedError
from dormatory.errors.location import Location
from dormatory.runtime.swallowed_errors import refuse_swallowed_errors
from dormatory.system.position_file import at_position
from dormatory.system.signals import is_interruption, keep_handlers
from dormatory.system.standard_streams import redirect_output_to_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from alembic.runtime.migration import RevisionStep
    from sqlalchemy import Connection

_CLOSES = "it closes the connection that Alembic works with"
_exit_process = os._exit
_ENDS = ("_exit", "execv", "execve")  # every other function that replaces the program calls one of them


@contextlib.contextmanager
def contain_code() -> Iterator[None]:
    """Turn what would end the process in the block into an error, and take back what the block does to the process.

    What it prints goes to standard error, and what it lets run at the end of this process prints there, too. A child
    process that it forks ends with the block.
    """
    process = os.getpid()
    with contextlib.ExitStack() as stack:
        stack.enter_context(redirect_output_to_errors())
        stack.enter_context(keep_handlers())
        stack.enter_context(contextlib.chdir(os.curdir))
        stack.enter_context(_with_function(atexit, "register", partial(_register_redirected, atexit.register)))
        for name in _ENDS:
            refuse = partial(_refuse_end, process, name, getattr(os, name))
            stack.enter_context(_with_function(os, name, refuse))
        try:
            yield
        except BaseException as error:
            _end_child_of(process, 1)
            if is_interruption(error) or _is_ordinary(error):
                raise
            raise RuntimeError(_end_text(error)).with_traceback(error.__traceback__) from None
        _end_child_of(process, 0)


def guard_step(step: RevisionStep, connection: Connection | None, root: Path) -> RevisionStep:
    """Let a step fail where its revision ends the process, closes the connection or goes on after a failed statement.

    Return the step. `root` is the directory that places are relative to.
    """
    migrate = step.migration_fn

    def refuse_close() -> None:
        raise RuntimeError(_CLOSES)

    @wraps(migrate)  # Alembic's log reads the direction from its name
    def run(**arguments: Any) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(at_position(_location_of(step, root)))
            if connection is not None:
                stack.enter_context(refuse_swallowed_errors(connection, str(step.revision.path), root))
            stack.enter_context(contain_code())
            if connection is not None:
                stack.enter_context(_with_function(connection, "close", refuse_close))
            migrate(**arguments)
        if connection is not None and _is_closed(connection):
            connection.invalidate()  # nothing can be rolled back on it any more
            raise RevisionFailedError(
                _location_of(step, root), _CLOSES, fix="leave it open: Alembic needs it, and closes it"
            )

    step.migration_fn = run
    return step


def _location_of(step: RevisionStep, root: Path) -> Location:
    script: Any = step.revision
    function = getattr(script.module, "upgrade" if step.is_upgrade else "downgrade", None)
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    return Location(str(script.path).removeprefix(f"{root}/"), code.co_firstlineno if code else 0)


def _is_closed(connection: Connection) -> bool:
    """Return whether a connection was closed, by itself or below SQLAlchemy."""
    if connection.closed or connection.invalidated:
        return True
    try:
        connection.connection.cursor().close()  # a driver refuses it on a closed connection, and sends nothing
    except connection.dialect.loaded_dbapi.Error:
        return True
    return False


def _is_ordinary(error: BaseException) -> bool:
    """Return whether an error ends no process, and has a text."""
    return isinstance(error, Exception) and _text(error) is not None


def _end_text(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r}), which ends the process"
    name, text = type(error).__name__, _text(error)
    if isinstance(error, Exception):
        return f"it raised {name}, which has no text: its __str__ fails"
    return f"it raised {name}{text and f': {text}'}, which ends the process"


def _text(error: BaseException) -> str | None:
    """Return the text of an error, None where its own class fails to give one."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a project's class may raise anything
        return None


def _refuse_end(process: int, name: str, end: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """Raise instead of ending this process; one that it has forked may end as it likes."""
    if os.getpid() != process:
        end(*arguments, **options)
    given = [*arguments[:1], *options.values()][:1]
    raise RuntimeError(f"it called os.{name}({', '.join(map(repr, given))}), which ends the process")


def _register_redirected(
    register: Callable[..., object], function: Callable[..., object], *arguments: Any, **options: Any
) -> Callable[..., object]:
    """Register a function as `atexit` does: what it prints stands after our document, and would spoil it."""

    def run() -> None:
        with redirect_output_to_errors():
            function(*arguments, **options)

    register(run)
    return function


def _end_child_of(process: int, code: int) -> None:
    """End a process that the block has forked: it would go on as if it were this one, on the same connection."""
    if os.getpid() == process:
        return
    if code:
        traceback.print_exc()
    sys.stdout.flush()
    _exit_process(code)


@contextlib.contextmanager
def _with_function(owner: Any, name: str, function: Callable[..., object]) -> Iterator[None]:
    """Give an object another function for the length of the block."""
    before = vars(owner).get(name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
