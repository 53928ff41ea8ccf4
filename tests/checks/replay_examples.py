"""For each rule an example that makes it fire, and a similar one that must not: rules of recordings and schemas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.checks.data import check_data_loss
from dormatory.checks.drift import check_changes_by_hand, check_drift
from dormatory.checks.dump import check_dump
from dormatory.checks.engine_errors import unsupported_backend_finding
from dormatory.checks.environment import check_environment, check_passes
from dormatory.checks.finding import LinterMessage
from dormatory.checks.locks import check_locks
from dormatory.checks.parity import check_parity
from dormatory.checks.parity_comments import ParityComment
from dormatory.checks.privileges import check_privileges
from dormatory.checks.recreated import check_recreated
from dormatory.checks.roundtrip import check_round_trip
from dormatory.checks.row_failures import check_assumptions
from dormatory.checks.source import ApplicationModules, check_source
from dormatory.checks.squawk import executed_ddl, squawk_findings
from dormatory.errors.failure_origin import FailureOrigin
from dormatory.errors.location import Location
from dormatory.project.history import History
from dormatory.project.script import Revision
from dormatory.recording.leg import Direction, Failure, Leg, Lock, Statement
from dormatory.recording.loss import Loss, LossKind
from dormatory.recording.model import (
    ChangesByHand,
    Comparison,
    EnvironmentDependence,
    Recording,
    Route,
    RouteKind,
    RowFailure,
    RowKind,
    Step,
    UnimportedModels,
)
from dormatory.schema.changes import ColumnsReordered, ObjectAdded
from dormatory.schema.snapshot import Column, Constraint, Index, Reference, Snapshot, Table, View
from tests.checks.file_examples import RulePair, revision_script

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
    """Return the failure of a leg."""
    return Failure("RevisionFailedError", "a revision failed", why, "fix it", Location(str(FILE), 7), is_declared)


def legs(**failed: Failure | tuple[Change, ...]) -> tuple[Leg, ...]:
    """Return the legs of a trip, up to a failure; `failed` has a failure or a trace by the name of its leg."""
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


def recorded_history(step: Step, *, revision: Revision = SECOND, **more: Any) -> tuple[Recording, History]:
    """Return a recording of one step, and the history."""
    return Recording("postgresql", "PostgreSQL 18.0", (step,), **more), History((FIRST, revision))


def on_rows(
    direction: Direction = UP,
    *,
    kind: RowKind = RowKind.OLD,
    origin: FailureOrigin = FailureOrigin.STATEMENT,
    statement: str = "",
) -> Step:
    """Return a trip that fails on some rows only."""
    failed = RowFailure(direction, replace(failure(), origin=origin), kind, statement=statement)
    return replace(step(), row_failures=(failed,))


def check_assumed(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Check what revisions assume."""
    return check_assumptions([given[0]], given[1])


def check_trip(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Check a round trip."""
    return check_round_trip(*given)


def history_with_route(kind: RouteKind, trace: tuple[Change, ...]) -> tuple[Recording, History]:
    """Return a recording with a route through the history."""
    return recorded_history(step(), routes=(Route(kind, ("001", "002"), 0.1, trace),))


LEFTOVER: tuple[Change, ...] = (ObjectAdded(C),)
COLUMNS_MOVED: tuple[Change, ...] = (ColumnsReordered("a", "table", ("id", "word"), ("word", "id")),)
BASE = replace(FIRST, id="002")  # what has no parent

ROUND_TRIP: Mapping[str, RulePair] = {
    "upgrade-fails": RulePair(check_trip, recorded_history(step(up=failure())), recorded_history(step())),
    "downgrade-fails": RulePair(
        check_trip,
        recorded_history(step(down=failure())),
        recorded_history(step(down=failure("there is no way", is_declared=True))),
    ),
    "second-upgrade-fails": RulePair(check_trip, recorded_history(step(again=failure())), recorded_history(step())),
    "trace": RulePair(check_trip, recorded_history(step(down=LEFTOVER)), recorded_history(step(down=COLUMNS_MOVED))),
    "second-upgrade-differs": RulePair(
        check_trip, recorded_history(step(again=LEFTOVER)), recorded_history(step(again=COLUMNS_MOVED))
    ),
    "upgrade-fails-on-rows": RulePair(
        check_trip, recorded_history(on_rows()), recorded_history(on_rows(kind=RowKind.EXTREME))
    ),
    "downgrade-fails-on-rows": RulePair(
        check_trip,
        recorded_history(on_rows(Direction.DOWNGRADE, kind=RowKind.NEW)),
        recorded_history(on_rows(Direction.DOWNGRADE)),
    ),
    "guard": RulePair(
        check_trip, recorded_history(on_rows(origin=FailureOrigin.GUARD)), recorded_history(step(up=failure()))
    ),
    "fails-on-content": RulePair(
        check_trip, recorded_history(on_rows(origin=FailureOrigin.CONTENT)), recorded_history(on_rows())
    ),
    "rows-refused": RulePair(
        check_trip,
        recorded_history(on_rows(statement="ALTER TABLE a VALIDATE CONSTRAINT c")),
        recorded_history(on_rows()),
    ),
    "assumes-unneeded": RulePair(
        check_assumed,
        recorded_history(step(), revision=replace(SECOND, assumes="nobody shares a phone")),
        recorded_history(on_rows(), revision=replace(SECOND, assumes="nobody shares a phone")),
    ),
    "way-down": RulePair(
        check_trip, history_with_route(RouteKind.DOWN, LEFTOVER), history_with_route(RouteKind.DOWN, COLUMNS_MOVED)
    ),
    "one-run-differs": RulePair(
        check_trip, history_with_route(RouteKind.UP, LEFTOVER), history_with_route(RouteKind.UP, ())
    ),
    "branch-order": RulePair(
        check_trip,
        history_with_route(RouteKind.OTHER_ORDER, LEFTOVER),
        history_with_route(RouteKind.OTHER_ORDER, COLUMNS_MOVED),
    ),
    "no-path-from-empty": RulePair(
        check_trip,
        (recorded_history(step(up=failure("no such table: a")))[0], History((BASE,))),
        recorded_history(step(up=failure("no such table: a"))),
    ),
    "irreversible-is-not": RulePair(
        check_trip,
        recorded_history(step(), revision=replace(SECOND, irreversible="so they say")),
        recorded_history(step(down=LEFTOVER), revision=replace(SECOND, irreversible="so they say")),
    ),
    "irreversible": RulePair(
        check_trip,
        recorded_history(step(down=failure("rows were erased", is_declared=True))),
        recorded_history(step(down=failure())),
    ),
    "not-played": RulePair(
        check_trip, recorded_history(step(up=failure()), unreached=("002",)), recorded_history(step(up=failure()))
    ),
}


def check_rows(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Check the losses of a recording."""
    return check_data_loss(*given)


def history_with_loss(kind: LossKind) -> tuple[Recording, History]:
    """Return a recording in which something was lost."""
    loss = (Loss(kind, DOWN, "a", "word", 1, 2),)
    is_drop = kind is LossKind.DROPPED
    return recorded_history(replace(step(), drops=loss) if is_drop else replace(step(), losses=loss))


DATA: Mapping[str, RulePair] = {
    kind.value: RulePair(check_rows, history_with_loss(kind), recorded_history(step())) for kind in LossKind
}


def check_models(given: tuple[Snapshot, Snapshot]) -> Iterable[Finding]:
    """Compare the migrated schema with the models'."""
    return check_drift(Comparison("postgresql", "PostgreSQL 18.0", *given))


def check_left_out(left_out: tuple[str, ...]) -> Iterable[Finding]:
    """Compare equal schemas, of which env.py leaves something out."""
    return check_drift(Comparison("postgresql", "PostgreSQL 18.0", BEFORE, BEFORE, left_out))


def check_unimported(files: tuple[UnimportedModels, ...]) -> Iterable[Finding]:
    """Compare equal schemas, with models that nothing imports."""
    return check_drift(Comparison("postgresql", "PostgreSQL 18.0", BEFORE, BEFORE, unimported=files))


def check_models_of_env(modelled: Snapshot | None) -> Iterable[Finding]:
    """Compare a migrated schema with the models that env.py passes."""
    return check_drift(Comparison("postgresql", "PostgreSQL 18.0", BEFORE, modelled))


def check_live_database(changes: tuple[Change, ...]) -> Iterable[Finding]:
    """Check a live database with these differences from the history."""
    return check_changes_by_hand(ChangesByHand(("002",), changes), "postgresql")


def check_backends(given: tuple[tuple[Column, ...], tuple[ParityComment, ...]]) -> Iterable[Finding]:
    """Compare two backends, of which PostgreSQL has these columns, with these comments in the revisions."""
    columns, comments = given
    sqlite, postgresql = (Snapshot(tables=(replace(A, columns=of, indexes=()),)) for of in (A.columns, columns))
    return check_parity(sqlite, postgresql, comments)


def check_committed_dump(fresh: str) -> Iterable[Finding]:
    """Compare a committed dump with this fresh one."""
    return check_dump(Path("schema/postgresql.sql"), "CREATE TABLE a ();\n", fresh, backend="postgresql")


def check_supported_backends(backends: tuple[str, ...]) -> Iterable[Finding]:
    """Return the findings for these backends, which a project leaves out."""
    return [unsupported_backend_finding(name, Path("alembic.ini")) for name in backends]


COMMENT = ParityComment(("a.word",), True, "it has its reason", "002", Location(str(FILE), 5))
WIDER = (A.columns[0], replace(A.columns[1], nullable=False))
REORDERED = replace(A, columns=A.columns[::-1])
MANY = Snapshot(tables=(A, B, C))
UNIMPORTED = UnimportedModels("app/billing.py", ("table invoice",), "from app import billing")
WITH_DEFAULT = replace(BEFORE, tables=(replace(A, columns=(A.columns[0], replace(A.columns[1], default="'x'"))), B))

SCHEMA: Mapping[str, RulePair] = {
    "drift": RulePair(check_models, (BEFORE, Snapshot(tables=(A, B, C))), (BEFORE, BEFORE)),
    "models-missing": RulePair(check_models, (MANY, Snapshot(tables=(A,))), (MANY, BEFORE)),
    "outside-models": RulePair(
        check_models, (replace(BEFORE, views=(View("public", "v", "SELECT 1"),)), BEFORE), (MANY, BEFORE)
    ),
    "default-not-in-models": RulePair(check_models, (WITH_DEFAULT, BEFORE), (BEFORE, WITH_DEFAULT)),
    "left-out-by-env": RulePair(check_left_out, ("table celery_taskmeta",), ()),
    "models-not-imported": RulePair(check_unimported, (UNIMPORTED,), ()),
    "no-models": RulePair(check_models_of_env, None, BEFORE),
    "column-order": RulePair(check_models, (BEFORE, Snapshot(tables=(REORDERED, B))), (BEFORE, MANY)),
    "changed-by-hand": RulePair(check_live_database, LEFTOVER, COLUMNS_MOVED),
    "parity": RulePair(check_backends, (WIDER, ()), (WIDER, (COMMENT,))),
    "parity-declaration": RulePair(check_backends, (A.columns, (COMMENT,)), (WIDER, (COMMENT,))),
    "stale-dump": RulePair(check_committed_dump, "CREATE TABLE b ();\n", "CREATE TABLE a ();\n"),
    "backend-not-supported": RulePair(check_supported_backends, ("postgresql",), ()),
}


def statement(sql: str, mode: str = "ACCESS EXCLUSIVE", table: str = "a", **more: Any) -> Statement:
    """Return a statement that took a lock; it has a timeout unless `more` says otherwise."""
    settings: dict[str, Any] = {"rows": -1, "lock_timeout": 5000, "locks": (Lock(table, mode, 0.1),)}
    return Statement(sql, (), str(FILE), 7, 0.1, **(settings | more))


def recorded_upgrade(*statements: Statement, after: Sequence[Table] = (A, B)) -> tuple[Recording, History]:
    """Return a recording of one upgrade."""
    leg = Leg(UP, 0.1, statements)
    return recorded_history(Step("002", (leg,), BEFORE, Snapshot(tables=tuple(after))))


def check_statement_locks(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Check the locks of an upgrade."""
    return check_locks(*given)


def check_squawk_rule(given: tuple[str, str]) -> Iterable[Finding]:
    """Return the finding for a statement that a rule of squawk reports."""
    rule, sql = given
    ran = executed_ddl(*recorded_upgrade(statement(sql)))
    return squawk_findings(ran, [LinterMessage(name, 2, rule, "it is so") for name in ran])


def tables_with_column(column: Column) -> tuple[Table, ...]:
    """Return the tables with one column more."""
    return replace(A, columns=(*A.columns, column)), B


ALTER = "ALTER TABLE a "
LONGEST = "ALTER TABLE a ADD COLUMN " + "x" * 63 + " integer"
A_WITHOUT_WORD = replace(A, columns=A.columns[:1], indexes=())
A_WITH_TERM = replace(A, columns=(A.columns[0], Column("term", "text")))
LEVEL = Column("level", "integer", nullable=False)
RENAMED = recorded_upgrade(statement(f"{ALTER} RENAME word TO term"), after=(A_WITH_TERM, B))
DROPPED = recorded_upgrade(statement(f"{ALTER} DROP COLUMN word"), after=(A_WITHOUT_WORD, B))
ADDED = statement(f"{ALTER} ADD COLUMN level integer")

REFERRING = statement(f"{ALTER} ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES b (id) NOT VALID", "SHARE ROW EXCLUSIVE")
KEY_TO_B = Constraint(
    "FOREIGN KEY", "k", "FOREIGN KEY (id) REFERENCES b(id)", ("id",), None, Reference("public", "b", ("id",))
)
INDEX_OF_KEY = Index("ix_a_id", "(id)", keys=("id",))
BIG_B = replace(B, columns=(Column("id", "bigint", nullable=False),))
CREATE_C = statement("CREATE TABLE c (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", locks=())
COUNTED_C = replace(
    C,
    columns=(Column("id", "integer", nullable=False, identity="ALWAYS"),),
    constraints=(Constraint("PRIMARY KEY", "c_pkey", "PRIMARY KEY (id)", ("id",)),),
)
DETACH = "ALTER TABLE a DETACH PARTITION b"

LOCKS: Mapping[str, RulePair] = {
    "index-not-concurrent": RulePair(
        check_statement_locks,
        recorded_upgrade(statement("CREATE INDEX i ON a (id)", "SHARE")),
        recorded_upgrade(statement("CREATE INDEX CONCURRENTLY i ON a (id)", "SHARE UPDATE EXCLUSIVE", transaction=0)),
    ),
    "index-drop-not-concurrent": RulePair(
        check_statement_locks,
        recorded_upgrade(statement("DROP INDEX ix_a_word")),
        recorded_upgrade(statement("DROP INDEX CONCURRENTLY ix_a_word", "SHARE UPDATE EXCLUSIVE", transaction=0)),
    ),
    "constraint-validated-under-lock": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(f"{ALTER} ADD CONSTRAINT k CHECK (id > 0)", scanned=("a",))),
        recorded_upgrade(statement(f"{ALTER} ADD CONSTRAINT k CHECK (id > 0) NOT VALID")),
    ),
    "not-null-scan": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(f"{ALTER} ALTER word SET NOT NULL", scanned=("a",))),
        recorded_upgrade(statement(f"{ALTER} ALTER word SET NOT NULL")),
    ),
    "table-rewrite": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(f"{ALTER} ALTER word TYPE bytea", rewritten=("a",))),
        recorded_upgrade(statement(f"{ALTER} ALTER word TYPE varchar")),
    ),
    "constraint-builds-index": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(f"{ALTER} ADD CONSTRAINT u UNIQUE (word)", scanned=("a",))),
        recorded_upgrade(statement(f"{ALTER} ADD CONSTRAINT u UNIQUE USING INDEX u")),
    ),
    "column-in-use-dropped": RulePair(
        check_statement_locks, DROPPED, recorded_upgrade(statement(f"{ALTER} ALTER word DROP DEFAULT"))
    ),
    "table-in-use-dropped": RulePair(
        check_statement_locks,
        recorded_upgrade(statement("DROP TABLE a"), after=(B,)),
        recorded_upgrade(statement("DROP TABLE a"), after=(A, B)),
    ),
    "renamed-in-use": RulePair(check_statement_locks, RENAMED, DROPPED),
    "required-column": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(f"{ALTER} ADD COLUMN level integer NOT NULL"), after=tables_with_column(LEVEL)),
        recorded_upgrade(ADDED, after=tables_with_column(replace(LEVEL, default="0"))),
    ),
    "partition-detach-not-concurrent": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(DETACH)),
        recorded_upgrade(statement(f"{DETACH} CONCURRENTLY", "SHARE UPDATE EXCLUSIVE", transaction=0)),
    ),
    "no-lock-timeout": RulePair(
        check_statement_locks, recorded_upgrade(replace(ADDED, lock_timeout=0)), recorded_upgrade(ADDED)
    ),
    "statements-after-lock": RulePair(
        check_statement_locks,
        recorded_upgrade(ADDED, statement("ALTER TABLE b ADD COLUMN level integer", table="b")),
        recorded_upgrade(ADDED, statement("ALTER TABLE b ADD COLUMN level integer", table="b", transaction=2)),
    ),
    "backfill-with-ddl": RulePair(
        check_statement_locks,
        recorded_upgrade(ADDED, statement("UPDATE a SET level = 1", "ROW EXCLUSIVE", scanned=("a",))),
        recorded_upgrade(ADDED, statement("UPDATE a SET level = 1", "ROW EXCLUSIVE", scanned=("a",), transaction=2)),
    ),
    "whole-table-write": RulePair(
        check_statement_locks,
        recorded_upgrade(statement("UPDATE a SET word = 'x'", "ROW EXCLUSIVE", rows=9)),
        recorded_upgrade(statement("UPDATE a SET word = 'x' WHERE id < 1000", "ROW EXCLUSIVE", rows=9)),
    ),
    "altered-in-turn": RulePair(
        check_statement_locks,
        recorded_upgrade(
            statement(f"{ALTER} ALTER id TYPE bigint", rewritten=("a",)),
            statement(f"{ALTER} ALTER word TYPE integer USING length(word)", rewritten=("a",)),
        ),
        recorded_upgrade(
            statement(f"{ALTER} ALTER id TYPE bigint, ALTER word TYPE integer USING length(word)", rewritten=("a",))
        ),
    ),
    "foreign-key-not-indexed": RulePair(
        check_statement_locks,
        recorded_upgrade(REFERRING, after=(replace(A, constraints=(KEY_TO_B,)), B)),
        recorded_upgrade(REFERRING, after=(replace(A, constraints=(KEY_TO_B,), indexes=(INDEX, INDEX_OF_KEY)), B)),
    ),
    "foreign-key-type-differs": RulePair(
        check_statement_locks,
        recorded_upgrade(REFERRING, after=(replace(A, constraints=(KEY_TO_B,)), BIG_B)),
        recorded_upgrade(REFERRING, after=(replace(A, constraints=(KEY_TO_B,)), B)),
    ),
    "json-column": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(f"{ALTER} ADD COLUMN data json"), after=tables_with_column(Column("data", "json"))),
        recorded_upgrade(
            statement(f"{ALTER} ADD COLUMN data jsonb"), after=tables_with_column(Column("data", "jsonb"))
        ),
    ),
    "integer-key": RulePair(
        check_statement_locks,
        recorded_upgrade(CREATE_C, after=(A, B, COUNTED_C)),
        recorded_upgrade(
            CREATE_C, after=(A, B, replace(COUNTED_C, columns=(Column("id", "bigint", identity="ALWAYS"),)))
        ),
    ),
    "replica-identity-full": RulePair(
        check_statement_locks,
        recorded_upgrade(
            statement(f"{ALTER} REPLICA IDENTITY FULL"), after=(replace(A, options=("replica identity full",)), B)
        ),
        recorded_upgrade(statement(f"{ALTER} REPLICA IDENTITY DEFAULT")),
    ),
    "autovacuum-off": RulePair(
        check_statement_locks,
        recorded_upgrade(
            statement(f"{ALTER} SET (autovacuum_enabled = false)"),
            after=(replace(A, options=("autovacuum_enabled=false",)), B),
        ),
        recorded_upgrade(
            statement(f"{ALTER} SET (autovacuum_enabled = true)"),
            after=(replace(A, options=("autovacuum_enabled=true",)), B),
        ),
    ),
    "identifier-too-long": RulePair(
        check_statement_locks,
        recorded_upgrade(statement(LONGEST.replace("x ", "xx "))),
        recorded_upgrade(statement(LONGEST)),
    ),
    "squawk": RulePair(
        check_squawk_rule,
        ("ban-set-schema", f"{ALTER} SET SCHEMA other"),
        ("prefer-bigint-over-int", f"{ALTER} ADD COLUMN level integer"),
    ),
}


def check_recreated_objects(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Check what is lost with an object that is dropped and created again."""
    return check_recreated(*given)


def check_owner_trials(given: tuple[Recording, History]) -> Iterable[Finding]:
    """Check what an ordinary owner is refused."""
    return check_privileges(*given)


def history_with_trial(sql: str, **more: Any) -> tuple[Recording, History]:
    """Return a recording of one statement on a table with forced row security, tried as the owner."""
    tried = Step("002", (Leg(UP, 0.1, (statement(sql, **more),)),), Snapshot(tables=(SECURED, B)))
    return recorded_history(tried)


SECURED = replace(A, row_security="forced")

RECREATED_A = (statement("DROP TABLE a"), statement("CREATE TABLE a (id integer, word text)"))

PRIVILEGES: Mapping[str, RulePair] = {
    "not-recreated": RulePair(
        check_recreated_objects,
        recorded_upgrade(*RECREATED_A, after=(replace(A, indexes=()), B)),
        recorded_upgrade(*RECREATED_A),
    ),
    "needs-superuser": RulePair(
        check_owner_trials,
        history_with_trial("ALTER SYSTEM RESET ALL", owner_refusal="permission denied"),
        history_with_trial("SET LOCAL lock_timeout = '5s'"),
    ),
    "rows-hidden-by-policy": RulePair(
        check_owner_trials,
        history_with_trial("DELETE FROM a", rows=5, owner_rows=3),
        history_with_trial("DELETE FROM a", rows=5, owner_rows=5),
    ),
}


def check_pragma(foreign_keys: tuple[bool, bool]) -> Iterable[Finding]:
    """Check a revision that switches foreign keys off, which were enforced like this before and after it."""
    switch = "PRAGMA foreign_keys = OFF"
    leg = Leg(UP, 0.1, (statement(switch, locks=(), foreign_keys=foreign_keys),))
    recording = Recording("sqlite", "SQLite 3.50", (Step("002", (leg,), BEFORE, BEFORE),))
    script = revision_script("002", "001", upgrade=f"op.execute({switch!r})")
    return check_source([script], ApplicationModules(frozenset()), backends=("sqlite",), recordings=(recording,))


PLAYED_SOURCE: Mapping[str, RulePair] = {
    "pragma-foreign-keys": RulePair(check_pragma, (True, True), (False, False)),
}


def check_other_environment(dependences: tuple[EnvironmentDependence, ...]) -> Iterable[Finding]:
    """Check a revision whose upgrade makes this differently in another environment."""
    step = Step("002", (Leg(UP, 0.1),), BEFORE, BEFORE, dependences=dependences)
    return check_environment(*recorded_history(step))


def check_env_passes(more: Mapping[str, Any]) -> Iterable[Finding]:
    """Check what is known of the passes of an env.py."""
    return check_passes(recorded_history(step(), **more)[0])


ENVIRONMENT: Mapping[str, RulePair] = {
    "passes-not-played": RulePair(check_env_passes, {"empty_tables_of_env": ("tenant",)}, {"most_passes": 1}),
    "depends-on-environment": RulePair(
        check_other_environment, (EnvironmentDependence("column a.word", "the values of a.word", 7),), ()
    ),
}

PAIRS_OF_RECORDINGS: Mapping[str, RulePair] = {
    **PLAYED_SOURCE,
    **ENVIRONMENT,
    **ROUND_TRIP,
    **PRIVILEGES,
    **DATA,
    **SCHEMA,
    **LOCKS,
}
