"""Keeps what cannot be undone away from databases that are not known to be expendable."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import ForeignRevisionError, ProductionError
from dormatory.project.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alembic.script import ScriptDirectory

    from dormatory.backends.base import Stock
    from dormatory.backends.url import Target
    from dormatory.project.project import Project


def refuse_production(target: Target, *, action: str, confirmed: str | None, stock: Stock | None = None) -> None:
    """Raise ProductionError unless the database says it is for development, or the call itself names it.

    The database is asked, not its host name: a tunnel makes any server local. Nothing is read from a file or
    a variable, so no override outlives the command it was typed for. `stock` is what it answered just before.
    """
    if confirmed == target.database:
        return
    stock = stock or backend_for(target).stock(target)
    if stock.environment != "development":
        raise ProductionError(str(target), stock.environment, action=action, name=target.database, given=confirmed)


def refuse_broken(script: ScriptDirectory, project: Project) -> None:
    """Load every revision, and raise BrokenHistoryError for what Alembic only warns of or trips over later.

    An id used twice makes Alembic drop one of the two files; a parent that no file has, a KeyError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            list(script.walk_revisions())
    except (UserWarning, KeyError):
        History.read(project)  # says what is wrong, and where
        list(script.walk_revisions())  # the warning was a revision's own


def refuse_foreign(script: ScriptDirectory, heads: Iterable[str], shown: str) -> None:
    """Raise ForeignRevisionError when a database is at a revision that no file has."""
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := sorted(set(heads) - known):
        raise ForeignRevisionError(shown, unknown)
