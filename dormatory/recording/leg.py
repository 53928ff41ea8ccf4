"""One leg of a round trip as a value: its statements with what they locked, how it failed, what it left behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.errors.base import declares_no_way_back
from dormatory.errors.failure_origin import FailureOrigin
from dormatory.errors.location import NOWHERE, Location
from dormatory.recording.offending_rows import OffendingRows
from dormatory.schema.changes import Change
from dormatory.sql.lock_modes import LOCK_MODES
from dormatory.sql.masking import without_secrets
from dormatory.system.text import shorten

if TYPE_CHECKING:
    from dormatory.errors import DormatoryError

_MAX_REASON_LENGTH = 400  # characters: a made-up value may be as long as its column allows


class Direction(Enum):
    """The three legs of a round trip, in the order in which they are replayed."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    SECOND_UPGRADE = "second upgrade"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on a table that existed before the leg: `mode` is one of LOCK_MODES.

    `seconds` is how long it was held: from the start of the statement that took it to the end of its transaction.
    """

    table: str
    mode: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement as it was executed, and the line of the revision that issued it.

    `parameters` are the types of its parameters, never their values. `line` is 0 where no line of a revision issued
    it, such as Alembic's own book-keeping. `rows` is what the driver counted, or -1. `transaction` numbers
    the transactions of the leg from 1; 0 is a statement that was a transaction of its own.

    The rest is for PostgreSQL, and for tables that existed before the leg: `locks` that it took or made stronger,
    tables and indexes that it rewrote (`rewritten`), tables that it read from end to end (`scanned`). `lock_timeout` is
    the setting in force, in milliseconds, 0 where it waits without limit.

    A PostgreSQL statement may also have been tried, and undone, as an owner of the database who is no superuser:
    `owner_refusal` is what the server answered, `owner_rows` how many rows he reaches, -1 where that is not known.

    `foreign_keys` is for SQLite: whether they were enforced before and after a statement that switches them, None for
    every other statement.
    """

    sql: str
    parameters: tuple[str, ...]
    file: str
    line: int
    seconds: float
    rows: int
    transaction: int = 1
    lock_timeout: int = 0
    locks: tuple[Lock, ...] = ()
    rewritten: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    owner_refusal: str = ""
    owner_rows: int = -1
    foreign_keys: tuple[bool, bool] | None = None


@dataclass(frozen=True, slots=True)
class TransactionEnd:
    """The place where a revision ended by itself the transaction that it ran in; `verb` is COMMIT or ROLLBACK."""

    verb: str
    location: Location


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value: its class, what happened, why, how to fix it, and the place in a file, if that is known.

    `is_declared` is true if the revision itself raised NotImplementedError: it declares this direction impossible.
    """

    kind: str
    what: str
    why: str
    fix: str
    location: Location = NOWHERE
    is_declared: bool = False
    origin: FailureOrigin = FailureOrigin.STATEMENT

    def __str__(self) -> str:
        """Return one sentence, the same as that of the error."""
        return f"{self.what} ({self.why}); {self.fix}"

    @classmethod
    def from_error(cls, error: DormatoryError) -> Failure:
        """Return the error as a value, without secrets; the values of rows that a server quotes in it stay."""
        declared = declares_no_way_back(error.__cause__)
        what, why = without_secrets(error.what), without_secrets(str(error.__cause__) if declared else error.why)
        location, origin = getattr(error, "location", NOWHERE), getattr(error, "origin", FailureOrigin.STATEMENT)
        why = shorten(why, _MAX_REASON_LENGTH)
        return cls(type(error).__name__, what, why, error.fix, location, declared, origin)


@dataclass(frozen=True, slots=True)
class Leg:
    """One revision replayed in one direction.

    `trace` is the difference from the expected structure: after the downgrade from that before the upgrade, after the
    second upgrade from that after the first. `failure` is the error that ended the leg early. `transaction_ends` are
    the ends of transactions that the revision itself asked for, outside of an autocommit block. `offending_rows` are
    those that it failed on.
    """

    direction: Direction
    seconds: float
    statements: tuple[Statement, ...] = ()
    trace: tuple[Change, ...] = ()
    failure: Failure | None = None
    transaction_ends: tuple[TransactionEnd, ...] = ()
    offending_rows: OffendingRows | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the leg succeeded and left the expected structure."""
        return self.failure is None and not self.trace

    @property
    def locks(self) -> tuple[Lock, ...]:
        """The strongest lock on each table and the longest time of any lock on it, ordered by the name of the table."""
        strongest: dict[str, Lock] = {}
        for lock in (lock for statement in self.statements for lock in statement.locks):
            known = strongest.get(lock.table, lock)
            mode = max(known.mode, lock.mode, key=LOCK_MODES.index)
            strongest[lock.table] = Lock(lock.table, mode, max(known.seconds, lock.seconds))
        return tuple(strongest[table] for table in sorted(strongest))
