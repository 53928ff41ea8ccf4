"""Locks, rewrites and scans that statements are recorded to cause on a real PostgreSQL server."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from alembic.runtime.migration import MigrationStep
from sqlalchemy import NullPool, create_engine

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.errors import DormatoryError
from dormatory.replay.statement_recorder import StatementRecorder
from dormatory.runtime.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target
    from dormatory.recording.leg import Statement
    from tests.conftest import SmallProject

TABLES = """
CREATE TABLE house (id integer PRIMARY KEY, name varchar(20));
CREATE TABLE room (id integer PRIMARY KEY, label varchar(20), size integer, house integer);
CREATE INDEX room_label ON room (label);
CREATE TABLE era (id integer NOT NULL, year integer) PARTITION BY RANGE (year);
CREATE TABLE era_old (id integer NOT NULL, year integer);
CREATE SCHEMA audit;
CREATE TABLE audit.event (id integer PRIMARY KEY, what text);
CREATE MATERIALIZED VIEW house_copy AS SELECT * FROM house;
INSERT INTO house VALUES (1, 'north');
INSERT INTO room VALUES (1, 'attic', 12, 1), (2, 'cellar', 5, 1);
INSERT INTO era_old VALUES (1, 1900);
"""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """The statements recorded of single legs, one for each revision, and how long each leg took."""

    legs: tuple[tuple[Statement, ...], ...]
    seconds: float

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements of the last leg."""
        return tuple(statement for statement in self.legs[-1] if statement.line)


class RevisionPlayer:
    """Plays revisions on a scratch database that has TABLES already."""

    def __init__(self, project: SmallProject, target: Target) -> None:
        self.project, self.url = project, target.sqlalchemy_url()
        self.target = target
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(TABLES)

    def __call__(self, *upgrades: str, fails: bool = False) -> RecordedRun:
        """Play each upgrade as a leg of its own and return what was recorded."""
        for number, upgrade in enumerate(upgrades, start=1):
            self.project.write_revision(f"{number:03d}", upgrade)
        legs: list[tuple[Statement, ...]] = []
        began = time.perf_counter()
        with create_engine(self.url, poolclass=NullPool).connect() as connection:
            observer = StatementRecorder(connection, self.project.project)
            runner = Runner(self.project.project, target=self.target, connection=connection)

            def steps(script, context):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
                for number in range(1, len(upgrades) + 1):
                    if context._transaction is None and not context._in_external_transaction:
                        connection.commit()
                    observer.start()
                    yield MigrationStep.upgrade_from_script(script.revision_map, script.get_revision(f"{number:03d}"))
                    legs.append(observer.stop())

            if fails:
                with pytest.raises(DormatoryError):
                    runner.run_steps(steps)
                legs.append(observer.stop())
            else:
                runner.run_steps(steps)
        return RecordedRun(tuple(legs), time.perf_counter() - began)

    def sql(self, *statements: str) -> Statement:
        """Play a revision that executes these statements, and return what was recorded of the last one."""
        return self("\n".join(f'op.execute("""{statement}""")' for statement in statements)).statements[-1]


@pytest.fixture
def player(small_project: SmallProject, postgres_server: throwaway.Server) -> Iterator[RevisionPlayer]:
    """A player on a database of its own."""
    with throwaway.scratch_postgresql(postgres_server) as target:
        yield RevisionPlayer(small_project, target)


def lock_modes(statement: Statement) -> dict[str, str]:
    return {lock.table: lock.mode for lock in statement.locks}


ROOM_LOCK = {"room": "ACCESS EXCLUSIVE"}
ROOM_FILES = ("room", "room_label", "room_pkey")

# SQL, its locks, what it rewrote, what it scanned.
EFFECTS: dict[str, tuple[str, dict[str, str], tuple[str, ...], tuple[str, ...]]] = {
    "a column": ("ALTER TABLE room ADD COLUMN floor integer DEFAULT 1", ROOM_LOCK, (), ()),
    "a column with a volatile default": (
        "ALTER TABLE room ADD COLUMN dice float DEFAULT random()", ROOM_LOCK, ROOM_FILES, ("room",),
    ),
    "a type that rewrites": ("ALTER TABLE room ALTER size TYPE bigint", ROOM_LOCK, ROOM_FILES, ("room",)),
    "a type of an indexed column that rewrites": (
        "ALTER TABLE room ALTER label TYPE integer USING length(label)", ROOM_LOCK, ROOM_FILES, ("room",),
    ),
    "a wider varchar under an index": ("ALTER TABLE room ALTER label TYPE varchar(90)", ROOM_LOCK, (), ()),
    "NOT NULL": ("ALTER TABLE room ALTER size SET NOT NULL", ROOM_LOCK, (), ("room",)),
    "a foreign key": (
        "ALTER TABLE room ADD FOREIGN KEY (house) REFERENCES house",
        {"room": "SHARE ROW EXCLUSIVE", "house": "SHARE ROW EXCLUSIVE"}, (), ("house", "room"),
    ),
    "a foreign key that is not validated": (
        "ALTER TABLE room ADD FOREIGN KEY (house) REFERENCES house NOT VALID",
        {"room": "SHARE ROW EXCLUSIVE", "house": "SHARE ROW EXCLUSIVE"}, (), (),
    ),
    "a CHECK": ("ALTER TABLE room ADD CHECK (size > 0)", ROOM_LOCK, (), ("room",)),
    "a CHECK that is not validated": ("ALTER TABLE room ADD CHECK (size > 0) NOT VALID", ROOM_LOCK, (), ()),
    "a unique constraint": ("ALTER TABLE room ADD UNIQUE (size)", ROOM_LOCK, (), ("room",)),
    "an index": ("CREATE INDEX room_size ON room (size)", {"room": "SHARE"}, (), ("room",)),
    "an index that is rebuilt": ("REINDEX INDEX room_label", {"room": "SHARE"}, ("room_label",), ("room",)),
    "an index dropped": ("DROP INDEX room_label", ROOM_LOCK, (), ()),
    "a new table": ("CREATE TABLE bed (id integer PRIMARY KEY)", {}, (), ()),
    "a new table that refers to an old one": (
        "CREATE TABLE bed (id integer PRIMARY KEY, room integer REFERENCES room)",
        {"room": "SHARE ROW EXCLUSIVE"}, (), (),
    ),
    "rows changed": ("UPDATE room SET size = 7", {"room": "ROW EXCLUSIVE"}, (), ("room",)),
    "rows added": ("INSERT INTO room VALUES (3, 'hall', 40, 1)", {"room": "ROW EXCLUSIVE"}, (), ()),
    "rows locked": ("SELECT * FROM room FOR UPDATE", {"room": "ROW SHARE"}, (), ("room",)),
    "rows read": ("SELECT * FROM room", {}, (), ("room",)),
    "a table dropped": ("DROP TABLE era_old", {"era_old": "ACCESS EXCLUSIVE"}, (), ()),
    "a table renamed": ("ALTER TABLE house RENAME TO home", {"house": "ACCESS EXCLUSIVE"}, (), ()),
    "a table emptied": ("TRUNCATE house", {"house": "ACCESS EXCLUSIVE"}, (), ()),
    "a table sorted": ("CLUSTER room USING room_label", ROOM_LOCK, ROOM_FILES, ("room",)),
    "a partition attached": (
        "ALTER TABLE era ATTACH PARTITION era_old FOR VALUES FROM (1800) TO (2000)",
        {"era": "SHARE UPDATE EXCLUSIVE", "era_old": "ACCESS EXCLUSIVE"}, (), ("era_old",),
    ),
    "a materialised view": (
        "REFRESH MATERIALIZED VIEW house_copy", {"house_copy": "ACCESS EXCLUSIVE"}, ("house_copy",), ("house",),
    ),
    "a table elsewhere": (
        "ALTER TABLE audit.event ALTER id TYPE bigint", {"audit.event": "ACCESS EXCLUSIVE"},
        ("audit.event", "audit.event_pkey"), ("audit.event",),
    ),
    "a statement that touches no table": ("CREATE TYPE mood AS ENUM ('sad', 'ok')", {}, (), ()),
}  # fmt: skip


@pytest.mark.parametrize("case", EFFECTS)
def test_the_locks_rewrites_and_scans_of_a_statement_are_recorded(player: RevisionPlayer, case: str) -> None:
    sql, mode_by_table, rewritten, scanned = EFFECTS[case]
    statement = player.sql(sql)
    assert (lock_modes(statement), statement.rewritten, statement.scanned) == (mode_by_table, rewritten, scanned)


def test_not_null_needs_no_scan_if_a_valid_check_proves_it(player: RevisionPlayer) -> None:
    last = player.sql(
        "ALTER TABLE room ADD CONSTRAINT sized CHECK (size IS NOT NULL) NOT VALID",
        "ALTER TABLE room VALIDATE CONSTRAINT sized",
        "ALTER TABLE room ALTER size SET NOT NULL",
    )
    assert last.scanned == ()


def test_a_lock_counts_once_until_it_grows_stronger(player: RevisionPlayer) -> None:
    played = player(
        'op.execute("UPDATE room SET size = 8")\n'
        'op.execute("DELETE FROM room WHERE id = 2")\n'
        'op.add_column("room", sa.Column("floor", sa.Integer))\n'
        'op.execute("DROP INDEX room_label")'
    )
    assert [lock_modes(statement) for statement in played.statements] == [{"room": "ROW EXCLUSIVE"}, {}, ROOM_LOCK, {}]


def test_each_rewrite_and_scan_in_a_transaction_counts(player: RevisionPlayer) -> None:
    played = player(
        'op.execute("ALTER TABLE room ALTER size TYPE bigint")\n'
        'op.execute("ALTER TABLE room ALTER size TYPE numeric")\n'
        'op.execute("ALTER TABLE room ADD COLUMN note text")'
    )
    assert [statement.rewritten for statement in played.statements] == [ROOM_FILES, ROOM_FILES, ()]
    assert [statement.scanned for statement in played.statements] == [("room",), ("room",), ()]


def test_a_lock_is_held_until_its_transaction_ends(player: RevisionPlayer) -> None:
    played = player(
        "import time\n"
        'op.add_column("room", sa.Column("floor", sa.Integer))\n'
        "time.sleep(0.2)\n"
        "with op.get_context().autocommit_block():\n"
        "    time.sleep(1)\n"
        '    op.execute("SELECT 1")\n'
        'op.add_column("house", sa.Column("floor", sa.Integer))'
    )
    first, _, last = played.statements
    assert 0.2 < first.locks[0].seconds < 1
    assert last.seconds < last.locks[0].seconds < 1


def test_transactions_are_numbered_and_a_statement_in_autocommit_is_0(player: RevisionPlayer) -> None:
    played = player(
        'op.execute("UPDATE room SET size = 8")\n'
        "with op.get_context().autocommit_block():\n"
        '    op.create_index("room_size", "room", ["size"], postgresql_concurrently=True)\n'
        'op.execute("UPDATE room SET size = 9")\n'
        'op.execute("COMMIT")\n'
        'op.execute("VACUUM room")'  # psycopg2 regards its transaction as open, and sends no BEGIN
    )
    assert [statement.transaction for statement in played.statements] == [1, 0, 2, 2, 0]


AUTOCOMMIT_EFFECTS = {
    "an index": ("CREATE INDEX CONCURRENTLY room_size ON room (size)", {"room": "SHARE UPDATE EXCLUSIVE"}, ()),
    "an index that blocks": ("CREATE INDEX room_size ON room (size)", {"room": "SHARE"}, ()),
    "an index dropped": ("DROP INDEX CONCURRENTLY room_label", {"room": "SHARE UPDATE EXCLUSIVE"}, ()),
    "an index rebuilt": ("REINDEX INDEX CONCURRENTLY room_label", {"room": "SHARE UPDATE EXCLUSIVE"}, ("room_label",)),
    "a constraint": ("ALTER TABLE room ADD UNIQUE (size)", ROOM_LOCK, ()),
    "a table rewritten": ("VACUUM FULL room", ROOM_LOCK, ROOM_FILES),
    "a table emptied": ("TRUNCATE house", {"house": "ACCESS EXCLUSIVE"}, ()),
    "a table dropped": ("DROP TABLE era_old", {"era_old": "ACCESS EXCLUSIVE"}, ()),
}


@pytest.mark.parametrize("case", AUTOCOMMIT_EFFECTS)
def test_effects_in_autocommit_are_read_from_the_catalogs(player: RevisionPlayer, case: str) -> None:
    sql, mode_by_table, rewritten = AUTOCOMMIT_EFFECTS[case]
    upgrade = f"""
        op.execute("CREATE INDEX room_house ON room (house)")
        with op.get_context().autocommit_block():
            op.execute("UPDATE house SET name = 'south'")
            op.execute("{sql}")
    """
    statement = player(upgrade).statements[-1]
    assert (lock_modes(statement), statement.rewritten) == (mode_by_table, rewritten)
    assert all(lock.seconds == statement.seconds for lock in statement.locks)


def test_a_scan_in_autocommit_counts(player: RevisionPlayer) -> None:
    played = player("""
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY room_size ON room (size)")
            op.execute("SELECT 1")
            op.execute("ALTER TABLE house ADD CHECK (id > 0)")
    """)
    assert [statement.scanned for statement in played.statements] == [("room",), (), ("house",)]


def test_changes_of_an_earlier_leg_are_known_in_a_later_leg(player: RevisionPlayer) -> None:
    played = player(
        'op.create_table("bed", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.rename_table("house", "home")\n'
        'op.alter_column("room", "size", type_=sa.BigInteger)',
        'op.add_column("bed", sa.Column("soft", sa.Boolean))\n'
        'op.add_column("home", sa.Column("floor", sa.Integer))\n'
        'op.add_column("room", sa.Column("floor", sa.Integer))',
    )
    assert [lock_modes(statement) for statement in played.statements] == [
        {"bed": "ACCESS EXCLUSIVE"},
        {"home": "ACCESS EXCLUSIVE"},
        ROOM_LOCK,
    ]
    assert not any(statement.rewritten or statement.scanned for statement in played.statements)


def test_legs_within_one_transaction_are_distinguished(player: RevisionPlayer) -> None:
    player.project.write_env(
        "from alembic import context",
        'context.configure(connection=context.config.attributes["connection"])',
        "with context.begin_transaction():",
        "    context.run_migrations()",
    )
    played = player(
        'op.create_table("bed", sa.Column("id", sa.Integer, primary_key=True))\n'
        'op.execute("SELECT * FROM room")\n'
        'op.execute("UPDATE house SET id = 1 WHERE id = 1")',
        'op.add_column("room", sa.Column("floor", sa.Integer))\n'
        'op.execute("INSERT INTO house VALUES (2)")\n'
        'op.add_column("bed", sa.Column("soft", sa.Boolean))',
    )
    room, house, bed = played.statements
    assert lock_modes(room) == ROOM_LOCK
    assert room.scanned == ()
    assert lock_modes(house) == {}  # the first leg took the lock, and its transaction is still open
    assert lock_modes(bed) == {}


def test_a_savepoint_rolled_back_restores_the_file(player: RevisionPlayer) -> None:
    played = player("""
        with op.get_bind().begin_nested() as savepoint:
            op.execute("ALTER TABLE room ALTER size TYPE bigint")
            savepoint.rollback()
        op.execute("ALTER TABLE room ADD COLUMN floor integer")
    """)
    found = [statement for statement in played.statements if statement.sql.startswith("ALTER")]
    assert [statement.rewritten for statement in found] == [ROOM_FILES, ()]
    assert [lock_modes(statement) for statement in found] == [ROOM_LOCK, ROOM_LOCK]


def test_the_lock_timeout_in_force_is_kept_in_milliseconds_and_each_revision_begins_with_the_same(
    player: RevisionPlayer,
) -> None:
    played = player(
        'op.execute("UPDATE room SET size = 1")\n'
        "op.execute(\"SET LOCAL lock_timeout = '2min'\")\n"
        'op.execute("UPDATE room SET size = 2")\n'
        'op.execute("SET lock_timeout = 1500")\n'
        "with op.get_context().autocommit_block():\n"
        '    op.execute("CREATE INDEX CONCURRENTLY room_size ON room (size)")',
        'op.execute("UPDATE room SET size = 3")',
    )
    assert [statement.lock_timeout for statement in played.legs[0] if statement.sql.startswith("UPDATE room")] == [
        5000,
        120_000,
    ]
    assert [statement.lock_timeout for statement in played.legs[0] if statement.sql.startswith("CREATE")] == [1500]
    assert played.statements[0].lock_timeout == 5000


def test_a_statement_that_fails_is_kept(player: RevisionPlayer) -> None:
    played = player(
        'op.execute("UPDATE room SET size = 1")\nop.execute("ALTER TABLE room DROP COLUMN nothing")', fails=True
    )
    failed = played.statements[-1]
    assert (failed.sql, failed.rows, failed.locks) == ("ALTER TABLE room DROP COLUMN nothing", -1, ())
    assert failed.line == played.statements[0].line + 1
    assert lock_modes(played.statements[0]) == {"room": "ROW EXCLUSIVE"}


def test_recording_does_not_affect_a_revision(player: RevisionPlayer) -> None:
    played = player("""
        bind = op.get_bind()
        op.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        op.execute("/* a */ -- b\\n SET TRANSACTION READ WRITE")
        assert bind.execute(sa.text("SHOW transaction_isolation")).scalar() == "serializable"
        found = bind.execute(sa.text("SELECT id FROM room ORDER BY id"))
        changed = bind.execute(sa.text("UPDATE room SET size = 4"))
        assert [row.id for row in found] == [1, 2]
        assert changed.rowcount == 2
        streamed = bind.execution_options(stream_results=True).execute(sa.text("SELECT id FROM room ORDER BY id"))
        bind.execution_options(stream_results=False).execute(sa.text("UPDATE house SET name = 'x'"))
        assert streamed.scalars().all() == [1, 2]
        op.execute("SET LOCAL search_path = audit, pg_catalog, public")
        op.execute("CREATE OR REPLACE FUNCTION audit.pg_backend_pid() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        op.execute("UPDATE event SET what = ''")
        bind.execute(sa.text("INSERT INTO event VALUES (:id)"), [{"id": 1}, {"id": 2}])
        assert bind.execute(sa.text("SELECT count(*) FROM pg_prepared_statements")).scalar() == 0
    """)
    assert not any("pg_lock_status" in statement.sql for statement in played.legs[-1])
    assert [statement.rows for statement in played.statements if statement.sql.startswith("UPDATE")] == [2, 1, 0]
    assert lock_modes(played.statements[-3]) == {"audit.event": "ROW EXCLUSIVE"}


def test_sqlite_records_no_locks_rewrites_or_scans(small_project: SmallProject) -> None:
    small_project.write_revision(
        "001",
        """
        op.create_table("room", sa.Column("id", sa.Integer, primary_key=True))
        op.execute("INSERT INTO room VALUES (1)")
        """,
    )
    with scratch_sqlite() as target, create_engine(target.sqlalchemy_url(), poolclass=NullPool).connect() as connection:
        observer = StatementRecorder(connection, small_project.project)
        observer.start()
        Runner(small_project.project, target=target, connection=connection).upgrade()
        found = [statement for statement in observer.stop() if statement.line]
    assert [statement.rows for statement in found] == [-1, 1]
    assert {(each.locks, each.rewritten, each.scanned, each.lock_timeout) for each in found} == {((), (), (), 0)}
