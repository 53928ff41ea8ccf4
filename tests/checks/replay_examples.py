"""For each rule something that makes it fire, and a neighbour that must not: rules of recordings and schemas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.checks.data import rows_kept
from dormatory.checks.drift import changed_by_hand, drift
from dormatory.checks.dump import stale_dump
from dormatory.checks.engine_errors import unsupported
from dormatory.checks.finding import Complaint
from dormatory.checks.locks import locks
from dormatory.checks.parity import parity
from dormatory.checks.parity_comments import Declaration
from dormatory.checks.roundtrip import round_trip
from dormatory.checks.squawk import executed, squawked
from dormatory.project.history import History, Revision
from dormatory.recording.model import (
    Comparison,
    Course,
    Direction,
    Failure,
    Kind,
    Leg,
    LiveDrift,
    Lock,
    Loss,
    Passage,
    Recording,
    Statement,
    Step,
)
from dormatory.schema.changes import ColumnsReordered, ObjectAdded
from dormatory.schema.snapshot import Column, Index, Snapshot, Table, View
from tests.checks.file_examples import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.schema.changes import Change

UP, DOWN, AGAIN = Direction
FILE = Path("versions/002_step.py")
FIRST = Revision("001", (), (), (), "Do one", "", Path("versions/001_step.py"), downgrade_line=9)
SECOND = Revision("002", ("001",), (), (), "Do two", "", FILE, downgrade_line=9)

INDEX = Index("ix_a_word", "USING btree (word)", keys=("word",))
A = Table("public", "a", columns=(Column("id", "integer", nullable=False), Column("word", "text")), indexes=(INDEX,))
B = Table("public", "b", columns=(Column("id", "integer", nullable=False),))
C = Table("public", "c", columns=(Column("id", "integer"),))
BEFORE = Snapshot(tables=(A, B))


def failure(why: str = "OperationalError: it is so", *, is_declared: bool = False) -> Failure:
    """Return why a leg did not end."""
    return Failure("RevisionFailedError", "a revision failed", why, "mend it", f"{FILE}:7", is_declared)


def legs(**failed: Failure | tuple[Change, ...]) -> tuple[Leg, ...]:
    """Return the legs of a trip; a failure or a trace by the name of its leg, behind which there is none."""
    found: list[Leg] = []
    for name, direction in (("up", UP), ("down", DOWN), ("again", AGAIN)):
        wrong = failed.get(name, ())
        failing = wrong if isinstance(wrong, Failure) else None
        found.append(Leg(direction, 0.1, trace=() if isinstance(wrong, Failure) else wrong, failure=failing))
        if failing:
            break
    return tuple(found)


def step(**failed: Failure | tuple[Change, ...]) -> Step:
    """Return a trip of the second revision."""
    return Step("002", legs(**failed), BEFORE, BEFORE)


def played(step: Step, *, revision: Revision = SECOND, **more: Any) -> tuple[Recording, History]:
    """Return a recording of one step, and the history."""
    return Recording("postgresql", "PostgreSQL 18.0", (step,), **more), History((FIRST, revision))


def tripped(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Judge a round trip."""
    return round_trip(*given)


def passed(course: Course, trace: tuple[Change, ...]) -> tuple[Recording, History]:
    """Return a recording with another way through the history."""
    return played(step(), passages=(Passage(course, ("001", "002"), 0.1, trace),))


LEFT: tuple[Change, ...] = (ObjectAdded(C),)
MOVED: tuple[Change, ...] = (ColumnsReordered("a", "table", ("id", "word"), ("word", "id")),)
BASE = replace(FIRST, id="002")  # what has no parent

ROUND_TRIP: Mapping[str, Pair] = {
    "upgrade-fails": Pair(tripped, played(step(up=failure())), played(step())),
    "downgrade-fails": Pair(
        tripped, played(step(down=failure())), played(step(down=failure("there is no way", is_declared=True)))
    ),
    "second-upgrade-fails": Pair(tripped, played(step(again=failure())), played(step())),
    "trace": Pair(tripped, played(step(down=LEFT)), played(step(down=MOVED))),
    "second-upgrade-differs": Pair(tripped, played(step(again=LEFT)), played(step(again=MOVED))),
    "rows-refused": Pair(tripped, played(replace(step(), refused=failure())), played(step())),
    "way-down": Pair(tripped, passed(Course.DOWN, LEFT), passed(Course.DOWN, MOVED)),
    "one-run-differs": Pair(tripped, passed(Course.UP, LEFT), passed(Course.UP, ())),
    "branch-order": Pair(tripped, passed(Course.OTHER_ORDER, LEFT), passed(Course.OTHER_ORDER, MOVED)),
    "no-path-from-empty": Pair(
        tripped,
        (played(step(up=failure("no such table: a")))[0], History((BASE,))),
        played(step(up=failure("no such table: a"))),
    ),
    "irreversible-is-not": Pair(
        tripped,
        played(step(), revision=replace(SECOND, irreversible="so they say")),
        played(step(down=LEFT), revision=replace(SECOND, irreversible="so they say")),
    ),
    "irreversible": Pair(
        tripped, played(step(down=failure("rows were erased", is_declared=True))), played(step(down=failure()))
    ),
    "not-played": Pair(tripped, played(step(up=failure()), unreached=("002",)), played(step(up=failure()))),
}


def kept(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Judge what became of rows."""
    return rows_kept(*given)


def lost(kind: Kind) -> tuple[Recording, History]:
    """Return a recording in which something was lost."""
    return played(replace(step(), losses=(Loss(kind, DOWN, "a", "word", 1, 2),)))


DATA: Mapping[str, Pair] = {kind.value: Pair(kept, lost(kind), played(step())) for kind in Kind}


def compared(given: tuple[Snapshot, Snapshot]) -> Iterable[Finding]:
    """Judge the migrated schema and the models'."""
    return drift(Comparison("postgresql", "PostgreSQL 18.0", *given))


def live(changes: tuple[Change, ...]) -> Iterable[Finding]:
    """Judge a database."""
    return changed_by_hand(LiveDrift(("002",), changes), "postgresql")


def declared(given: tuple[tuple[Column, ...], tuple[Declaration, ...]]) -> Iterable[Finding]:
    """Judge two backends, of which PostgreSQL has these columns, and what revisions say of them."""
    columns, said = given
    sqlite, postgresql = (Snapshot(tables=(replace(A, columns=of, indexes=()),)) for of in (A.columns, columns))
    return parity(sqlite, postgresql, said)


def dumped(fresh: str) -> Iterable[Finding]:
    """Judge a committed dump."""
    return stale_dump(Path("schema/postgresql.sql"), "CREATE TABLE a ();\n", fresh, backend="postgresql")


def supported(backends: tuple[str, ...]) -> Iterable[Finding]:
    """Judge that a project leaves a backend out."""
    return [unsupported(name, Path("alembic.ini")) for name in backends]


SAID = Declaration(("a.word",), True, "it has its reason", "002", str(FILE), 5)
WIDER = (A.columns[0], replace(A.columns[1], nullable=False))
REORDERED = replace(A, columns=A.columns[::-1])
MANY = Snapshot(tables=(A, B, C))

SCHEMA: Mapping[str, Pair] = {
    "drift": Pair(compared, (BEFORE, Snapshot(tables=(A, B, C))), (BEFORE, BEFORE)),
    "models-missing": Pair(compared, (MANY, Snapshot(tables=(A,))), (MANY, BEFORE)),
    "outside-models": Pair(
        compared, (replace(BEFORE, views=(View("public", "v", "SELECT 1"),)), BEFORE), (MANY, BEFORE)
    ),
    "column-order": Pair(compared, (BEFORE, Snapshot(tables=(REORDERED, B))), (BEFORE, MANY)),
    "live-drift": Pair(live, LEFT, MOVED),
    "parity": Pair(declared, (WIDER, ()), (WIDER, (SAID,))),
    "parity-declaration": Pair(declared, (A.columns, (SAID,)), (WIDER, (SAID,))),
    "stale-dump": Pair(dumped, "CREATE TABLE b ();\n", "CREATE TABLE a ();\n"),
    "backend-not-supported": Pair(supported, ("postgresql",), ()),
}


def statement(sql: str, mode: str = "ACCESS EXCLUSIVE", table: str = "a", **more: Any) -> Statement:
    """Return a statement that took a lock; it has a timeout unless it is told otherwise."""
    settings: dict[str, Any] = {"lock_timeout": 5000, "locks": (Lock(table, mode, 0.1),)}
    return Statement(sql, (), str(FILE), 7, 0.1, -1, **(settings | more))


def upgraded(*statements: Statement, after: Sequence[Table] = (A, B)) -> tuple[Recording, History]:
    """Return a recording of one upgrade."""
    leg = Leg(UP, 0.1, statements)
    return played(Step("002", (leg,), BEFORE, Snapshot(tables=tuple(after))))


def locked(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Judge the locks of an upgrade."""
    return locks(*given)


def complained(given: tuple[str, str]) -> Iterable[Finding]:
    """Judge a rule of squawk that speaks of a statement."""
    rule, sql = given
    ran = executed(*upgraded(statement(sql)))
    return squawked(ran, [Complaint(name, 2, rule, "it is so") for name in ran])


def with_column(column: Column) -> tuple[Table, ...]:
    """Return the tables with one column more."""
    return replace(A, columns=(*A.columns, column)), B


ALTER = "ALTER TABLE a "
LONGEST = "ALTER TABLE a ADD COLUMN " + "x" * 63 + " integer"
WORDLESS = replace(A, columns=A.columns[:1], indexes=())
TERM = replace(A, columns=(A.columns[0], Column("term", "text")))
LEVEL = Column("level", "integer", nullable=False)
RENAMED = upgraded(statement(f"{ALTER} RENAME word TO term"), after=(TERM, B))
DROPPED = upgraded(statement(f"{ALTER} DROP COLUMN word"), after=(WORDLESS, B))
ADDED = statement(f"{ALTER} ADD COLUMN level integer")

LOCKS: Mapping[str, Pair] = {
    "index-not-concurrent": Pair(
        locked,
        upgraded(statement("CREATE INDEX i ON a (id)", "SHARE")),
        upgraded(statement("CREATE INDEX CONCURRENTLY i ON a (id)", "SHARE UPDATE EXCLUSIVE", transaction=0)),
    ),
    "index-drop-not-concurrent": Pair(
        locked,
        upgraded(statement("DROP INDEX ix_a_word")),
        upgraded(statement("DROP INDEX CONCURRENTLY ix_a_word", "SHARE UPDATE EXCLUSIVE", transaction=0)),
    ),
    "constraint-validated-under-lock": Pair(
        locked,
        upgraded(statement(f"{ALTER} ADD CONSTRAINT k CHECK (id > 0)", scanned=("a",))),
        upgraded(statement(f"{ALTER} ADD CONSTRAINT k CHECK (id > 0) NOT VALID")),
    ),
    "not-null-scan": Pair(
        locked,
        upgraded(statement(f"{ALTER} ALTER word SET NOT NULL", scanned=("a",))),
        upgraded(statement(f"{ALTER} ALTER word SET NOT NULL")),
    ),
    "table-rewrite": Pair(
        locked,
        upgraded(statement(f"{ALTER} ALTER word TYPE bytea", rewritten=("a",))),
        upgraded(statement(f"{ALTER} ALTER word TYPE varchar")),
    ),
    "constraint-builds-index": Pair(
        locked,
        upgraded(statement(f"{ALTER} ADD CONSTRAINT u UNIQUE (word)", scanned=("a",))),
        upgraded(statement(f"{ALTER} ADD CONSTRAINT u UNIQUE USING INDEX u")),
    ),
    "column-in-use-dropped": Pair(locked, DROPPED, upgraded(statement(f"{ALTER} ALTER word DROP DEFAULT"))),
    "table-in-use-dropped": Pair(
        locked, upgraded(statement("DROP TABLE a"), after=(B,)), upgraded(statement("DROP TABLE a"), after=(A, B))
    ),
    "renamed-in-use": Pair(locked, RENAMED, DROPPED),
    "required-column": Pair(
        locked,
        upgraded(statement(f"{ALTER} ADD COLUMN level integer NOT NULL"), after=with_column(LEVEL)),
        upgraded(ADDED, after=with_column(replace(LEVEL, default="0"))),
    ),
    "no-lock-timeout": Pair(locked, upgraded(replace(ADDED, lock_timeout=0)), upgraded(ADDED)),
    "statements-after-lock": Pair(
        locked,
        upgraded(ADDED, statement("ALTER TABLE b ADD COLUMN level integer", table="b")),
        upgraded(ADDED, statement("ALTER TABLE b ADD COLUMN level integer", table="b", transaction=2)),
    ),
    "backfill-with-ddl": Pair(
        locked,
        upgraded(ADDED, statement("UPDATE a SET level = 1", "ROW EXCLUSIVE", scanned=("a",))),
        upgraded(ADDED, statement("UPDATE a SET level = 1", "ROW EXCLUSIVE", scanned=("a",), transaction=2)),
    ),
    "identifier-too-long": Pair(
        locked, upgraded(statement(LONGEST.replace("x ", "xx "))), upgraded(statement(LONGEST))
    ),
    "squawk": Pair(
        complained,
        ("ban-set-schema", f"{ALTER} SET SCHEMA other"),
        ("prefer-bigint-over-int", f"{ALTER} ADD COLUMN level integer"),
    ),
}

OF_PLAYS: Mapping[str, Pair] = {**ROUND_TRIP, **DATA, **SCHEMA, **LOCKS}
