"""Plays revisions on one database, with one ScriptDirectory, one run of env.py and one connection.

`alembic upgrade +1` for each step would load every revision file each time: quadratic in the number of revisions.
Alembic runs each step that a generator yields before it takes the next one, so the database can be read between steps.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import MigrationStep
from sqlalchemy import NullPool, create_engine

from dormatory.backends.driver import explained_connection
from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.errors import (
    DanglingRowsError,
    DatabaseFailedError,
    DormatoryError,
    MissingUpgradeError,
    SwallowedErrorError,
)
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction, Failure
from dormatory.replay.env_reads import EnvReads
from dormatory.replay.offending_rows import offending_rows_of
from dormatory.replay.statement_recorder import StatementRecorder
from dormatory.runtime.explain import explain_error
from dormatory.runtime.runner import Runner
from dormatory.runtime.step_guard import guard_step
from dormatory.schema.alignment import Equivalence, align_spelling
from dormatory.sql.names import BATCH_TABLE_PREFIX
from dormatory.system.tuning import reduce_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.leg import Statement, TransactionEnd
    from dormatory.recording.offending_rows import OffendingRows
    from dormatory.schema.snapshot import Snapshot, TableId

    Steps = Callable[[], Iterator[RevisionStep]]


class ReplaySession:
    """A database, opened with the project's own env.py, and the revision that is being played on it.

    `revision` is "" between two steps. `env_reads` are the tables that env.py itself reads from, `most_passes` is how
    many passes it made in one run. `seconds` and `statements` belong to the last recorded step; `written_tables`
    are the tables whose rows it wrote, as the database reports them, None if it does not. The given `failure_of` turns
    an error into a failure that may be shown. `is_scratch`: the database is a scratch one, where statements may be
    tried.
    """

    def __init__(
        self,
        project: Project,
        target: Target,
        failure_of: Callable[[DormatoryError], Failure] = Failure.from_error,
        *,
        is_scratch: bool = False,
    ) -> None:
        self.project, self.target, self._failure_of = project, target, failure_of
        self._is_scratch = is_scratch
        self._backend = backend_for(target)
        self.revision = ""
        self.is_rolled_back = False
        self.env_reads, self.most_passes = EnvReads(), 1
        self.seconds = 0.0
        self.statements: tuple[Statement, ...] = ()
        self.written_tables: Collection[TableId] | None = None
        self._collected_tables: Collection[TableId] | None = None
        self._began = 0.0

    @contextmanager
    def connect(self) -> Iterator[str]:
        """Connect for the length of the block, and yield the server's name and version."""
        # Revisions depend on how their env.py begins transactions: SQLite ignores a pragma within one.
        plain = create_engine(self.target.sqlalchemy_url(), poolclass=NullPool)
        engine = self._backend.engine(self.target, writing=True) if self.project.has_our_environment else plain
        with reduce_garbage_collection(), explained_connection(engine, self._lost_session_error) as connection:
            server = self._backend.version(connection)
            connection.rollback()
            self.connection = connection
            self._recorder = StatementRecorder(connection, self.project, is_scratch=self._is_scratch)
            self.runner = Runner(self.project, target=self.target, connection=connection)
            yield server

    def _lost_session_error(self, error: BaseException) -> DormatoryError | None:
        """Return what it means where reading between two steps failed because the server or the session has ended."""
        is_lost = self._backend.is_system_failure(error)
        return self._backend.explain(error, self.target) if is_lost else None

    def run(self, steps: Steps) -> Failure | None:
        """Play the steps in one run of env.py; return the failure of a revision, which ends the run.

        An error outside of a revision is raised, unless our own env.py refuses at its end what is only generated rows:
        then `is_rolled_back` says that nothing of the run is left.
        """
        self.is_rolled_back = False
        try:
            with self._listen_to_env():
                self.runner.run_steps(lambda script, context: self._enter(script, context, steps))
            self.most_passes = max(self.most_passes, self.env_pass[1])
        except DormatoryError as error:
            if not self.revision:
                if self._is_scratch and isinstance(error, DanglingRowsError):
                    self.is_rolled_back = True
                    return None  # the trip of the revision that left them has shown them
                raise
            self.seconds, self.statements = perf_counter() - self._began, self._recorder.stop()
            return self.failure_of(error)
        return None

    def failure_of(self, error: DormatoryError) -> Failure:
        """Return the error of a revision as a failure.

        Raises DatabaseFailedError where the session was lost: that says nothing about the revision.
        """
        if not getattr(error.__cause__, "connection_invalidated", False):
            return self._failure_of(error)
        place = f" at {self._recorder.failed.location}" if self._recorder.failed else ""
        what = f"{error.what} in revision {self.revision}{place}" if self.revision else error.what
        raise DatabaseFailedError(what, why=error.why, fix=error.fix) from error

    def offending_rows(self) -> OffendingRows | None:
        """Return the rows that the last recorded step failed on, None if it did not fail on a statement."""
        failed = self._recorder.failed
        self.connection.rollback()
        return offending_rows_of(self.connection, failed) if failed else None

    def plain_steps(self, revisions: Iterable[str], *, up: bool = True) -> Iterator[RevisionStep]:
        """Yield the steps of an upgrade as one plain run would make it, or of a downgrade; nothing is recorded."""
        for revision in revisions:
            self._begin_step(revision, is_alone=not up)
            step = self._make_step(revision, up=up)
            step.is_replayed = up  # type: ignore[attr-defined]  # external_env.py has checked its transaction before
            yield step
            self.revision = ""

    def recorded_step(self, revision: str, direction: Direction) -> Generator[RevisionStep, None, Failure | None]:
        """Play and record one revision; return its failure if it refused before it did anything.

        A downgrade that raises NotImplementedError before its first statement has changed nothing: its revision is
        stamped as downgraded, and the run goes on.
        """
        self._begin_step(revision)
        step = self._make_step(revision, up=direction is not Direction.DOWNGRADE)
        migrate, refused = step.migration_fn, []

        @wraps(migrate)  # Alembic's log derives the direction from the name
        def run(**arguments: Any) -> None:
            connection = self._env_connection()
            # Reading begins a transaction, which would hide that the revision has ended its own.
            if is_whole := connection.in_transaction():
                with self._recorder.pause():
                    self._schema_tracker.begin(connection)
            try:
                with self._backend.tracer.collect_written_tables(connection) as self._collected_tables:
                    migrate(**arguments)
            except NotImplementedError as error:
                if step.is_upgrade or self._recorder.stop():
                    raise
                refused.append(error)
            self._refuse_dependence_on_rows()
            if is_whole and connection.in_transaction():
                with self._recorder.pause():
                    self._schema_tracker.end(connection)

        step.migration_fn = run
        self._recorder.start()
        yield step
        self.seconds, self.statements = perf_counter() - self._began, self._recorder.stop()
        self.revision = ""
        if refused and (known := explain_error(refused[0], target=self.target, project=self.project)):
            known.__cause__ = refused[0]
            return Failure.from_error(known)
        return None

    def _refuse_dependence_on_rows(self) -> None:
        """Raise SwallowedErrorError if a change of the schema failed on rows and the revision went on without it."""
        failed = self._recorder.failed
        on_rows = self._env_connection().dialect.loaded_dbapi.IntegrityError
        if failed and isinstance(error := failed.error, on_rows) and _changes_schema(failed.sql):
            why = "it catches the error, and then has another schema than without such rows"
            raise SwallowedErrorError(failed.location, f"{type(error).__name__}: {error}", why=why) from error

    def stamp_step(self, revision: str) -> Iterator[RevisionStep]:
        """Stamp a revision as applied, without running it."""
        step = self._make_step(revision, up=True)
        step.migration_fn = lambda **_: None
        yield step

    @property
    def transaction_ends(self) -> tuple[TransactionEnd, ...]:
        """Where the last recorded step ended its transaction by itself."""
        return tuple(self._recorder.transaction_ends)

    @property
    def env_pass(self) -> tuple[str, int]:
        """The version table of the pass of env.py that was played, and how many passes there are."""
        passes = self.runner.passes
        return self.version_table, len(passes.begun) if passes else 1

    def has_downgrade(self, revision: str) -> bool:
        """Return whether the revision's module has a downgrade function."""
        return hasattr(self._revision_script(revision).module, "downgrade")

    def revision_file(self, revision: str) -> str:
        """Return the revision's file."""
        return str(self._revision_script(revision).path)

    def module(self, revision: str) -> ModuleType:
        """Return the module of a revision."""
        module: ModuleType = self._revision_script(revision).module
        return module

    def set_time_zone(self, zone: str) -> str:
        """Let the connection of env.py show times in a zone, and return the one it had; "" where it has none."""
        connection = self._env_connection()
        is_open = connection.in_transaction()
        with self._recorder.pause():
            before = self._backend.set_time_zone(connection, zone) if zone else ""
        if not is_open:
            connection.commit()
        return before

    def read_schema(self) -> Snapshot:
        """Return the structure, without the version table, and note which tables' rows may have changed."""
        with self.connection_between_steps() as connection:
            return self.read_schema_on(connection)

    def read_schema_on(self, connection: Connection) -> Snapshot:
        """Read as `read_schema` does, on a connection from `connection_between_steps`."""
        reading = self._schema_tracker.read(connection)
        self.written_tables = reading.affected_tables if self._collected_tables is None else self._collected_tables
        return reading.snapshot

    def spelled_as(self, expected: Snapshot, schema: Snapshot) -> Snapshot:
        """Return a structure in the spelling of the expected one: DEFAULT '0' and 0 are the same in a number."""
        return align_spelling(schema, expected, Equivalence(dialect_by_name(self.target.backend_name)))

    @contextmanager
    def connection_between_steps(self, *, before_leg: bool = False) -> Iterator[Connection]:
        """Yield a connection between two steps, and leave no transaction open if each revision has its own.

        Committed data is read through our own connection: an asynchronous driver has types of its own. With
        `before_leg`, the recorder prepares for the next leg in this transaction: another one would take longer than its
        queries.
        """
        theirs, context = self._env_connection(), self._context
        is_open = context._transaction is not None or context._in_external_transaction  # noqa: SLF001  # Alembic's own
        connection = theirs if is_open or theirs is self.connection else self.connection
        if not is_open:
            theirs.commit()  # Alembic creates the version table before the first step
        yield connection
        if not is_open:
            if before_leg and connection.in_transaction():
                self._recorder.prepare(connection)
            connection.commit()  # the transaction that reading and filling began

    def _env_connection(self) -> Connection:
        """Return the connection that env.py configured Alembic with."""
        if self._context.connection is None:
            raise AssertionError
        return self._context.connection

    def _listen_to_env(self) -> AbstractContextManager[None]:
        return nullcontext() if self.project.has_our_environment else self.env_reads.listen()

    def _enter(self, script: ScriptDirectory, context: MigrationContext, steps: Steps) -> Iterator[RevisionStep]:
        with self.env_reads.pause():
            yield from self._steps(script, context, steps)

    def _steps(self, script: ScriptDirectory, context: MigrationContext, steps: Steps) -> Iterator[RevisionStep]:
        self._script, self._context = script, context
        table, namespace = context.version_table, context.version_table_schema
        self.version_table = f"{namespace}.{table}" if namespace else table
        self.version_tables = {self.version_table, *self.runner.version_tables_seen}  # those of earlier passes, too
        self._schema_tracker = self._backend.introspection.schema_tracker(self.version_tables)
        if context.connection is not None and context.connection is not self.connection:  # env.py opened its own
            self._recorder = StatementRecorder(context.connection, self.project, is_scratch=self._is_scratch)
            self._backend.set_search_path(self.connection, self._backend.search_path(context.connection))
        if not self.project.has_our_environment:
            with self.connection_between_steps() as connection:
                self._backend.apply_connect_listeners(connection, self.target)
        return steps()

    def _begin_step(self, revision: str, *, is_alone: bool = True) -> None:
        # Alembic remembers for the length of a run which types it created, and would not create them again.
        if is_alone:
            self._context.impl.memo.clear()
        self.revision, self._began = revision, perf_counter()

    def _make_step(self, revision: str, *, up: bool) -> RevisionStep:
        if up and not hasattr(self._revision_script(revision).module, "upgrade"):
            raise MissingUpgradeError(Location(self.revision_file(revision)))
        make = MigrationStep.upgrade_from_script if up else MigrationStep.downgrade_from_script
        step = make(self._script.revision_map, self._revision_script(revision))
        return guard_step(step, self._context.connection, self.project.root)

    def _revision_script(self, revision: str) -> Any:
        """Return Alembic's own object for a revision."""
        return self._script.get_revision(revision)


def _changes_schema(sql: str) -> bool:
    """Return whether a statement changes the schema, or copies the rows of a table that a batch rebuilds."""
    return sql.split(None, 1)[0].upper() in {"ALTER", "CREATE"} or BATCH_TABLE_PREFIX in sql
