"""Refuse what would destroy rows of a database that is not marked as a development database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import ProtectedDatabaseError

if TYPE_CHECKING:
    from dormatory.backends.base import DatabaseSummary
    from dormatory.backends.url import Target


def refuse_production(
    target: Target, *, action: str, confirmed: str | None, stock: DatabaseSummary | None = None
) -> None:
    """Raise ProductionError unless the database says it is for development, or the call itself names it.

    The database is asked, not its host name: a tunnel makes any server local. Nothing is read from a file or
    a variable, so no override outlives the command it was typed for. `stock` is what it answered just before.
    """
    if confirmed == target.database:
        return
    stock = stock or backend_for(target).summary(target)
    if stock.environment != "development":
        raise ProtectedDatabaseError(
            str(target), stock.environment, action=action, name=target.database, given=confirmed
        )
