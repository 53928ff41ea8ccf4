"""The position of a database in the history: current, pending and unknown revisions, and what was changed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.errors import DormatoryError, RevisionNotInCheckoutError
from dormatory.project.history import History
from dormatory.recording.model import ChangesByHand
from dormatory.runtime import scratch
from dormatory.schema.alignment import Equivalence, align_spelling
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.project.script import Revision
    from dormatory.schema.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Status:
    """The position of a database in the history.

    `target` hides secrets. `unknown` are revisions that the checkout does not have; with one of them, `pending` is
    empty because it cannot be computed. `overlapping` are current revisions that another one builds on: the version
    table should not name them. `by_hand` is None if the database does not exist.
    """

    target: str
    server: str
    exists: bool
    current: tuple[str, ...]
    heads: tuple[str, ...]
    unknown: tuple[str, ...]
    overlapping: tuple[str, ...]
    pending: tuple[Revision, ...]
    by_hand: ChangesByHand | None


def read_status(project: Project, target: Target) -> Status:
    """Read the position of the target without changing it; in a missing database every revision is pending."""
    history = History.read(project)
    backend = backend_for(target)
    server = "-"
    by_hand: ChangesByHand | None = None
    if exists := backend.exists(target):
        by_hand = changes_by_hand(project, target, history)
        try:
            with backend.engine(target, writing=False).connect() as connection:
                server = backend.version(connection)
        except SQLAlchemyError as error:
            raise backend.explain(error, target) from error
    current = by_hand.revisions if by_hand else ()
    unknown = history.unknown(current)
    return Status(
        target=str(target),
        server=server,
        exists=exists,
        current=current,
        heads=history.heads,
        unknown=unknown,
        overlapping=history.overlapping(current),
        pending=() if unknown else history.pending(current),
        by_hand=by_hand,
    )


def read_current(project: Project) -> tuple[History, tuple[str, ...]]:
    """Return the history and the revisions that the target is at; raises RevisionNotInCheckoutError."""
    target = project.target()
    history, current = History.read(project), scratch.current_revisions(project, target)
    if unknown := history.unknown(current):
        raise RevisionNotInCheckoutError(str(target), unknown)
    return history, current


def changes_by_hand(project: Project, target: Target, history: History | None = None) -> ChangesByHand:
    """Compare a database with the history at the database's own revision; pending revisions are no difference.

    It only reads, and holds the upgrade lock meanwhile, so that a running deployment is not reported. A
    `history` that was read before is not read again. Raises DatabaseFailedError if the target cannot be read; if the
    history cannot be replayed, `problem` says why.
    """
    version_table = scratch.version_table(project, target)
    with backend_for(target).upgrade_lock(target, version_table):
        current = scratch.current_revisions(project, target)
        live = scratch.read_schema(target, version_table)
    if unknown := (history or History.read(project)).unknown(current):
        return ChangesByHand(current, (), f"revision {', '.join(unknown)} is not in this checkout")
    try:
        with scratch.databases(target.backend_name) as maker, maker() as expected:
            for revision in current:
                scratch.upgrade(project, expected, revision)
            planned = scratch.read_schema(expected, version_table)
            live = _in_spelling_of(planned, live, expected)
    except DormatoryError as error:
        return ChangesByHand(current, (), str(error))
    return ChangesByHand(current, diff(planned, live))


def _in_spelling_of(planned: Snapshot, live: Snapshot, expected: Target) -> Snapshot:
    """Return the live schema with the spelling of the history where both mean the same, as for models."""
    backend = backend_for(expected)
    with backend.engine(expected, writing=True).connect() as connection:
        is_same_value = partial(backend.is_same_value, connection)
        return align_spelling(
            live, planned, Equivalence(dialect_by_name(expected.backend_name), is_same_value=is_same_value)
        )
