"""Keeps a revision from what would end more than itself: the process, the connection of the run, the directory."""

from __future__ import annotations

import contextlib
import os
from functools import wraps
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import RevisionStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from alembic.runtime.migration import MigrationContext


def guard_steps(steps_of: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    """Return a function of the steps in which a revision fails where it ends the process or closes the connection."""

    def steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
        for step in steps_of(heads, context):
            if isinstance(step, RevisionStep):
                step.migration_fn = _guard_revision(step.migration_fn, context.connection)
            yield step

    return steps


def _guard_revision(migrate: Callable[..., None], connection: Any) -> Callable[..., None]:
    def refuse_exit(code: int) -> None:
        raise RuntimeError(f"it called os._exit({code!r}), which ends the process")

    def refuse_close() -> None:
        raise RuntimeError("it closes the connection that Alembic works with")

    @wraps(migrate)  # Alembic's log reads the direction from its name
    def run(**arguments: Any) -> None:
        kept = _with_function(connection, "close", refuse_close) if connection is not None else contextlib.nullcontext()
        with contextlib.chdir(os.curdir), _with_function(os, "_exit", refuse_exit), kept:
            try:
                migrate(**arguments)
            except SystemExit as error:
                ended = RuntimeError(f"it called sys.exit({error.code!r}), which ends the process")
                raise ended.with_traceback(error.__traceback__) from None

    return run


@contextlib.contextmanager
def _with_function(owner: Any, name: str, function: Callable[..., None]) -> Iterator[None]:
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
