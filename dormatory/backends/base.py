"""What a kind of database must answer; the rest of the workflow asks and never branches on a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from dormatory.backends.postgresql.blockers import Blocker, BlockerMonitor
    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError


@dataclass(frozen=True, slots=True)
class DatabaseSummary:
    """What a database holds and who uses it: what a destructive command shows before it acts.

    `environment` is what the database says of itself: development, or production when it says nothing.
    `rows` counts SQLite's exactly and PostgreSQL's as its statistics know them; `sessions` are those of others.
    """

    server: str
    database: str
    user: str
    environment: str
    tables: int
    rows: int
    sessions: int


class LockTimeout(Protocol):
    """What a migrating connection does about locks that others hold."""

    @property
    def blocker(self) -> Blocker | None:
        """The session that was last seen in the way, if somebody looked."""

    def begin_revision(self) -> None:
        """Set the limit that holds at the beginning of each revision."""

    def is_timeout(self, error: BaseException) -> bool:
        """Say whether an error means that a lock was not given in time."""


class Backend(Protocol):
    """One kind of database; every method takes the target it acts on."""

    name: str
    transaction_per_migration: bool
    """Whether each revision commits on its own, or all pending ones together."""

    compares_defaults: bool
    """Whether Alembic can tell two spellings of a server default from two defaults: only a server can evaluate them."""

    own_session_count: int
    """How many of the sessions that a database counts are a running migration's own."""

    backup_suffix: str
    """How the name of a backup ends."""

    def engine(self, target: Target, *, writing: bool, wait_seconds: float = ...) -> Engine:
        """Return an engine that migrates (`writing`) or only looks, without a pool.

        It waits at most `wait_seconds` for another writer of the same file; a server has none of these.
        """

    def exists(self, target: Target) -> bool:
        """Say whether the database is there."""

    def create(self, target: Target) -> None:
        """Create the database, empty and marked as a development database."""

    def drop(self, target: Target) -> None:
        """Remove the database and everything that belongs to it."""

    def summary(self, target: Target) -> DatabaseSummary:
        """Look at what would be lost with the database."""

    def create_backup(self, target: Target, file: Path) -> None:
        """Copy the database into `file`, which only we may read and which is there only when it was read back whole.

        Raises BackupFailedError; the database is as it was, whatever happens.
        """

    def restore(self, target: Target, file: Path) -> None:
        """Put a backup in the database's place, all of it or nothing; what the database says of itself stays.

        Raises NotABackupError for a file that does not hold a backup of this kind of database.
        """

    def version(self, connection: Connection) -> str:
        """Return the product and its version, such as `PostgreSQL 18.6`."""

    def upgrade_lock(
        self, target: Target, version_table: str, *, wait_seconds: float = ...
    ) -> AbstractContextManager[BlockerMonitor | None]:
        """Keep other migrations with the same version table out for the length of the block.

        It waits for them at most `wait_seconds`, and says so; then raises BusyError. What it gives, patience() takes.
        """

    def has_dedicated_session(self, connection: Connection) -> bool:
        """Say whether all statements of a connection, which has not begun anything, reach one session of the server."""

    def limit_lock_waits(
        self, connection: Connection, seconds: float, monitor: BlockerMonitor | None
    ) -> AbstractContextManager[LockTimeout | None]:
        """Let a connection wait at most `seconds` for each lock; None where nothing ever waits for one."""

    def cancel(self, connection: Connection) -> None:
        """Break off the statement that a connection is busy with; called from another thread."""

    def apply_connect_listeners(self, connection: Connection, target: Target) -> None:
        """Give an idle connection what listeners that an application has set up since would have given it."""

    def refuse_leftovers(self, connection: Connection) -> None:
        """Raise when an earlier failure left something that the next run would trip over."""

    def refuse_dangling_rows(self, connection: Connection) -> None:
        """Raise when the rows do not hold together, while what was done can still be rolled back."""

    def refuse_invalid_objects(self, connection: Connection) -> None:
        """Raise when an object stands in the schema and does not work."""

    def shell_command(self, target: Target) -> list[str]:
        """Return the command line of the database's own client, without any secret."""

    def explain(self, error: BaseException, target: Target) -> DormatoryError:
        """Return what a driver's error means to the user, with nothing secret in it."""


@dataclass(frozen=True, slots=True)
class ReplicaInfo:
    """A copy of the target: how the servers there and here call themselves, and what is in it.

    `sample` is how many rows of each table were asked for, 0 for all. `notes` are what else differs from the target.
    """

    source: str
    server: str
    tables: int
    rows: int
    seconds: float
    sample: int = 0
    notes: tuple[str, ...] = ()
