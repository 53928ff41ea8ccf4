"""The witness reads again only what a leg may have touched, and judges as if it had read everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.introspection import snapshot
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.dataloss import contents
from dormatory.dataloss.detect import judge
from dormatory.dataloss.model import State, Trip
from dormatory.recording.model import Direction, Statement
from dormatory.replay.row_tracker import Witness
from dormatory.sql.lexer import Syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

    from dormatory.dataloss.contents import Contents
    from dormatory.recording.model import Loss
    from dormatory.schema.snapshot import Snapshot
    from tests.conftest import SmallProject

OWNERS = "CREATE TABLE owners (id integer PRIMARY KEY, name varchar(40) NOT NULL)"
PETS = (
    "CREATE TABLE pets (id integer PRIMARY KEY, owner_id integer NOT NULL REFERENCES owners (id) ON DELETE CASCADE,"
    " name varchar(80), born date)"
)
ZOO = "CREATE TABLE zoo (id integer PRIMARY KEY, title varchar(20))"
ALL = (OWNERS, PETS, ZOO)
SPLIT = ("ALTER TABLE owners ADD COLUMN nick varchar(40)", "UPDATE owners SET nick = substr(name, 1, 3)")


class Stage:
    """A database on which a witness sees a revision, given as SQL, make its round trip."""

    def __init__(self, connection: sa.Connection, project: SmallProject) -> None:
        self.connection, self.witness = connection, Witness(project.project)
        self.read: list[set[str]] = []  # tables, by each look
        self.whole: dict[object, State] = {}

    def run(self, *statements: str) -> tuple[Statement, ...]:
        for statement in statements:
            self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        return tuple(Statement(sql, (), "x.py", line, 0.0, -1) for line, sql in enumerate(statements, start=1))

    def schema(self) -> Snapshot:
        return snapshot(self.connection)

    def everything(self) -> State:
        return State(self.schema(), contents.read(self.connection, self.schema()))

    def trip(self, up: Sequence[str], down: Sequence[str]) -> tuple[Loss, ...]:
        """Make a round trip before the witness, and return the losses of a judgement on all tables."""
        self.witness.before(self.connection, self.schema())
        before = self.everything()
        upgrade = self.run(*up)
        upgraded = self.everything()
        self.witness.after(self.connection, upgraded.schema, Direction.UPGRADE, upgrade, None)
        filled = self.everything().contents
        downgrade = self.run(*down)
        downgraded = self.everything()
        self.witness.after(self.connection, downgraded.schema, Direction.DOWNGRADE, downgrade, None)
        again = self.run(*up)
        last = self.everything()
        self.witness.after(self.connection, last.schema, Direction.SECOND_UPGRADE, again, None)
        syntax = Syntax(self.connection.dialect.name)
        return judge(Trip(syntax, before, upgrade, upgraded, filled, downgrade, downgraded, again, last))


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(
    request: pytest.FixtureRequest, small_project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """A stage on each backend, on which every look is written down."""
    if request.param == "sqlite":
        scratch = scratch_sqlite()
    else:
        scratch = throwaway.scratch_postgresql(request.getfixturevalue("postgres_server"))
    with scratch as target, backend_for(target).engine(target, writing=True).connect() as connection:
        found = Stage(connection, small_project)
        read = contents.read

        def noting(connection: sa.Connection, schema: Snapshot, **options: object) -> Contents:
            held = read(connection, schema, **options)  # type: ignore[arg-type]
            if "tables" in options:
                found.read.append({it.name for it in held.tables})
            return held

        monkeypatch.setattr(contents, "read", noting)
        yield found


class TestReading:
    def test_all_tables_are_read_once_and_then_those_that_a_leg_wrote_or_changed(self, stage: Stage) -> None:
        stage.run(*ALL)
        schema = stage.schema()
        stage.witness.before(stage.connection, schema)
        assert stage.read == [{"owners", "pets", "zoo"}] * 2  # empty, and filled
        stage.read.clear()
        zoo = schema.table("zoo")
        stage.witness.after(stage.connection, schema, Direction.UPGRADE, (), {(zoo.namespace, zoo.name)})
        stage.run("ALTER TABLE pets ADD COLUMN tail integer")
        stage.witness.after(stage.connection, stage.schema(), Direction.DOWNGRADE, (), ())
        assert stage.read == [{"zoo"}, {"pets"}]

    def test_all_tables_are_read_where_nobody_knows_which_were_written(self, stage: Stage) -> None:
        stage.run(*ALL)
        schema = stage.schema()
        stage.witness.before(stage.connection, schema)
        stage.read.clear()
        stage.witness.after(stage.connection, schema, Direction.UPGRADE, (), None)
        assert stage.read == [{"owners", "pets", "zoo"}]

    def test_the_next_trip_begins_with_what_is_known(self, stage: Stage) -> None:
        stage.run(*ALL)
        assert stage.trip(SPLIT, ("ALTER TABLE owners DROP COLUMN nick",)) == ()
        stage.read.clear()
        stage.witness.before(stage.connection, stage.schema())
        assert stage.read == [set()]


class TestJudging:
    @pytest.mark.parametrize(
        ("up", "down"),
        [
            (SPLIT, ("ALTER TABLE owners DROP COLUMN nick",)),
            (("UPDATE owners SET name = 'same'",), ()),
            (("DELETE FROM owners",), ()),
            (("ALTER TABLE pets RENAME TO animals",), ("ALTER TABLE animals RENAME TO pets",)),
            (("CREATE TABLE names AS SELECT name FROM pets", "ALTER TABLE pets DROP COLUMN name"),
             ("ALTER TABLE pets ADD COLUMN name varchar(80)", "DROP TABLE names")),
            (("INSERT INTO zoo (id, title) VALUES ((SELECT max(id) + 1 FROM zoo), 'new')",), ()),
            (("CREATE TABLE toys (id integer PRIMARY KEY, pet integer REFERENCES pets (id))",), ("DROP TABLE toys",)),
            (("ALTER TABLE zoo ADD COLUMN pet_id integer", "UPDATE zoo SET pet_id = 7"),
             ("ALTER TABLE zoo DROP COLUMN pet_id",)),
        ],
        ids=["split", "flattened", "emptied", "renamed", "moved", "repeated", "created", "unrelated"],
    )  # fmt: skip
    def test_a_trip_is_judged_as_it_would_be_with_all_tables_read(
        self, stage: Stage, up: Sequence[str], down: Sequence[str]
    ) -> None:
        stage.run(*ALL)
        assert stage.witness.losses() == ()
        whole = stage.trip(up, down)
        assert stage.witness.losses() == whole

    def test_losses_are_seen(self, stage: Stage) -> None:
        stage.run(*ALL)
        stage.trip(("DELETE FROM owners",), ())
        assert "owners" in {loss.table.rpartition(".")[2] for loss in stage.witness.losses()}


class TestFilling:
    def test_a_table_that_cannot_be_filled_is_tried_again_only_when_something_changed(self, stage: Stage) -> None:
        stage.run("CREATE TABLE narrow (id integer PRIMARY KEY, x integer NOT NULL CHECK (x > 5 AND x < 3))")
        schema = stage.schema()
        stage.witness.before(stage.connection, schema)
        (table,) = stage.witness.unfilled
        assert table.endswith("narrow")
        stage.witness.unfilled.clear()
        stage.witness.before(stage.connection, schema)
        assert stage.witness.unfilled == {}
        stage.run("DROP TABLE narrow", "CREATE TABLE narrow (id integer PRIMARY KEY, x integer NOT NULL CHECK (x > 5))")
        stage.witness.before(stage.connection, stage.schema())
        assert stage.everything().contents.table("narrow").rows

    def test_a_table_that_is_filled_later_is_no_longer_named(self, stage: Stage) -> None:
        stage.run("CREATE TABLE narrow (id integer PRIMARY KEY, x integer NOT NULL CHECK (x > 5 AND x < 3))")
        stage.witness.before(stage.connection, stage.schema())
        assert stage.witness.unfilled
        stage.run("DROP TABLE narrow", "CREATE TABLE narrow (id integer PRIMARY KEY)")
        stage.witness.before(stage.connection, stage.schema())
        assert stage.witness.unfilled == {}

    def test_extremes_are_put_in_unless_they_are_not_wanted(self, stage: Stage) -> None:
        stage.run(OWNERS)
        stage.witness.edges = False
        stage.witness.before(stage.connection, stage.schema())
        plain = {row[1] for row in stage.everything().contents.table("owners").rows}
        assert "" not in plain
        stage.run(ZOO)
        stage.witness.edges = True
        stage.witness.before(stage.connection, stage.schema())
        assert "" in {row[1] for row in stage.everything().contents.table("zoo").rows}

    def test_a_column_that_the_revision_widens_gets_no_extremes_behind_it(self, stage: Stage) -> None:
        stage.run(ZOO)
        stage.witness.before(stage.connection, stage.schema())
        wider = {
            "sqlite": (
                "DROP TABLE zoo",
                "CREATE TABLE zoo (id integer PRIMARY KEY, title varchar(90), note varchar(9))",
            ),
            "postgresql": (
                "ALTER TABLE zoo ALTER COLUMN title TYPE varchar(90)",
                "ALTER TABLE zoo ADD COLUMN note varchar(9)",
            ),
        }[stage.connection.dialect.name]
        statements = stage.run(*wider)
        stage.witness.after(stage.connection, stage.schema(), Direction.UPGRADE, statements, None)
        rows = stage.everything().contents.table("zoo").rows
        assert max(len(str(title)) for _, title, _ in rows) <= 20
        assert {"ü" * 9, ""}.isdisjoint(note for *_, note in rows)
        assert len({note for *_, note in rows}) > 2

    def test_rows_of_the_project_itself_are_known_to_the_next_trip(
        self, stage: Stage, small_project: SmallProject
    ) -> None:
        stage.run(*ALL)
        schema = stage.schema()
        stage.witness.before(stage.connection, schema)
        rows = small_project.root / "scripts" / "rows"
        rows.mkdir()
        (rows / "001.sql").write_text("INSERT INTO zoo VALUES (7, 'their own');")
        stage.read.clear()
        stage.witness.bring(stage.connection, "001", schema)
        assert stage.read == [{"owners", "pets", "zoo"}]
        assert "their own" in {row[1] for row in stage.everything().contents.table("zoo").rows}
