"""Plays a whole history on scratch databases: each revision up, down and up again, its structure compared.

One ScriptDirectory, one run of env.py and one connection serve the whole walk: `alembic upgrade +1` per step would
load every revision file each time, which makes a walk quadratic.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import MigrationStep
from sqlalchemy import NullPool, create_engine

from dormatory.database.backend import backend_for
from dormatory.errors import DormatoryError, NoDowngradeError
from dormatory.migrations.history import History
from dormatory.migrations.isolation import isolated
from dormatory.migrations.observer import Observer
from dormatory.migrations.recording import Direction, Leg, Recording, Step
from dormatory.migrations.runner import Runner
from dormatory.migrations.scratch import prepare
from dormatory.migrations.witness import Witness
from dormatory.schema.diff import diff
from dormatory.schema.reflect import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from dormatory.database.url import Target
    from dormatory.migrations.project import Project
    from dormatory.migrations.recording import Statement
    from dormatory.migrations.scratch import Scratch
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot


def play(project: Project, maker: Scratch, on_step: Callable[[Step], None] = lambda _: None) -> Recording:
    """Play the history from an empty database and return what happened; `on_step` hears of each step at once.

    A revision that fails does not hide the rest: the walk goes on behind it on a fresh database, where it is applied
    to empty tables. Only what fails on those, too, leaves the revisions behind it unreached.
    """
    waiting = [revision.id for revision in History.read(project).revisions]
    done: list[str] = []
    steps: list[Step] = []
    server = ""
    unfilled: dict[str, str] = {}

    def keep(step: Step) -> None:
        steps.append(step)
        on_step(step)

    while waiting:
        with maker() as target:
            prepare(project, target)
            server, found = isolated(project, _walk, project, target, tuple(done), tuple(waiting), hear=keep)
        unfilled |= found
        played = len(steps) - len(done)
        if not played:
            break
        done, waiting = done + waiting[:played], waiting[played:]
    return Recording(target.backend_name, server, tuple(steps), tuple(waiting), tuple(sorted(unfilled.items())))


def _walk(
    project: Project, target: Target, done: Sequence[str], waiting: Sequence[str], keep: Callable[[Step], None]
) -> tuple[str, dict[str, str]]:
    """Walk as far as it goes, in whatever process this is; return the server's name and the tables left empty."""
    walk = _Walk(project, target, keep)
    walk.run(done, waiting)
    return walk.server, walk.witness.unfilled


class _Walk:
    """One walk along the history, until its end or until a leg fails."""

    def __init__(self, project: Project, target: Target, keep: Callable[[Step], None]) -> None:
        self.project, self.target, self.keep = project, target, keep
        self.server = ""
        self.witness = Witness(project)
        self._legs: list[Leg] = []
        self._playing: tuple[str, Direction] | None = None
        self._began = 0.0
        self._played: tuple[float, tuple[Statement, ...]] = (0.0, ())

    def run(self, done: Sequence[str], waiting: Sequence[str]) -> None:
        """Upgrade straight through what was `done`, then make the round trip of each that is `waiting`."""
        backend = backend_for(self.target)
        # What a project's revisions do depends on how its connections begin transactions: a pragma in one is ignored.
        plain = create_engine(self.target.url, poolclass=NullPool)
        engine = backend.engine(self.target, writing=True) if self.project.has_our_environment else plain
        with engine.connect() as connection:
            self.server = backend.version(connection)
            connection.rollback()
            self._ours = connection
            self._observer = Observer(connection, self.project)
            runner = Runner(self.project, target=self.target, connection=connection)
            try:
                runner.walk(lambda script, context: self._steps(script, context, done, waiting))
            except DormatoryError as error:
                if self._playing is None:
                    raise
                revision, direction = self._playing
                if revision in done:
                    return
                seconds = perf_counter() - self._began
                self._legs.append(Leg(direction, seconds, self._observer.stop(), error=error))
                self.keep(Step(revision, tuple(self._legs), self.witness.losses()))

    def _steps(
        self, script: ScriptDirectory, context: MigrationContext, done: Sequence[str], waiting: Sequence[str]
    ) -> Iterator[RevisionStep]:
        """Yield the steps; Alembic runs each one before it asks for the next, so between them we may look."""
        if context.connection is not None and context.connection is not self._ours:  # an env.py that opens its own
            self._observer = Observer(context.connection, self.project)
        if not self.project.has_our_environment:
            with self._reading(context) as connection:
                backend_for(self.target).follow_listeners(connection, self.target)
        for revision in done:
            self._playing = revision, Direction.UPGRADE
            step: Any = MigrationStep.upgrade_from_script(script.revision_map, _found(script, revision))
            step.is_replayed = True  # what it was found to do is not to stop it again
            yield step
        before = self._look(context)
        for revision in waiting:
            self._playing, self._legs = None, []
            with self._reading(context) as connection:
                self.witness.before(connection, before)
            yield from self._move(script, context, revision, Direction.UPGRADE)
            after = self._look(context, Direction.UPGRADE)
            self._ended(Direction.UPGRADE, ())
            yield from self._back_and_forth(script, context, revision, before, after)
            self._playing = None
            self.keep(Step(revision, tuple(self._legs), self.witness.losses()))
            with self._reading(context) as connection:
                self.witness.settled(connection, after, revision)
            before = after

    def _back_and_forth(
        self, script: ScriptDirectory, context: MigrationContext, revision: str, before: Snapshot, after: Snapshot
    ) -> Iterator[RevisionStep]:
        """Downgrade and upgrade again; what was not undone at all is not applied a second time."""
        found = _found(script, revision)
        if not hasattr(found.module, "downgrade"):
            self._legs.append(Leg(Direction.DOWNGRADE, 0.0, error=NoDowngradeError(found.path)))
            return
        yield from self._move(script, context, revision, Direction.DOWNGRADE)
        left = self._look(context, Direction.DOWNGRADE)
        trace = diff(before, left)
        self._ended(Direction.DOWNGRADE, trace)
        if trace and not diff(after, left):  # it would fail on what is still there, which is no finding of its own
            step = MigrationStep.upgrade_from_script(script.revision_map, found)
            step.migration_fn = lambda **_: None
            yield step
            return
        yield from self._move(script, context, revision, Direction.SECOND_UPGRADE)
        self._ended(Direction.SECOND_UPGRADE, diff(after, self._look(context, Direction.SECOND_UPGRADE)))

    def _move(
        self, script: ScriptDirectory, context: MigrationContext, revision: str, direction: Direction
    ) -> Iterator[RevisionStep]:
        # Alembic remembers for the length of a run which types it created, and would not create them again.
        context.impl.memo.clear()
        found = _found(script, revision)
        up = direction is not Direction.DOWNGRADE
        make = MigrationStep.upgrade_from_script if up else MigrationStep.downgrade_from_script
        self._playing, self._began = (revision, direction), perf_counter()
        self._observer.start()
        yield make(script.revision_map, found)
        self._played = perf_counter() - self._began, self._observer.stop()

    def _ended(self, direction: Direction, trace: tuple[Change, ...]) -> None:
        self._legs.append(Leg(direction, *self._played, trace=trace))

    def _look(self, context: MigrationContext, behind: Direction | None = None) -> Snapshot:
        """Read the structure, and show the rows to the witness where a leg has just ended."""
        table, namespace = context.version_table, context.version_table_schema
        with self._reading(context) as connection:
            found = snapshot(connection, ignore=(f"{namespace}.{table}" if namespace else table,))
            if behind is not None:
                self.witness.after(connection, found, behind, self._played[1])
            return found

    @contextmanager
    def _reading(self, context: MigrationContext) -> Iterator[Connection]:
        """Give a connection between two steps, and leave no transaction open where each revision has its own.

        What is committed is read through our own connection: an asynchronous driver has types of its own.
        """
        theirs = context.connection
        if theirs is None:
            raise AssertionError
        is_open = context._transaction is not None or context._in_external_transaction  # noqa: SLF001  # Alembic's own
        connection = theirs if is_open or theirs is self._ours else self._ours
        if not is_open:
            theirs.commit()  # the first one also holds the version table, which Alembic creates before any step
        yield connection
        if not is_open:
            connection.commit()  # what reading and filling began


def _found(script: ScriptDirectory, revision: str) -> Any:
    """Return Alembic's own view of a revision."""
    return script.get_revision(revision)
