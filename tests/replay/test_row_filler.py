"""A revision meets the same rows whether the revisions before it made their round trips or were only applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.recording.leg import Direction
from dormatory.recording.loss import LossKind
from dormatory.recording.model import RowKind
from dormatory.replay.replay import replay_history
from dormatory.replay.row_tracker import RowTracker
from dormatory.replay.session import ReplaySession
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.parts import ScratchMaker
    from dormatory.recording.leg import Failure
    from dormatory.recording.model import Recording, Step
    from dormatory.schema.snapshot import Snapshot
    from tests.conftest import SmallProject

    SQLRevision = tuple[Collection[str], Collection[str]]  # the statements of the upgrade, and of the downgrade
    Histories = Mapping[str, Sequence[SQLRevision]]

ON_POSTGRESQL_ONLY = pytest.mark.parametrize("maker", ["postgresql"], indirect=True)
ON_SQLITE_ONLY = pytest.mark.parametrize("maker", ["sqlite"], indirect=True)

LOT = "CREATE TABLE lot (id integer PRIMARY KEY, title varchar(20))"
# Tables with a name, each with a key of its own kind; a column `code` is added to them later.
TABLES = {
    "plain": ("CREATE TABLE lot (id integer PRIMARY KEY)",),
    "composite-key": ("CREATE TABLE lot (house integer, room varchar(9), PRIMARY KEY (house, room))",),
    "child": ("CREATE TABLE owner (id integer PRIMARY KEY)",
              "CREATE TABLE lot (id integer PRIMARY KEY, owner_id integer NOT NULL REFERENCES owner (id))"),
    "parent": ("CREATE TABLE lot (id integer PRIMARY KEY)",
               "CREATE TABLE bid (id integer PRIMARY KEY, lot_id integer NOT NULL REFERENCES lot ON DELETE CASCADE)"),
    "self-reference": ("CREATE TABLE lot (id integer PRIMARY KEY, part_of integer REFERENCES lot (id))",),
    "circle": ("CREATE TABLE lot (id integer PRIMARY KEY, best_bid integer)",
               "CREATE TABLE bid (id integer PRIMARY KEY, lot_id integer NOT NULL REFERENCES lot (id))"),
    "generated": ("CREATE TABLE lot (id integer PRIMARY KEY, twice integer GENERATED ALWAYS AS (id * 2) STORED)",),
    "seeded": ("CREATE TABLE lot (id integer PRIMARY KEY)", "INSERT INTO lot (id) VALUES (1), (2)"),
}  # fmt: skip


@pytest.fixture(params=BACKENDS)
def maker(request: pytest.FixtureRequest) -> ScratchMaker:
    """A maker of scratch databases, once per backend."""
    return scratch_maker(request.param, request)


def write_sql(project: SmallProject, *revisions: SQLRevision) -> None:
    """Write revisions 001, 002, ... from the statements of their upgrades and downgrades."""
    for number, legs in enumerate(revisions, start=1):
        bodies = ("\n".join(f"op.execute({sql!r})" for sql in leg) or "pass" for leg in legs)
        project.write_revision(f"{number:03d}", *bodies)


def creation(*statements: str) -> SQLRevision:
    """Return a revision that creates tables."""
    names = [sql.split()[2] for sql in statements if sql.startswith("CREATE TABLE")]
    return statements, [f"DROP TABLE {name}" for name in reversed(names)]


def added_column(table: str, column: str) -> SQLRevision:
    """Return a revision that adds a column."""
    name, _, _ = column.partition(" ")
    return [f"ALTER TABLE {table} ADD COLUMN {column}"], [f"ALTER TABLE {table} DROP COLUMN {name}"]


def last_step(recording: Recording) -> Step:
    """Return the step of the last revision; the earlier ones are clean."""
    *others, last = recording.steps
    assert [step.revision for step in others if not step.is_clean] == []
    return last


class TestColumnsOfEarlierRevisions:
    """What a revision does to a column that was added two revisions before it is found."""

    @pytest.mark.parametrize("tables", TABLES.values(), ids=list(TABLES))
    def test_uniqueness_that_its_values_do_not_have_is_refused(
        self, small_project: SmallProject, maker: ScratchMaker, tables: Collection[str]
    ) -> None:
        write_sql(
            small_project,
            creation(*tables),
            added_column("lot", "code varchar(20)"),
            creation("CREATE TABLE other (id integer PRIMARY KEY)"),
            (["CREATE UNIQUE INDEX uq_code ON lot (code)"], ["DROP INDEX uq_code"]),
        )
        step = last_step(replay_history(small_project.project, maker))
        assert Direction.UPGRADE in {it.direction for it in step.row_failures}

    @pytest.mark.parametrize("tables", TABLES.values(), ids=list(TABLES))
    def test_dropping_it_and_adding_it_again_loses_its_values(
        self, small_project: SmallProject, maker: ScratchMaker, tables: Collection[str]
    ) -> None:
        write_sql(
            small_project,
            creation(*tables),
            added_column("lot", "code varchar(20)"),
            creation("CREATE TABLE other (id integer PRIMARY KEY)"),
            (["ALTER TABLE lot DROP COLUMN code", "ALTER TABLE lot ADD COLUMN code varchar(20)"], []),
        )
        step = last_step(replay_history(small_project.project, maker))
        assert (LossKind.VALUES_LOST, "code") in {(loss.kind, loss.column) for loss in step.losses}

    @ON_POSTGRESQL_ONLY
    @pytest.mark.parametrize(
        "change", ["ALTER COLUMN code TYPE integer USING code::integer", "ALTER COLUMN code SET NOT NULL"]
    )
    def test_a_cast_and_a_requirement_that_its_values_do_not_fit_are_refused(
        self, small_project: SmallProject, maker: ScratchMaker, change: str
    ) -> None:
        write_sql(
            small_project,
            creation(LOT),
            added_column("lot", "code varchar(20)"),
            added_column("lot", "other integer"),
            ([f"ALTER TABLE lot {change}"], []),
        )
        step = last_step(replay_history(small_project.project, maker))
        assert Direction.UPGRADE in {it.direction for it in step.row_failures}

    @ON_SQLITE_ONLY
    def test_a_rebuild_that_forgets_it_loses_its_values(self, small_project: SmallProject, maker: ScratchMaker) -> None:
        rebuild = [
            "CREATE TABLE new_lot (id integer PRIMARY KEY, title varchar(40), code varchar(20))",
            "INSERT INTO new_lot (id, title) SELECT id, title FROM lot",
            "DROP TABLE lot",
            "ALTER TABLE new_lot RENAME TO lot",
        ]
        back = [sql.replace("varchar(40)", "varchar(20)") for sql in rebuild]
        write_sql(small_project, creation(LOT), added_column("lot", "code varchar(20)"), (rebuild, back))
        step = last_step(replay_history(small_project.project, maker))
        assert (LossKind.VALUES_LOST, "code") in {(loss.kind, loss.column) for loss in step.losses}

    @ON_POSTGRESQL_ONLY
    def test_it_holds_extremes_in_the_next_trip(self, small_project: SmallProject, maker: ScratchMaker) -> None:
        write_sql(
            small_project,
            creation(LOT),
            added_column("lot", "price integer"),
            (["UPDATE lot SET price = price * 2"], ["UPDATE lot SET price = price / 2"]),
        )
        step = last_step(replay_history(small_project.project, maker))
        assert {failed.kind for failed in step.row_failures} == {RowKind.EXTREME}


NOTE = (
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN INSERT INTO log (what) VALUES (TG_OP); RETURN NEW; END $$"
)
HISTORIES: Histories = {
    "columns": [creation(LOT), added_column("lot", "code varchar(9)"), added_column("lot", "price numeric(9, 2)")],
    "parents": [
        creation("CREATE TABLE owner (id integer PRIMARY KEY, name varchar(30) UNIQUE)"),
        creation("CREATE TABLE lot (id integer PRIMARY KEY, owner_name varchar(30) REFERENCES owner (name))"),
        (["UPDATE owner SET name = 'x' || name"], ["UPDATE owner SET name = substr(name, 2)"]),
        added_column("owner", "age integer"),
        added_column("lot", "code varchar(9)"),
    ],
    "composite-keys": [
        creation("CREATE TABLE room (house integer, number integer, PRIMARY KEY (house, number))",
                 "CREATE TABLE bed (house integer NOT NULL, number integer NOT NULL, place integer NOT NULL, "
                 "PRIMARY KEY (house, number, place), FOREIGN KEY (house, number) REFERENCES room (house, number))",
                 "CREATE TABLE sheet (house integer, number integer, place integer, "
                 "FOREIGN KEY (house, number, place) REFERENCES bed (house, number, place))"),
        added_column("room", "floor integer"),
        (["DELETE FROM sheet", "DELETE FROM bed"], []),
        added_column("sheet", "colour varchar(9)"),
    ],
    "seeds": [
        creation("CREATE TABLE role (id integer PRIMARY KEY, name varchar(9) UNIQUE)",
                 "INSERT INTO role VALUES (1, 'admin'), (2, 'user')"),
        creation("CREATE TABLE member (id integer PRIMARY KEY, role_id integer NOT NULL REFERENCES role (id))"),
        (["INSERT INTO role VALUES (3, 'guest')", "UPDATE role SET name = 'root' WHERE id = 1"],
         ["DELETE FROM role WHERE id = 3", "UPDATE role SET name = 'admin' WHERE id = 1"]),
        added_column("role", "rank integer"),
        (["DELETE FROM role WHERE id = 2"], []),
        added_column("member", "age integer"),
    ],
    "circle": [
        creation("CREATE TABLE lot (id integer PRIMARY KEY, part_of integer REFERENCES lot (id))"),
        added_column("lot", "best_bid integer"),
        creation("CREATE TABLE bid (id integer PRIMARY KEY, lot_id integer NOT NULL REFERENCES lot (id))"),
        added_column("lot", "code varchar(9)"),
        added_column("bid", "price integer"),
    ],
}  # fmt: skip
POSTGRESQL_HISTORIES: Histories = {
    "identity": [
        creation("CREATE TABLE lot (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title varchar(9))",
                 "INSERT INTO lot (title) VALUES ('first'), ('second')"),
        creation("CREATE TABLE bid (id serial PRIMARY KEY, lot_id integer NOT NULL REFERENCES lot (id))"),
        added_column("lot", "code varchar(9)"),
        (["ALTER SEQUENCE bid_id_seq RESTART WITH 500"], []),
        added_column("bid", "price integer"),
    ],
    "trigger": [
        creation("CREATE TABLE log (id serial PRIMARY KEY, what varchar(40))", LOT),
        ([NOTE, "CREATE TRIGGER noted AFTER INSERT ON lot FOR EACH ROW EXECUTE FUNCTION note()"],
         ["DROP TRIGGER noted ON lot", "DROP FUNCTION note()"]),
        (["INSERT INTO lot VALUES (1, 'seed')"], ["DELETE FROM lot WHERE id = 1"]),
        added_column("lot", "code varchar(9)"),
        added_column("log", "moment timestamp"),
        added_column("lot", "price integer"),
    ],
    "partitions": [
        creation("CREATE TABLE event (id integer, year integer, PRIMARY KEY (id, year)) PARTITION BY LIST (year)"),
        (["CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (2024)", "INSERT INTO event VALUES (1, 2024)"],
         ["DROP TABLE event_1"]),
        (["CREATE TABLE event_2 PARTITION OF event FOR VALUES IN (2025)"], ["DROP TABLE event_2"]),
        added_column("event", "what varchar(9)"),
        (["ALTER TABLE event DETACH PARTITION event_2"],
         ["ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES IN (2025)"]),
        added_column("event", "more varchar(9)"),
    ],
    "enumeration": [
        (["CREATE TYPE mood AS ENUM ('glad')", "CREATE TABLE lot (id integer PRIMARY KEY, mood mood)"],
         ["DROP TABLE lot", "DROP TYPE mood"]),
        creation("CREATE TABLE other (id integer PRIMARY KEY)"),
        (["ALTER TYPE mood ADD VALUE 'sad'"], []),
        added_column("other", "code varchar(9)"),
    ],
}  # fmt: skip
SQLITE_HISTORIES: Histories = {
    "trigger": [
        creation("CREATE TABLE log (id integer PRIMARY KEY AUTOINCREMENT, what varchar(40))", LOT),
        (["CREATE TRIGGER noted AFTER INSERT ON lot BEGIN INSERT INTO log (what) VALUES (NEW.title); END",
          "CREATE TRIGGER kept BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'logs are kept'); END"],
         ["DROP TRIGGER noted", "DROP TRIGGER kept"]),
        (["INSERT INTO lot VALUES (1, 'seed')"], ["DELETE FROM lot WHERE id = 1"]),
        added_column("lot", "code varchar(9)"),
        added_column("log", "moment timestamp"),
        added_column("lot", "price integer"),
    ],
    "without-rowid": [
        creation("CREATE TABLE lot (code varchar(9) PRIMARY KEY, title varchar(9)) WITHOUT ROWID"),
        added_column("lot", "price integer"),
        (["INSERT INTO lot (code) VALUES ('a')"], ["DELETE FROM lot WHERE code = 'a'"]),
        added_column("lot", "more integer"),
    ],
}  # fmt: skip


@pytest.fixture
def check_same_rows(
    small_project: SmallProject, maker: ScratchMaker, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Sequence[SQLRevision]], None]:
    """Return a function that writes a history and asserts that its revisions meet the same rows in every replay."""

    def check(history: Sequence[SQLRevision]) -> None:
        write_sql(small_project, *history)
        assert_same_rows(small_project, maker, monkeypatch)

    return check


class TestSameRows:
    """The rows before a trip depend on the structure and the seed rows only."""

    @pytest.mark.parametrize("history", HISTORIES.values(), ids=list(HISTORIES))
    def test_on_both_backends(
        self, check_same_rows: Callable[[Sequence[SQLRevision]], None], history: Sequence[SQLRevision]
    ) -> None:
        check_same_rows(history)

    @ON_POSTGRESQL_ONLY
    @pytest.mark.parametrize("history", POSTGRESQL_HISTORIES.values(), ids=list(POSTGRESQL_HISTORIES))
    def test_on_postgresql(
        self, check_same_rows: Callable[[Sequence[SQLRevision]], None], history: Sequence[SQLRevision]
    ) -> None:
        check_same_rows(history)

    @ON_SQLITE_ONLY
    @pytest.mark.parametrize("history", SQLITE_HISTORIES.values(), ids=list(SQLITE_HISTORIES))
    def test_on_sqlite(
        self, check_same_rows: Callable[[Sequence[SQLRevision]], None], history: Sequence[SQLRevision]
    ) -> None:
        check_same_rows(history)

    def test_the_projects_own_rows_are_among_them(
        self, small_project: SmallProject, maker: ScratchMaker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = small_project.root / "scripts" / "rows"
        rows.mkdir()
        (rows / "001.sql").write_text("INSERT INTO lot VALUES (7, 'their own');")
        write_sql(
            small_project, creation(LOT), added_column("lot", "code varchar(9)"), added_column("lot", "more integer")
        )
        *_, last = assert_same_rows(small_project, maker, monkeypatch)
        assert any("'their own'" in row for row in last["lot"])


def assert_same_rows(
    project: SmallProject, maker: ScratchMaker, monkeypatch: pytest.MonkeyPatch
) -> list[Mapping[str, list[str]]]:
    """Compare the rows before each trip with those after revisions that were only applied, and return them."""
    met: dict[str, dict[str, list[str]]] = {}
    begin_trip, recorded_step = RowTracker.begin_trip, ReplaySession.recorded_step
    rows: dict[str, list[str]] = {}

    def begin_and_keep(tracker: RowTracker, schema: Snapshot) -> None:
        begin_trip(tracker, schema)
        rows.clear()
        rows.update((name, sorted(map(repr, it.rows))) for (_, name), it in tracker.rows.items() if it.rows)

    def record_and_keep(
        session: ReplaySession, revision: str, direction: Direction
    ) -> Generator[RevisionStep, None, Failure | None]:
        met.setdefault(revision, rows.copy())  # later ones are attempts with plainer rows
        return recorded_step(session, revision, direction)

    monkeypatch.setattr(RowTracker, "begin_trip", begin_and_keep)
    monkeypatch.setattr(ReplaySession, "recorded_step", record_and_keep)
    revisions = [step.revision for step in replay_history(project.project, maker).steps]
    in_walk = met.copy()
    for revision in revisions:
        met.clear()
        replay_history(project.project, maker, only={revision})
        assert met == {revision: in_walk[revision]}
    return [in_walk[revision] for revision in revisions]


def test_seed_rows_that_a_later_revision_reads_are_there(small_project: SmallProject, maker: ScratchMaker) -> None:
    write_sql(
        small_project,
        creation(
            "CREATE TABLE role (id integer PRIMARY KEY, name text UNIQUE)", "INSERT INTO role VALUES (5, 'admin')"
        ),
        added_column("role", "rank integer"),
    )
    read = """op.get_bind().execute(sa.text("SELECT id FROM role WHERE name = 'admin'")).scalar_one()"""
    small_project.write_revision("003", read, read)
    recording = replay_history(small_project.project, maker)
    assert [step.revision for step in recording.steps if not step.is_clean] == []


def test_the_way_down_meets_seed_rows_only(small_project: SmallProject, maker: ScratchMaker) -> None:
    create, drop = creation(
        "CREATE TABLE role (id integer PRIMARY KEY, name varchar(9))", "INSERT INTO role VALUES (5, 'admin')"
    )
    write_sql(small_project, (create, drop), added_column("role", "rank integer"))
    count = "sa._counts.append(op.get_bind().execute(sa.text('SELECT count(*) FROM role')).scalar_one())"
    file = small_project.versions / "001_x.py"
    file.write_text(file.read_text().replace("def downgrade():", f"def downgrade():\n    {count}"))
    counts: list[int] = []
    sa._counts = counts  # type: ignore[attr-defined]  # the revision runs in this process
    replay_history(small_project.project, maker)
    del sa._counts  # type: ignore[attr-defined]
    assert counts[0] > 1
    assert counts[-1] == 1
