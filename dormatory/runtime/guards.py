"""Keeps what cannot be undone away from databases that are not known to be expendable."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from dormatory.errors import RevisionNotInCheckoutError
from dormatory.project.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alembic.script import ScriptDirectory

    from dormatory.project.project import Project


def refuse_broken_history(script: ScriptDirectory, project: Project) -> None:
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


def refuse_unknown_revisions(script: ScriptDirectory, heads: Iterable[str], target_name: str) -> None:
    """Raise ForeignRevisionError when a database is at a revision that no file has."""
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := sorted(set(heads) - known):
        raise RevisionNotInCheckoutError(target_name, unknown)
