"""The database of a run before its round trips: revisions applied in a row, to tables without generated rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.replay.seed_rows import record_seed_rows
from dormatory.replay.session import ReplaySession
from dormatory.rows.fixtures import FixtureRows
from dormatory.runtime.scratch import run_baseline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.leg import Failure
    from dormatory.replay.seed_rows import SeedRows


class StraightDatabase:
    """A scratch database that can be set back to a straight-applied state, in which only the project's rows are.

    A copy of that state is kept at the side. It only goes forward: each state has more revisions applied than the one
    before. It begins with an empty database, with the project's baseline.
    """

    def __init__(self, project: Project, target: Target) -> None:
        self._project, self._target = project, target
        self._checkpoint = backend_for(target).scratch.checkpoint(target)
        self._fixtures = FixtureRows(project.script_location)
        self._applied: tuple[str, ...] = ()  # in the copy
        self._is_used = False

    def begin_again(self) -> bool:
        """Set the database back to the copy; return False if somebody is still connected to it."""
        if self._is_used:
            if not self._checkpoint.restore():
                return False
            if not self._applied:
                run_baseline(self._project, self._target)
        self._is_used = True
        return True

    def apply(self, revisions: tuple[str, ...]) -> tuple[str, Failure] | None:
        """Apply what is missing of these revisions, and keep a copy; return the one that failed, with its failure.

        Alembic remembers the types that it has created for as long as a run lasts. A history that needs that is applied
        from the beginning, in one run.
        """
        blocked = self._apply(revisions[len(self._applied) :])
        if blocked and self._applied:
            self._checkpoint.discard()
            self._applied = ()
            if not self.begin_again():
                return blocked
            blocked = self._apply(revisions)
        if not blocked and revisions != self._applied:
            self._applied = revisions if self._checkpoint.save() else ()
        return blocked

    def _apply(self, revisions: tuple[str, ...]) -> tuple[str, Failure] | None:
        if not revisions:
            return None
        session = ReplaySession(self._project, self._target, is_scratch=True)

        def steps() -> Iterator[RevisionStep]:
            for revision in revisions:
                yield from session.plain_steps((revision,))
                # This also commits the entry of a revision that has ended its own transaction.
                with session.connection_between_steps() as connection:
                    self._fixtures.add(connection, revision)

        with session.connect():
            failure = session.run(steps)
        return (session.revision, failure) if failure else None

    def read_seed_rows(self, revisions: tuple[str, ...]) -> tuple[SeedRows, ...]:
        """Apply more revisions, and return the rows before the first and after each; then begin again.

        They end early at a revision that fails: the rows after it are unknown.
        """
        session = ReplaySession(self._project, self._target, is_scratch=True)
        with session.connect():
            return record_seed_rows(session, self._fixtures, revisions)
