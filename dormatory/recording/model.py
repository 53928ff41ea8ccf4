"""The result of a replay as values: what each revision did, leg by leg and statement by statement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from dormatory.errors.base import declares_no_way_back
from dormatory.errors.failure_origin import FailureOrigin
from dormatory.errors.location import NOWHERE, Location
from dormatory.recording.offending_rows import OffendingRows
from dormatory.schema.changes import Change
from dormatory.schema.snapshot import Snapshot
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


class RowKind(Enum):
    """The rows that a leg failed on, while it passes without them."""

    EXTREME = "extreme values"
    OLD = "rows that were there before the upgrade"
    NEW = "rows that were added after the upgrade"


@dataclass(frozen=True, slots=True)
class RowFailure:
    """A leg that failed on some rows, and passes without them: whoever has such rows meets the failure.

    `rows` says which ones, if that is known. `statement` is the last one before the failure, "" if there was none.
    """

    direction: Direction
    failure: Failure
    kind: RowKind
    rows: OffendingRows | None = None
    statement: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentDependence:
    """What an upgrade makes differently with another time zone, locale, user or order of sets.

    `object` is its name in findings, `what` it is in a sentence; `line` is that of the statement, 0 if unknown.
    """

    object: str
    what: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """The round trip of one revision, as far as it got: the structure before and after it, and which rows it lost.

    `drops` are the columns and tables that it drops outright, with their values, and that come back empty.
    `after` is None if the upgrade failed. Each leg is from a trip on the least plain rows with which it passes;
    `row_failures` are its failures on other rows. `dependences` are what the upgrade makes differently in another
    environment.
    """

    revision: str
    legs: tuple[Leg, ...]
    before: Snapshot
    after: Snapshot | None = None
    losses: tuple[Loss, ...] = ()
    row_failures: tuple[RowFailure, ...] = ()
    drops: tuple[Loss, ...] = ()
    dependences: tuple[EnvironmentDependence, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether every leg succeeded on all rows and left the expected structure and rows."""
        return not self.losses and not self.row_failures and all(leg.is_clean for leg in self.legs)

    @property
    def has_clean_downgrade(self) -> bool:
        """Whether the downgrade undid the revision completely, whatever the rows."""
        is_undone = any(leg.direction is Direction.DOWNGRADE and leg.is_clean for leg in self.legs)
        return is_undone and not self.row_failures


class RouteKind(Enum):
    """The ways through a whole history, in addition to one round trip after the other."""

    DOWN = "all the way down"
    UP = "all the way up in one run"
    OTHER_ORDER = "another order of branches"


@dataclass(frozen=True, slots=True)
class Route:
    """Many revisions replayed in a row: in which order, and the difference from the expected structure at the end.

    `stopped` is the revision that failed with `failure`, "" if none did. `revisions` are those that were replayed,
    including the one that failed.
    """

    kind: RouteKind
    revisions: tuple[str, ...]
    seconds: float
    trace: tuple[Change, ...] = ()
    stopped: str = ""
    failure: Failure | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the route reached its end and left the expected structure."""
        return self.failure is None and not self.trace


@dataclass(frozen=True, slots=True)
class UnimportedModels:
    """A file that describes tables of the models and was not imported.

    `path` is relative to the project's root. `described` are its tables and classes, such as `table invoice`;
    `import_statement` imports them.
    """

    path: str
    described: tuple[str, ...]
    import_statement: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The schema at the head of the history, and the schema that the models describe, None if env.py has no models.

    `left_out` is what env.py leaves out of the comparison, and would differ: `modelled` has it as `migrated` has it.
    `extension_indexes` are indexes of the history that an extension makes possible. `unimported` are files whose models
    are missing in `modelled`.
    """

    backend: str
    server: str
    migrated: Snapshot
    modelled: Snapshot | None
    left_out: tuple[str, ...] = ()
    extension_indexes: frozenset[str] = frozenset()
    unimported: tuple[UnimportedModels, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole history, replayed on a scratch database of one backend.

    `unreached` are the revisions after one whose upgrade failed; `unfilled` are tables that could not be filled with
    rows, each with the reason.
    """

    backend: str
    server: str
    steps: tuple[Step, ...]
    routes: tuple[Route, ...] = ()
    unreached: tuple[str, ...] = ()
    unfilled: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ChangesByHand:
    """The difference between the schema of the history and the actual one; `problem` is why they were not compared."""

    revisions: tuple[str, ...]
    changes: tuple[Change, ...]
    problem: str = ""


class LossKind(Enum):
    """The ways in which rows or values are lost that could have been kept."""

    ROWS_DELETED = "rows-deleted"
    ROWS_DUPLICATED = "rows-duplicated"
    VALUES_CHANGED = "values-changed"
    VALUES_LOST = "values-lost"
    TRUNCATED = "truncated"
    SHIFTED = "shifted"
    REENCODED = "reencoded"
    MAPPING_NOT_INVERTED = "mapping-not-inverted"
    SPLIT_NOT_JOINED = "split-not-joined"
    DANGLING = "dangling-foreign-keys"
    MISPLACED = "values-misplaced"
    COUNTER_BEHIND = "counter-behind"
    DROPPED = "values-dropped"


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows or values that a leg should have kept.

    `column` is "" for whole rows. `is_stated` is true if the revision does it knowingly, such as by a DELETE on that
    table, although nothing declares the loss. `is_narrowed` is true if a narrower type or constraint did it, so that
    extreme values count as any others. `is_extreme` is true if only extreme values are lost. `line` is the line of the
    revision that did it, 0 where it is unknown. `example` shows one value before and after; it is "" unless the rows
    were generated. `remedy` is what to write, as code.
    """

    kind: LossKind
    direction: Direction
    table: str
    column: str
    count: int
    of: int
    evidence: str = ""
    is_stated: bool = False
    is_narrowed: bool = False
    line: int = 0
    example: str = ""
    remedy: str = ""
    is_extreme: bool = False

    def __str__(self) -> str:
        """Return one sentence for messages."""
        details = "; ".join(filter(None, (self.example, self.evidence)))
        return self._sentence() + (f" ({details})" if details else "")

    def _sentence(self) -> str:
        when = _LEG_NAMES[self.direction]
        where = f"{self.table}.{self.column}" if self.column else self.table
        rows = f"{self.count} of {self.of} {'row' if self.of == 1 else 'rows'} of {where}"
        values = f"{self.count} of {self.of} {'value' if self.of == 1 else 'values'} of {where}"
        be = "is" if self.count == 1 else "are"
        match self.kind:
            case LossKind.MISPLACED:
                what = f"values of {where} are in the wrong columns"
            case LossKind.COUNTER_BEHIND:
                what = f"the counter of {where} is wrong"
            case LossKind.DANGLING:
                what = f"{values} {'names' if self.count == 1 else 'name'} no row"
            case _:
                is_merged = (self.kind, self.direction) == (LossKind.MAPPING_NOT_INVERTED, Direction.UPGRADE)
                words = "replaced by others" if is_merged else _CHANGE_WORDS[self.kind]
                what = f"{values if self.column else rows} {be} {words}"
        return f"{what} after the {when}"


_LEG_NAMES = {direction: direction.value for direction in Direction}
_CHANGE_WORDS = {
    LossKind.ROWS_DELETED: "gone",
    LossKind.ROWS_DUPLICATED: "there twice",
    LossKind.VALUES_CHANGED: "changed",
    LossKind.VALUES_LOST: "lost",
    LossKind.TRUNCATED: "cut off",
    LossKind.SHIFTED: "shifted in time",
    LossKind.REENCODED: "written in another form",
    LossKind.MAPPING_NOT_INVERTED: "still what the upgrade made of them",
    LossKind.SPLIT_NOT_JOINED: "not put together again from their parts",
    LossKind.DROPPED: "dropped with it",
}
