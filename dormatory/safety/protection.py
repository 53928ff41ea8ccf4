"""Refuse to destroy rows of a database that is not marked as a development database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.errors import ProtectedDatabaseError

if TYPE_CHECKING:
    from dormatory.backends.base import DatabaseSummary
    from dormatory.backends.url import Target


def refuse_production(
    target: Target, *, action: str, confirmed: str | None, summary: DatabaseSummary | None = None
) -> None:
    """Raise ProtectedDatabaseError unless the database is marked for development, or `confirmed` is its name.

    The mark is in the database, not in its host name: a tunnel makes any server local. Permission comes neither from a
    file nor from a variable, so it never lasts longer than one command. `summary` saves a query if it was just read.
    """
    if confirmed == target.database:
        return
    summary = summary or backend_for(target).summary(target)
    if summary.environment != "development":
        raise ProtectedDatabaseError(
            str(target), summary.environment, action=action, name=target.database, given=confirmed
        )
