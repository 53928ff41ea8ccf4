"""The result of a replay as values: what each revision did, leg by leg, and which rows it lost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dormatory.recording.leg import Direction, Failure, Leg
from dormatory.recording.loss import Loss
from dormatory.recording.offending_rows import OffendingRows
from dormatory.schema.changes import Change
from dormatory.schema.snapshot import Snapshot


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
    are missing in `modelled`, `uncreatable` are indexes of models without columns.
    """

    backend: str
    server: str
    migrated: Snapshot
    modelled: Snapshot | None
    left_out: tuple[str, ...] = ()
    extension_indexes: frozenset[str] = frozenset()
    unimported: tuple[UnimportedModels, ...] = ()
    uncreatable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole history, replayed on a scratch database of one backend.

    `unreached` are the revisions after one whose upgrade failed; `unfilled` are tables that could not be filled with
    rows, each with the reason. `version_table` is that of the pass of env.py that was replayed, one of `pass_count`;
    `most_passes` is how many env.py ever made in one run, on a database with rows. `empty_tables_of_env` are tables of
    the project that env.py itself reads from, and that never had rows then.
    """

    backend: str
    server: str
    steps: tuple[Step, ...]
    routes: tuple[Route, ...] = ()
    unreached: tuple[str, ...] = ()
    unfilled: tuple[tuple[str, str], ...] = ()
    version_table: str = ""
    pass_count: int = 1
    most_passes: int = 1
    empty_tables_of_env: tuple[str, ...] = ()

    @property
    def last_played(self) -> str:
        """The revision that failed, so that others are unreached; "" if none are."""
        if not self.unreached:
            return ""
        stopped = [route.stopped for route in self.routes if route.stopped]
        return self.steps[-1].revision if self.steps else stopped[-1]


@dataclass(frozen=True, slots=True)
class ChangesByHand:
    """The difference between the schema of the history and the actual one; `problem` is why they were not compared."""

    revisions: tuple[str, ...]
    changes: tuple[Change, ...]
    problem: str = ""
