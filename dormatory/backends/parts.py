"""The parts of a backend: each protocol here is a module of the same name in every backend's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.backends.counter import Counter
    from dormatory.backends.replica import ReplicaSource
    from dormatory.backends.row_io import CellForm, RowWriter
    from dormatory.backends.schema_tracker import SchemaTracker
    from dormatory.backends.tracer import StatementTracer
    from dormatory.backends.url import Target
    from dormatory.backends.violation import Violation
    from dormatory.schema.alteration import AlterStatement, Conversions, TypeConversion
    from dormatory.schema.snapshot import Column, Snapshot, Table, TableId

    ScratchMaker: TypeAlias = Callable[[], AbstractContextManager[Target]]
    ProbeAttempt: TypeAlias = Callable[[], bool | None]


class Backup(Protocol):
    """Part `backup`: copies of a whole database in a file."""

    def write_backup(self, target: Target, file: Path, *, wait_seconds: float = ...) -> None:
        """Copy the database into `file`, which only the user may read; it appears once all of it has been read back.

        The database is not changed. It waits at most `wait_seconds` for those who lock a part of it, and says so.
        Raises MissingDatabaseError, BackupFailedError, DatabaseLockedError.
        """

    def replacement(self, target: Target, *, wait_seconds: float = 0) -> AbstractContextManager[Replacement]:
        """Prepare to replace the database, which a backup within the block precedes.

        A database that cannot be replaced is refused before anything is done. Where the backend can, it keeps other
        writers out until the block ends, so that the backup lacks nothing; it waits for one that is writing now at
        most `wait_seconds`. Raises DatabaseFailedError.
        """


class Replacement(Protocol):
    """A database that is about to be replaced, all of it or nothing; its mark (development or production) stays."""

    @property
    def losses(self) -> tuple[str, ...]:
        """What goes with the database and is in no backup, a sentence each."""

    def restore(self, file: Path) -> None:
        """Put a backup in its place.

        Raises NotABackupError for a file that does not hold a backup of this kind of database, DatabaseFailedError.
        """

    def clear(self) -> None:
        """Put an empty database in its place; raises DatabaseFailedError."""


class Checkpoint(Protocol):
    """A copy of a scratch database, to which the database can be set back; it keeps its name.

    The copy is removed together with the server or the directory of the scratch database.
    """

    def save(self) -> bool:
        """Copy the database in place of the last copy, and return True; return False only while somebody uses it."""

    def restore(self) -> bool:
        """Replace the database by the last copy, or by an empty one if there is none, and return True.

        Return False only while somebody uses the database.
        """

    def discard(self) -> None:
        """Remove the copy."""


class Scratch(Protocol):
    """Part `scratch`: empty databases for one run."""

    def checkpoint(self, target: Target) -> Checkpoint:
        """Return a checkpoint of a scratch database."""

    def scratch_databases(self) -> AbstractContextManager[ScratchMaker]:
        """Provide a maker of empty databases; a server that they need runs until the block ends.

        The maker returns a context manager: the database is removed at its end.
        """


class FastPath(Protocol):
    """Part `fast_path`: whether an upgrade has nothing to do. It loads neither SQLAlchemy nor Alembic."""

    def is_in_order_at(self, target: Target, revision: str) -> bool:
        """Return whether the database is at this one revision and nothing is wrong with it.

        It only reads and waits for no lock; False for a database that cannot be read.
        """


class Introspection(Protocol):
    """Part `introspection`: the structure of the connected database; it only reads, in the caller's transaction.

    `ignore` names tables to leave out with everything that belongs to them, as `name` (in any namespace) or as
    `namespace.name`.
    """

    def read_catalog(self, connection: Connection, ignore: Collection[str]) -> Snapshot:
        """Return the structure, read once."""

    def schema_tracker(self, ignore: Collection[str]) -> SchemaTracker:
        """Return a reader of the structure that reads again only what changed."""


class Alter(Protocol):
    """Part `alter`: the SQL that turns one structure into another; it is written into revisions."""

    def alter_statements(
        self, before: Snapshot, after: Snapshot, conversions: Conversions = ...
    ) -> tuple[AlterStatement, ...]:
        """Return statements that give a database with the structure `before` the structure `after`.

        The rows of a table that stays are kept, and the values of a column that stays or has a conversion. What has
        no name of its own in a model (a function, an extension, an object of a rarer kind) stays as it is.
        """

    def type_conversion(self, table: Table, column: str, new_type: str) -> TypeConversion | None:
        """Return how a column takes another type without wrong values, None where the server sees to it."""

    def occupy_tables(self, connection: Connection, tables: Iterable[Table]) -> None:
        """Give tables a row for a trial of statements, where the backend lets some pass only on empty ones."""


class Dump(Protocol):
    """Part `dump`: the structure and the revision of a database as SQL that loads into an empty one."""

    def dump_schema(self, target: Target, *version_tables: str) -> str:
        """Return one block for each table, with all that belongs to it; blank lines only separate blocks.

        The version tables and their rows come last. The same structure gives the same bytes, for every user and version
        of the tools. It only reads. Raises DatabaseFailedError, ProgramMissingError, ProgramTooOldError or
        ProgramFailedError.
        """

    def load_schema(self, target: Target, text: str) -> None:
        """Create in an empty database what a dump describes, in one transaction.

        Raises DatabaseNotEmptyError for a database that holds anything, DatabaseFailedError for a statement that
        fails; nothing of the dump is left then.
        """


class RowIO(Protocol):
    """Part `row_io`: how rows are selected so that they compare, and a writer for them."""

    def select_source(self, table: Table) -> str:
        """Return what to select from for the rows that are read with this table and no other."""

    def select_expression(self, column: Column) -> str:
        """Return what to select for a column, in a form that no driver, time zone or setting changes."""

    def cell_form(self, declared_type: str) -> CellForm:
        """Return the form of the cells of a column with this type."""

    def row_writer(self, connection: Connection) -> RowWriter:
        """Return a writer on this connection; close it."""


class Counters(Protocol):
    """Part `counters`: what gives rows their keys."""

    def numbered_columns(self, table: Table) -> tuple[str, ...]:
        """Return the columns that take their keys from a counter."""

    def read_counters(self, connection: Connection) -> tuple[Counter, ...]:
        """Return the counters with their positions, once for each column that reads one, in a stable order."""

    def restore_counters(
        self, connection: Connection, tables: Collection[TableId], counters: Iterable[Counter]
    ) -> None:
        """Set the counters of tables to these positions; one that is not given starts again."""

    def may_set_counters(self, sql: str) -> bool:
        """Return whether a statement seems to set a counter itself, and not by the rows that it inserts."""

    def set_counter_code(self, counter: Counter, table: Table, column: str) -> str:
        """Return the line of a revision that sets a counter behind the highest key of a column."""

    def keep_counter_code(self, table: Table, column: str) -> str:
        """Return the line of a revision that gives a rebuilt table its counter again."""


class Tracer(Protocol):
    """Part `tracer`: what a connection did."""

    def statement_tracer(self, connection: Connection, *, is_scratch: bool) -> StatementTracer | None:
        """Return a tracer for this connection; None for a server that cannot be observed.

        Statements of a scratch database may be tried and undone before they are executed.
        """

    def collect_written_tables(self, connection: Connection) -> AbstractContextManager[set[TableId] | None]:
        """Provide a set that collects the tables a block writes to; None where that cannot be observed."""

    def total_rows_written(self, cursor: Any) -> int:
        """Return how many rows the cursor's connection has written since it was opened; 0 where that is unknown."""

    def is_transaction_open(self, connection: Connection) -> bool:
        """Return whether a transaction is open, as the driver knows it without a query."""


class Replica(Protocol):
    """Part `replica`: copies of a database."""

    def open_replica_source(self, target: Target) -> AbstractContextManager[ReplicaSource]:
        """Open the target for reading, and give access to its copies, which are removed at the end.

        Raises MissingDatabaseError, DatabaseFailedError, and what prevents a throwaway server from starting.
        """


class Violations(Protocol):
    """Part `violations`: from an error to the rows that caused it."""

    def find_violation(self, error: BaseException, statement: str, raw: Any) -> Violation | None:
        """Return the rule that rows violate, or None for any other error.

        `raw` is SQLAlchemy's raw connection, in the state before the statement that failed with `error`.
        """

    def find_dangling_rows(self, raw: Any) -> Iterable[Violation]:
        """Return each foreign key that rows violate, where the database accepts such rows."""


class Probe(Protocol):
    """Part `probe`: one reader or writer of one table."""

    READERS_CAN_WAIT_TO_WRITE: bool
    """Whether a transaction that began by reading can wait for another writer before its first write."""

    def split_by_limit(self, tables: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the tables to probe, and those that are left out because there are too many.

        A table "" stands for all of them, where the database is locked as a whole.
        """

    def open_probe(self, target: Target, table: str, *, writes: bool) -> AbstractContextManager[ProbeAttempt]:
        """Provide a function that tries a table once, to read from it or to write to it.

        It returns whether the table could be used, False when it is locked, and None when trying again is useless.
        """


class WriteCounters(Protocol):
    """The rows written in a database that nobody else uses, since the counters were read."""

    def flush(self, connection: Connection) -> None:
        """Make the database add up what this connection has written, when its transaction ends."""

    def written_rows(self, connection: Connection) -> Sequence[tuple[TableId, tuple[int, int, int]]]:
        """Return the tables in which rows were written: how many inserted, updated, deleted. Call flush() before."""

    def written_tables(self, connection: Connection) -> Collection[TableId]:
        """Return the tables in which rows were written or that were rewritten. Call flush() before."""


class RowCounts(Protocol):
    """Part `row_counts`: for a database that counts the rows that are written."""

    def write_counters(self, connection: Connection) -> WriteCounters:
        """Return the counters as of now."""


class RowCompare(Protocol):
    """Part `row_compare`: one table in two databases."""

    def compare_rows(
        self, source: Target, clone: Target, table: TableId, key: Sequence[str], columns: Sequence[str]
    ) -> list[int]:
        """Return how many rows the source has, how many the clone lacks, and for each column how many values differ.

        Without a key only the numbers of rows are compared.
        """
