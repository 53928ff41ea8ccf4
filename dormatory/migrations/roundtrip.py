"""Plays a whole history on scratch databases: each revision up, down and up again, its structure compared.

One ScriptDirectory, one run of env.py and one connection serve the whole walk: `alembic upgrade +1` per step would
load every revision file each time, which makes a walk quadratic.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import MigrationStep

from dormatory.database.backend import backend_for
from dormatory.errors import DormatoryError, NoDowngradeError
from dormatory.migrations.history import History
from dormatory.migrations.observer import Observer
from dormatory.migrations.recording import Direction, Leg, Recording, Step
from dormatory.migrations.runner import Runner
from dormatory.schema.diff import diff
from dormatory.schema.reflect import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory

    from dormatory.database.url import Target
    from dormatory.migrations.project import Project
    from dormatory.migrations.recording import Statement
    from dormatory.migrations.scratch import Scratch
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot


def play(project: Project, maker: Scratch, on_step: Callable[[Step], None] = lambda _: None) -> Recording:
    """Play the history from an empty database and return what happened; `on_step` hears of each step at once.

    A revision that fails on its way down does not hide the rest: the walk goes on from it on a fresh database.
    """
    waiting = [revision.id for revision in History.read(project).revisions]
    done: list[str] = []
    steps: list[Step] = []
    server = ""

    def keep(step: Step) -> None:
        steps.append(step)
        on_step(step)

    while waiting:
        with maker() as target:
            walk = _Walk(project, target, keep)
            walk.run(done, waiting)
            server = walk.server
        played = len(steps) - len(done)
        done, waiting = done + waiting[:played], waiting[played:]
        last = steps[-1].legs[-1]
        if last.error is not None and last.direction is Direction.UPGRADE:
            break
    return Recording(target.backend_name, server, tuple(steps), tuple(waiting))


class _Walk:
    """One walk along the history, until its end or until a leg fails."""

    def __init__(self, project: Project, target: Target, keep: Callable[[Step], None]) -> None:
        self.project, self.target, self.keep = project, target, keep
        self.server = ""
        self._legs: list[Leg] = []
        self._playing: tuple[str, Direction] | None = None
        self._began = 0.0
        self._played: tuple[float, tuple[Statement, ...]] = (0.0, ())

    def run(self, done: Sequence[str], waiting: Sequence[str]) -> None:
        """Upgrade straight through what was `done`, then make the round trip of each that is `waiting`."""
        backend = backend_for(self.target)
        with backend.engine(self.target, writing=True).connect() as connection:
            self.server = backend.version(connection)
            connection.rollback()
            self._observer = Observer(connection, self.project)
            runner = Runner(self.project, target=self.target, connection=connection)
            try:
                runner.walk(lambda script, context: self._steps(script, context, done, waiting))
            except DormatoryError as error:
                if self._playing is None:
                    raise
                revision, direction = self._playing
                seconds = perf_counter() - self._began
                self._legs.append(Leg(direction, seconds, self._observer.stop(), error=error))
                self.keep(Step(revision, tuple(self._legs)))

    def _steps(
        self, script: ScriptDirectory, context: MigrationContext, done: Sequence[str], waiting: Sequence[str]
    ) -> Iterator[RevisionStep]:
        """Yield the steps; Alembic runs each one before it asks for the next, so between them we may look."""
        for revision in done:
            yield from self._move(script, context, revision, Direction.UPGRADE)
        before = self._look(context)
        for revision in waiting:
            self._legs = []
            yield from self._move(script, context, revision, Direction.UPGRADE)
            after = self._look(context)
            self._ended(Direction.UPGRADE, ())
            yield from self._move(script, context, revision, Direction.DOWNGRADE)
            self._ended(Direction.DOWNGRADE, diff(before, self._look(context)))
            yield from self._move(script, context, revision, Direction.SECOND_UPGRADE)
            self._ended(Direction.SECOND_UPGRADE, diff(after, self._look(context)))
            self._playing = None
            self.keep(Step(revision, tuple(self._legs)))
            before = after

    def _move(
        self, script: ScriptDirectory, context: MigrationContext, revision: str, direction: Direction
    ) -> Iterator[RevisionStep]:
        # Alembic remembers for the length of a run which types it created, and would not create them again.
        context.impl.memo.clear()
        found: Any = script.get_revision(revision)
        up = direction is not Direction.DOWNGRADE
        make = MigrationStep.upgrade_from_script if up else MigrationStep.downgrade_from_script
        self._playing, self._began = (revision, direction), perf_counter()
        if not up and not hasattr(found.module, "downgrade"):
            raise NoDowngradeError(found.path)
        self._observer.start()
        yield make(script.revision_map, found)
        self._played = perf_counter() - self._began, self._observer.stop()

    def _ended(self, direction: Direction, trace: tuple[Change, ...]) -> None:
        self._legs.append(Leg(direction, *self._played, trace=trace))

    def _look(self, context: MigrationContext) -> Snapshot:
        """Read the structure, and leave no transaction open where each revision has its own."""
        connection = context.connection
        if connection is None:
            raise AssertionError
        table = context.version_table
        namespace = context.version_table_schema
        found = snapshot(connection, ignore=(f"{namespace}.{table}" if namespace else table,))
        if context._transaction is None:  # noqa: SLF001  # Alembic's own, not the one that reading began
            connection.commit()  # the first one also holds the version table, which Alembic creates before any step
        return found
