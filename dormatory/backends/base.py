"""What the workflow needs of a kind of database: facts, methods, and parts that load when they are first used.

A backend is a folder. Its `backend.py` has a subclass of Backend; each part is a module of the part's name in the same
folder. README.md in this directory lists what a new backend must bring, and what it may leave out.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from dormatory.backends.parts import (
        Alter,
        Backup,
        Counters,
        Dump,
        FastPath,
        Introspection,
        Probe,
        Replica,
        RowCompare,
        RowCounts,
        RowIO,
        Scratch,
        Tracer,
        Violations,
    )
    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError


@dataclass(frozen=True, slots=True)
class DatabaseSummary:
    """What a database holds and who uses it: what a destructive command shows before it acts.

    `environment` is what the database is marked as: development, or production where it has no mark. `rows` are
    counted on SQLite and estimated from the statistics on PostgreSQL, which know nothing of `uncounted_tables`;
    `sessions` are those of others.
    """

    server: str
    database: str
    user: str
    environment: str
    tables: int
    rows: int
    sessions: int
    uncounted_tables: int = 0


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds a lock which a migration waits for; `pid` is its process, 0 where there is none to end."""

    pid: int
    description: str

    def __str__(self) -> str:
        return self.description


class BlockerMonitor(Protocol):
    """Watches which session blocks another one, from the session that holds the upgrade lock."""

    def refuse_lost_lock(self) -> None:
        """Raise LostLockError if the session, and the lock with it, is gone."""

    def watch_stalls(self, connection: Connection) -> None:
        """Say after some seconds what a statement of the connection waits for; close one that passes nothing on."""

    @property
    def last_blocker(self) -> Blocker | None:
        """The session that was last seen to hold the lock; if there were several, the one that began first."""

    def reset(self) -> None:
        """Forget the session that was last seen."""

    def watch(self, pid: int, interval_seconds: float) -> AbstractContextManager[None]:
        """Query repeatedly, until the block ends, which session blocks the session of the process `pid`."""


class LockTimeout(Protocol):
    """How long a migrating connection waits for locks that others hold."""

    @property
    def blocker(self) -> Blocker | None:
        """The session that was last seen to hold the lock; None if it is unknown."""

    def begin_revision(self) -> None:
        """Set the limit that holds at the beginning of each revision."""

    def is_timeout(self, error: BaseException) -> bool:
        """Return whether an error means that a lock was not granted in time."""


class _Part:
    """A module of the backend's folder, imported when the attribute of the same name is first read.

    None for an optional part that the folder does not have.
    """

    def __init__(self, *, is_optional: bool) -> None:
        self._is_optional = is_optional

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, backend: Backend, _owner: type) -> Any:
        name = f"dormatory.backends.{backend.name}.{self._name}"
        module = import_module(name) if not self._is_optional or find_spec(name) else None
        backend.__dict__[self._name] = module  # found there from now on
        return module


def _part(*, optional: bool = False) -> Any:
    return _Part(is_optional=optional)


class Backend(ABC):
    """One kind of database. Methods take the target or the connection they act on; there is no state.

    Loading a backend loads its driver but not SQLAlchemy: the parts and the methods that need it import it themselves.
    """

    name: ClassVar[str]
    """How SQLAlchemy calls the dialect; also the name of the folder."""

    title: ClassVar[str]
    """How its makers write it."""

    async_drivers: ClassVar[tuple[str, ...]] = ()
    """SQLAlchemy's asynchronous drivers, the preferred one first: for projects whose env.py needs one."""

    is_file: ClassVar[bool]
    """Whether a database is one file with one lock: a migration keeps all other writers waiting."""

    has_namespaces: ClassVar[bool] = False
    """Whether a database has namespaces that must be created before their tables."""

    transaction_per_migration: ClassVar[bool]
    """Whether each revision commits on its own, or all pending ones together."""

    compares_defaults: ClassVar[bool] = False
    """Whether Alembic may compare server defaults: only a server can evaluate two spellings of one default."""

    has_online_forms: ClassVar[bool] = False
    """Whether an index can be built, and a constraint be checked, while others write."""

    own_session_count: ClassVar[int] = 0
    """How many of the sessions that a database counts belong to a running migration."""

    backup_suffix: ClassVar[str]
    """How the name of a backup ends."""

    backup: Backup = _part()
    scratch: Scratch = _part()
    fast_path: FastPath | None = _part(optional=True)
    introspection: Introspection = _part()
    dump: Dump = _part()
    alter: Alter = _part()
    row_io: RowIO = _part()
    counters: Counters = _part()
    tracer: Tracer = _part()
    replica: Replica = _part()
    probe: Probe = _part()
    violations: Violations = _part()
    row_compare: RowCompare = _part()
    row_counts: RowCounts | None = _part(optional=True)

    # Databases.

    @abstractmethod
    def exists(self, target: Target) -> bool:
        """Return whether the database exists; raises DatabaseFailedError when that cannot be found out."""

    @abstractmethod
    def create(self, target: Target) -> None:
        """Create the database, empty and marked as a development database; an existing one stays as it is."""

    def remove_unused(self, target: Target) -> None:  # noqa: B027
        """Remove what create() made, if it is empty and nobody else uses it; by default it stays."""

    @abstractmethod
    def drop(self, target: Target) -> None:
        """Remove the database and everything that belongs to it; a missing one is no error."""

    @abstractmethod
    def incarnation(self, target: Target) -> str:
        """Return what becomes another text when another database takes this one's place; "" for a missing one."""

    @abstractmethod
    def summary(self, target: Target) -> DatabaseSummary:
        """Return what would be lost with the database; raises MissingDatabaseError."""

    @abstractmethod
    def location(self, target: Target) -> tuple[str, str]:
        """Return a short name of the database, and a text that distinguishes it from others of that name.

        The text depends neither on the user nor on a secret: the backups of a database are found by it.
        """

    @abstractmethod
    def shell_command(self, target: Target) -> list[str]:
        """Return the command line of the database's own client, without any secret."""

    @abstractmethod
    def explain(self, error: BaseException, target: Target) -> DormatoryError:
        """Return what a driver's error means to the user, without secrets."""

    @abstractmethod
    def is_system_failure(self, error: BaseException) -> bool:
        """Return whether a driver's error is one of the server, the disk or a setting, which no revision can avoid."""

    def role_fix(self, error: BaseException) -> str:  # noqa: ARG002  # a backend without roles
        """Return what to do where the role lacks a right that a revision needs, "" for any other error."""
        return ""

    @abstractmethod
    def is_content_error(self, error: BaseException) -> bool:
        """Return whether a driver's error says that a text is not in the form that a function or a type reads.

        The form of a number, a date or a boolean does not count: it is that of a whole column, not of a document.
        """

    # Connections.

    @abstractmethod
    def engine(self, target: Target, *, writing: bool, wait_seconds: float = ...) -> Engine:
        """Return an engine without a pool, for a migration (`writing`) or only for reading.

        It waits at most `wait_seconds` for another writer of the same file; on a server this has no meaning.
        """

    @abstractmethod
    def driver_connection(self, target: Target, *, writing: bool) -> AbstractContextManager[Any]:
        """Open a connection of the driver for the length of the block; raises DatabaseFailedError for its errors."""

    @abstractmethod
    def version(self, connection: Connection) -> str:
        """Return the product and its version, such as `PostgreSQL 18.6`."""

    def environment_mark(self, connection: Connection) -> str:  # noqa: ARG002  # a file has no mark
        """Return what the connected database is marked as: development, or production without a mark; "" for a file."""
        return ""

    @abstractmethod
    def identity(self, connection: Connection) -> tuple[str, str]:
        """Return what distinguishes the connected database from all others: its server, and its name or path there."""

    def set_time_zone(self, connection: Connection, zone: str) -> str:  # noqa: ARG002  # a backend without such a setting
        """Let the session show times in a zone, and return the one it had; "" where sessions have none."""
        return ""

    def search_path(self, connection: Connection) -> tuple[str, ...]:  # noqa: ARG002  # a backend without namespaces
        """Return the namespaces in which the session looks for unqualified names, in order; () if there are none."""
        return ()

    def set_search_path(self, connection: Connection, namespaces: Sequence[str]) -> None:  # noqa: B027
        """Let the session look in these namespaces, and create in the first; by default nothing happens."""

    def create_roles(self, connection: Connection, names: Sequence[str]) -> None:  # noqa: B027
        """Create roles that may do everything, unless they exist; by default there are no roles."""

    @abstractmethod
    def execute_script(self, connection: Connection, text: str) -> None:
        """Execute many statements in one text, which SQLAlchemy cannot do."""

    @abstractmethod
    def driver_module(self, driver: str) -> str:
        """Return the module of a driver by SQLAlchemy's name, such as `aiosqlite`; "" is the dialect's default."""

    @abstractmethod
    def cancel(self, connection: Connection) -> None:
        """Cancel the statement that a connection is executing; called from another thread."""

    def has_dedicated_session(self, connection: Connection) -> bool:  # noqa: ARG002
        """Return whether all statements of an idle connection reach one session of the server; by default they do."""
        return True

    def apply_connect_listeners(self, connection: Connection, target: Target) -> None:  # noqa: B027
        """Give an idle connection what the application's own connect listeners would set on it; by default nothing.

        Only settings that change what a migration does are copied.
        """

    def is_same_value(self, connection: Connection, declared_type: str, one: str, other: str) -> bool:  # noqa: ARG002
        """Return whether two constant expressions give a column of a type the same value; False if that is unknown."""
        return False

    def extension_indexes(self, connection: Connection) -> frozenset[str]:  # noqa: ARG002
        """Return the names of the indexes that use an access method or an operator class of an extension."""
        return frozenset()

    # Locks between migrations, and locks of others.

    def upgrade_lock(
        self,
        target: Target,  # noqa: ARG002
        version_table: str,  # noqa: ARG002
        *,
        wait_seconds: float = 0,  # noqa: ARG002
    ) -> AbstractContextManager[BlockerMonitor | None]:
        """Keep other migrations with the same version table out for the length of the block.

        It waits for them at most `wait_seconds`, with a warning, then raises DatabaseLockedError. What the block gets
        is the `monitor` of limit_lock_waits(). By default nothing happens: the transaction of the first write is the
        lock.
        """
        return contextlib.nullcontext()

    def limit_lock_waits(
        self,
        connection: Connection,  # noqa: ARG002
        seconds: float,  # noqa: ARG002
        monitor: BlockerMonitor | None,  # noqa: ARG002
    ) -> AbstractContextManager[LockTimeout | None]:
        """Let a connection wait at most `seconds` for each lock; by default None: there are no locks."""
        return contextlib.nullcontext()

    @abstractmethod
    def running_migration(self, target: Target, version_table: str) -> str:
        """Return who is changing the database now, since when and with what, without waiting; "" for nobody."""

    @abstractmethod
    def limit_reading_waits(self, connection: Connection, seconds: float) -> None:
        """Let an idle connection wait at most so long for what others have locked."""

    def refuse_read_only(self, target: Target) -> None:  # noqa: B027
        """Raise ReadOnlyURLError for a URL that opens a file for reading only; by default there is no such URL."""

    def refuse_damage(self, target: Target, *, wait_seconds: float = 0) -> None:  # noqa: B027
        """Raise DamagedDatabaseError for a file whose pages contradict each other; by default there is no file."""

    # What a migration must not begin with or leave behind; by default there is nothing to find.

    def refuse_leftovers(self, connection: Connection) -> None:  # noqa: B027
        """Raise when an earlier failure left something that makes the next run fail."""

    def refuse_dangling_rows(self, connection: Connection) -> None:  # noqa: B027
        """Raise when a foreign key is violated, while the transaction can still be rolled back."""

    def rebuild_invalid_objects(self, target: Target, version_table: str, pending: Collection[str]) -> None:  # noqa: B027
        """Build what refuse_invalid_objects() refuses again; what a pending revision makes is dropped.

        `pending` are the names of what pending revisions make.
        """

    def refuse_invalid_objects(self, connection: Connection) -> None:  # noqa: B027
        """Raise when an object of the schema exists and does not work."""
