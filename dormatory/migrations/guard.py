"""Keeps what cannot be undone away from databases that are not known to be expendable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.database.backend import backend_for
from dormatory.errors import ForeignRevisionError, ProductionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alembic.script import ScriptDirectory

    from dormatory.database.url import Target


def refuse_production(target: Target, *, action: str, confirmed: str | None) -> None:
    """Raise ProductionError unless the database says it is for development, or the call itself names it.

    The database is asked, not its host name: a tunnel makes any server local. Nothing is read from a file or
    a variable, so no override outlives the command it was typed for.
    """
    if confirmed == target.database:
        return
    stock = backend_for(target).stock(target)
    if stock.environment != "development":
        raise ProductionError(str(target), stock.environment, action=action, name=target.database, given=confirmed)


def refuse_foreign(script: ScriptDirectory, heads: Iterable[str], shown: str) -> None:
    """Raise ForeignRevisionError when a database is at a revision that no file has."""
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := sorted(set(heads) - known):
        raise ForeignRevisionError(shown, unknown)
