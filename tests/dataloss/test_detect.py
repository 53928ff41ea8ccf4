"""What a round trip loses is told from what it may lose: each scenario is SQL, run on a real database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.introspection import snapshot
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.dataloss import contents
from dormatory.dataloss.detect import judge
from dormatory.dataloss.model import State, Trip
from dormatory.recording.model import Direction, Kind, Loss, Statement
from dormatory.sql.dataflow import flows
from dormatory.sql.lexer import Syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

PEOPLE = "CREATE TABLE people (id integer PRIMARY KEY, name varchar(80), email varchar(80))"
THREE = "INSERT INTO people VALUES (1, 'Ada Lovelace', 'ada@x'), (2, 'Grace Hopper', 'Grace@x'), (3, 'Alan', NULL)"
OWNERS = (
    "CREATE TABLE owners (id integer PRIMARY KEY, name varchar(40) NOT NULL)",
    "CREATE TABLE pets (id integer PRIMARY KEY, owner_id integer REFERENCES owners (id) ON DELETE CASCADE, name text)",
    "INSERT INTO owners VALUES (1, 'Kim'), (2, 'Lee')",
    "INSERT INTO pets VALUES (1, 1, 'Rex'), (2, 2, 'Mia'), (3, 2, NULL)",
)


@dataclass
class Stage:
    """A database on which a revision, given as SQL, makes its round trip."""

    connection: sa.Connection

    def run(self, *statements: str) -> tuple[Statement, ...]:
        for statement in statements:
            self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        return tuple(Statement(sql, (), "x.py", line, 0.0, -1) for line, sql in enumerate(statements, start=1))

    def state(self) -> State:
        schema = snapshot(self.connection)
        return State(schema, contents.read(self.connection, schema))

    def trip(
        self, before: Sequence[str], up: Sequence[str], down: Sequence[str], *, filled: Sequence[str] = ()
    ) -> Trip:
        self.run(*before)
        start = self.state()
        upgrade, upgraded = self.run(*up), self.state()
        self.run(*filled)
        rows = self.state().contents
        downgrade, downgraded = self.run(*down), self.state()
        again = self.run(*up)
        syntax = Syntax(self.connection.dialect.name)
        return Trip(syntax, start, upgrade, upgraded, rows, downgrade, downgraded, again, self.state())

    def losses(
        self, before: Sequence[str], up: Sequence[str], down: Sequence[str], *, filled: Sequence[str] = ()
    ) -> list[tuple[Kind, Direction, str]]:
        found = judge(self.trip(before, up, down, filled=filled))
        return [(loss.kind, loss.direction, f"{loss.table}.{loss.column}".rstrip(".")) for loss in found]


@pytest.fixture
def sqlite() -> Iterator[Stage]:
    """A stage on SQLite, which does not look at foreign keys."""
    with scratch_sqlite() as target, backend_for(target).engine(target, writing=True).connect() as connection:
        yield Stage(connection)


@pytest.fixture
def postgresql(postgres_server: throwaway.Server) -> Iterator[Stage]:
    """A stage on PostgreSQL."""
    with (
        throwaway.scratch_postgresql(postgres_server) as target,
        backend_for(target).engine(target, writing=True).connect() as connection,
    ):
        yield Stage(connection)


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """A stage on each backend."""
    found: Stage = request.getfixturevalue(request.param)
    return found


class TestDroppedColumns:
    def test_a_plain_drop_is_no_loss(self, stage: Stage) -> None:
        drop, add = "ALTER TABLE people DROP COLUMN email", "ALTER TABLE people ADD COLUMN email varchar(80)"
        assert stage.losses([PEOPLE, THREE], [drop], [add]) == []

    def test_nor_is_one_whose_default_comes_back(self, stage: Stage) -> None:
        drop = "ALTER TABLE people DROP COLUMN email"
        add = "ALTER TABLE people ADD COLUMN email varchar(80) NOT NULL DEFAULT 'none'"
        assert stage.losses([PEOPLE, THREE], [drop], [add]) == []

    MERGE = (
        "ALTER TABLE people ADD COLUMN both_of_them varchar(200)",
        "UPDATE people SET both_of_them = name || ';' || email",
        "ALTER TABLE people DROP COLUMN email",
    )
    UNMERGE = ("ALTER TABLE people ADD COLUMN email varchar(80)", "ALTER TABLE people DROP COLUMN both_of_them")

    def test_what_was_merged_must_be_split_again(self, stage: Stage) -> None:
        found = stage.losses([PEOPLE, THREE], self.MERGE, self.UNMERGE)
        assert found == [(Kind.SPLIT_NOT_JOINED, Direction.DOWNGRADE, "people.email")]

    def test_texts_that_the_way_back_cannot_take_apart_are_forgiven(self, stage: Stage) -> None:
        parts = {"sqlite": "instr(both_of_them, ';')", "postgresql": "strpos(both_of_them, ';')"}
        at = parts[stage.connection.dialect.name]
        back = [self.UNMERGE[0], f"UPDATE people SET email = substr(both_of_them, {at} + 1)", self.UNMERGE[1]]
        rows = "INSERT INTO people VALUES (4, 'a;b', 'four'), (5, ';', 'five')"
        assert stage.losses([PEOPLE, THREE, rows], self.MERGE, back) == []

    SPLIT = (
        "ALTER TABLE people ADD COLUMN first varchar(80)",
        "ALTER TABLE people ADD COLUMN last varchar(80)",
        "UPDATE people SET first = replace(replace(name, ' Lovelace', ''), ' Hopper', '') WHERE name LIKE '% %'",
        "UPDATE people SET last = replace(replace(name, 'Ada ', ''), 'Grace ', '') WHERE name LIKE '% %'",
        "ALTER TABLE people DROP COLUMN name",
    )

    @pytest.mark.parametrize(("back", "is_lost"), [("first", True), ("first || ' ' || last", False)])
    def test_what_was_split_must_be_joined_again(self, stage: Stage, back: str, is_lost: bool) -> None:  # noqa: FBT001
        down = [
            "ALTER TABLE people ADD COLUMN name varchar(80)",
            f"UPDATE people SET name = {back}",
            "ALTER TABLE people DROP COLUMN first",
            "ALTER TABLE people DROP COLUMN last",
        ]
        found = stage.losses([PEOPLE, THREE], self.SPLIT, down)
        assert found == [(Kind.SPLIT_NOT_JOINED, Direction.DOWNGRADE, "people.name")] * is_lost

    def test_a_mapping_onto_a_new_column_must_be_inverted_for_each_value(self, stage: Stage) -> None:
        rows = "INSERT INTO people (id, email) VALUES (1, 'low'), (2, 'high'), (3, 'high'), (4, 'mid')"
        up = [
            "ALTER TABLE people ADD COLUMN level integer",
            "UPDATE people SET level = CASE email WHEN 'low' THEN 1 WHEN 'mid' THEN 2 ELSE 3 END",
            "ALTER TABLE people DROP COLUMN email",
        ]
        down = [
            "ALTER TABLE people ADD COLUMN email varchar(80)",
            "UPDATE people SET email = CASE level WHEN 1 THEN 'low' ELSE 'high' END",
            "ALTER TABLE people DROP COLUMN level",
        ]
        found = stage.losses([PEOPLE, rows], up, down)
        assert found == [(Kind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "people.email")]

    @pytest.mark.parametrize(("back", "kinds"), [("cents / 100", [Kind.TRUNCATED]), ("cents / 100.0", [])])
    def test_what_was_calculated_must_be_calculated_back(self, stage: Stage, back: str, kinds: list[Kind]) -> None:
        before = [
            "CREATE TABLE items (id integer PRIMARY KEY, price numeric(10, 2))",
            "INSERT INTO items VALUES (1, 19.99), (2, 2.5), (3, 0), (4, NULL), (5, 1000)",
        ]
        up = [
            "ALTER TABLE items ADD COLUMN cents integer",
            "UPDATE items SET cents = CAST(round(price * 100) AS integer)",
            "ALTER TABLE items DROP COLUMN price",
        ]
        down = [
            "ALTER TABLE items ADD COLUMN price numeric(10, 2)",
            f"UPDATE items SET price = {back}",
            "ALTER TABLE items DROP COLUMN cents",
        ]
        assert [kind for kind, _, _ in stage.losses(before, up, down)] == kinds

    def test_a_number_drawn_from_a_text_is_no_place_where_it_lives_on(self, stage: Stage) -> None:
        up = [
            "ALTER TABLE people ADD COLUMN size integer",
            "UPDATE people SET size = length(name)",
            "ALTER TABLE people DROP COLUMN name",
        ]
        down = ["ALTER TABLE people ADD COLUMN name varchar(80)", "ALTER TABLE people DROP COLUMN size"]
        assert stage.losses([PEOPLE, THREE], up, down) == []

    MOVE = (
        "CREATE TABLE contacts (person integer, address varchar(80))",
        "INSERT INTO contacts SELECT id, email FROM people WHERE email IS NOT NULL",
        "ALTER TABLE people DROP COLUMN email",
    )

    def test_what_was_moved_to_another_table_must_be_moved_back(self, stage: Stage) -> None:
        up = [self.MOVE[0], self.MOVE[1].replace("contacts", "contacts (person, address)"), self.MOVE[2]]
        down = ["ALTER TABLE people ADD COLUMN email varchar(80)", "DROP TABLE contacts"]
        found = stage.losses([PEOPLE, THREE], up, down)
        assert found == [(Kind.VALUES_LOST, Direction.DOWNGRADE, "people.email")]

    def test_and_is_no_loss_when_it_is(self, stage: Stage) -> None:
        fetch = "UPDATE people SET email = (SELECT address FROM contacts WHERE person = people.id)"
        down = ["ALTER TABLE people ADD COLUMN email varchar(80)", fetch, "DROP TABLE contacts"]
        assert stage.losses([PEOPLE, THREE], self.MOVE, down) == []

    def test_what_python_code_carried_over_is_found_by_its_values(self, stage: Stage) -> None:
        up = [
            "ALTER TABLE people ADD COLUMN handle varchar(80)",
            *(f"UPDATE people SET handle = '@{name}' WHERE id = {id_}" for id_, name in enumerate(NAMES)),
            "ALTER TABLE people DROP COLUMN email",
        ]
        down = ["ALTER TABLE people ADD COLUMN email varchar(80)", "ALTER TABLE people DROP COLUMN handle"]
        rows = [f"INSERT INTO people VALUES ({id_}, NULL, '{name}')" for id_, name in enumerate(NAMES)]
        found = stage.losses([PEOPLE, *rows], up, down)
        assert found == [(Kind.SPLIT_NOT_JOINED, Direction.DOWNGRADE, "people.email")]


NAMES = ("amber", "jasper", "kelp", "thistle")


class TestKeptColumns:
    def test_a_mapping_must_be_inverted(self, stage: Stage) -> None:
        up = "UPDATE people SET email = 'shut' WHERE email = 'ada@x'"
        found = stage.losses([PEOPLE, THREE], [up], [])
        assert found == [(Kind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "people.email")]

    def test_and_is_no_loss_when_it_is(self, stage: Stage) -> None:
        up = "UPDATE people SET email = 'shut' WHERE email = 'ada@x'"
        down = "UPDATE people SET email = 'ada@x' WHERE email = 'shut'"
        assert stage.losses([PEOPLE, THREE], [up], [down]) == []

    def test_what_an_update_brings_into_a_normal_form_is_a_stated_loss(self, stage: Stage) -> None:
        (loss,) = judge(stage.trip([PEOPLE, THREE], ["UPDATE people SET email = lower(email)"], []))
        assert loss == Loss(
            Kind.REENCODED, Direction.UPGRADE, "people", "email", 1, 3, "UPDATE at x.py:1", is_stated=True
        )
        assert str(loss) == (
            "1 of 3 values of people.email is written in another form after the upgrade (UPDATE at x.py:1)"
        )

    def test_an_update_that_forgets_its_condition_has_not_stated_what_it_loses(self, stage: Stage) -> None:
        (loss,) = judge(stage.trip([PEOPLE, THREE], ["UPDATE people SET name = 'none'"], []))
        assert str(loss) == "3 of 3 values of people.name are lost after the upgrade (UPDATE at x.py:1)"
        assert not loss.is_stated

    def test_and_has_where_a_condition_says_which(self, stage: Stage) -> None:
        (loss,) = judge(stage.trip([PEOPLE, THREE], ["UPDATE people SET name = 'none' WHERE id > 1"], []))
        assert loss.is_stated

    def test_an_enumeration_must_give_back_each_of_its_values(self, postgresql: Stage) -> None:
        before = ["CREATE TABLE t (id integer PRIMARY KEY, x integer)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"]
        up = [
            "CREATE TYPE level AS ENUM ('low', 'mid', 'high')",
            "ALTER TABLE t ALTER COLUMN x TYPE level USING (ARRAY['low', 'mid', 'high'])[x]::level",
        ]
        down = [
            "ALTER TABLE t ALTER COLUMN x TYPE integer USING CASE x WHEN 'low' THEN 1 ELSE 2 END",
            "DROP TYPE level",
        ]
        assert postgresql.losses(before, up, down) == [(Kind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "t.x")]

    def test_a_null_that_a_required_column_cannot_hold_is_no_loss(self, postgresql: Stage) -> None:
        up = ["UPDATE people SET email = '' WHERE email IS NULL", "ALTER TABLE people ALTER COLUMN email SET NOT NULL"]
        down = ["ALTER TABLE people ALTER COLUMN email DROP NOT NULL"]
        assert postgresql.losses([PEOPLE, THREE], up, down) == []

    def test_nor_is_a_null_that_an_update_fills(self, stage: Stage) -> None:
        assert stage.losses([PEOPLE, THREE], ["UPDATE people SET email = 'none' WHERE email IS NULL"], []) == []

    def test_what_a_downgrade_makes_of_a_null_is(self, stage: Stage) -> None:
        down = ["UPDATE people SET email = 'nothing' WHERE email = 'none'"]
        found = stage.losses([PEOPLE, THREE], ["UPDATE people SET email = 'none' WHERE email IS NULL"], down)
        assert found == [(Kind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "people.email")]

    def test_nor_is_a_value_that_a_new_check_refuses(self, postgresql: Stage) -> None:
        rows = "INSERT INTO people VALUES (-4, 'x', 'a'), (5, '', 'b'), (6, 'y', 'c')"
        up = [
            "UPDATE people SET name = 'none' WHERE name = ''",
            "ALTER TABLE people ADD CONSTRAINT c CHECK (name <> '')",
        ]
        assert postgresql.losses([PEOPLE, rows], up, ["ALTER TABLE people DROP CONSTRAINT c"]) == []

    def test_nor_are_duplicates_told_apart_for_a_unique_key(self, stage: Stage) -> None:
        rows = "INSERT INTO people VALUES (1, 'x', 'same'), (2, 'y', 'same'), (3, 'z', 'other')"
        up = ["UPDATE people SET email = email || id WHERE id = 2", "CREATE UNIQUE INDEX u ON people (email)"]
        assert stage.losses([PEOPLE, rows], up, ["DROP INDEX u"]) == []

    def test_what_a_narrower_type_cuts_off_is_lost_by_the_upgrade(self, postgresql: Stage) -> None:
        up = "ALTER TABLE people ALTER COLUMN name TYPE varchar(5) USING name::varchar(5)"
        down = "ALTER TABLE people ALTER COLUMN name TYPE varchar(80)"
        (loss,) = judge(postgresql.trip([PEOPLE, THREE], [up], [down]))
        assert (loss.kind, loss.direction, loss.count, loss.is_stated) == (Kind.TRUNCATED, Direction.UPGRADE, 2, False)

    @pytest.mark.parametrize(
        ("there", "back", "kind"),
        [
            ("numeric(10,1)", "numeric(10,3)", Kind.TRUNCATED),
            ("integer", "numeric(10,3)", Kind.TRUNCATED),
            ("numeric(12,4)", "numeric(10,3)", None),
        ],
    )
    def test_digits_that_are_rounded_away_are_lost(
        self, postgresql: Stage, there: str, back: str, kind: Kind | None
    ) -> None:
        before = ["CREATE TABLE t (id integer PRIMARY KEY, x numeric(10,3))", "INSERT INTO t VALUES (1, 1.234), (2, 3)"]
        alter = "ALTER TABLE t ALTER COLUMN x TYPE {}"
        found = judge(postgresql.trip(before, [alter.format(there)], [alter.format(back)]))
        assert [loss.kind for loss in found] == ([kind] if kind else [])

    def test_json_that_comes_back_with_its_quotes_is_reencoded(self, postgresql: Stage) -> None:
        up = "ALTER TABLE people ALTER COLUMN email TYPE jsonb USING to_jsonb(email)"
        down = "ALTER TABLE people ALTER COLUMN email TYPE varchar(80) USING email::text"
        found = postgresql.losses([PEOPLE, THREE], [up], [down])
        assert found == [(Kind.REENCODED, Direction.DOWNGRADE, "people.email")]

    def test_bytes_read_in_another_encoding_are_reencoded(self, postgresql: Stage) -> None:
        rows = "INSERT INTO people VALUES (1, 'Zoë', NULL), (2, 'Kim', NULL)"
        up = "UPDATE people SET name = convert_from(convert_to(name, 'UTF8'), 'LATIN1')"
        (loss,) = judge(postgresql.trip([PEOPLE, rows], [up], []))
        assert (loss.kind, loss.is_stated) == (Kind.REENCODED, False)


class TestMoments:
    BEFORE = (
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamp)",
        # The third does not exist in Berlin, which skips it.
        "INSERT INTO t VALUES (1, '2024-07-01 09:00'), (2, '2024-01-01 09:00'), (3, '2024-03-31 02:30'), (4, NULL)",
    )

    @pytest.mark.parametrize(("zone", "is_shifted"), [("UTC", True), ("Europe/London", True), ("Europe/Berlin", False)])
    def test_come_back_shifted_from_another_zone(self, postgresql: Stage, zone: str, is_shifted: bool) -> None:  # noqa: FBT001
        up = "ALTER TABLE t ALTER COLUMN at TYPE timestamptz USING at AT TIME ZONE 'Europe/Berlin'"
        down = f"ALTER TABLE t ALTER COLUMN at TYPE timestamp USING at AT TIME ZONE '{zone}'"
        found = postgresql.losses(self.BEFORE, [up], [down])
        assert found == [(Kind.SHIFTED, Direction.DOWNGRADE, "t.at")] * is_shifted


class TestRows:
    def test_a_delete_is_a_stated_loss(self, stage: Stage) -> None:
        (loss,) = judge(stage.trip([PEOPLE, THREE], ["DELETE FROM people WHERE email IS NULL"], []))
        assert (loss.kind, loss.is_stated, loss.evidence) == (Kind.ROWS_DELETED, True, "DELETE at x.py:1")
        assert str(loss) == "1 of 3 rows of people is gone after the upgrade (DELETE at x.py:1)"

    UNIQUE = "CREATE UNIQUE INDEX u ON people (email)"
    TWINS = "INSERT INTO people VALUES (1, 'x', 'same'), (2, 'y', 'same'), (3, 'z', 'other')"

    def test_duplicates_may_go_for_a_unique_key_if_one_is_kept(self, stage: Stage) -> None:
        up = ["DELETE FROM people WHERE id NOT IN (SELECT min(id) FROM people GROUP BY email)", self.UNIQUE]
        assert stage.losses([PEOPLE, self.TWINS], up, ["DROP INDEX u"]) == []

    def test_but_not_all_of_them(self, stage: Stage) -> None:
        up = ["DELETE FROM people WHERE email = 'same'", self.UNIQUE]
        (loss,) = judge(stage.trip([PEOPLE, self.TWINS], up, ["DROP INDEX u"]))
        assert (loss.count, loss.is_stated) == (2, False)

    def test_children_that_a_rebuild_of_their_parent_takes_along_are_lost(self, sqlite: Stage) -> None:
        driver = sqlite.connection.connection.dbapi_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys = ON")  # in no transaction: in one it does nothing
        rebuild = [
            "CREATE TABLE tmp (id integer PRIMARY KEY, name varchar(80) NOT NULL)",
            "INSERT INTO tmp (id, name) SELECT owners.id, owners.name FROM owners",
            "DROP TABLE owners",
            "ALTER TABLE tmp RENAME TO owners",
        ]
        (loss,) = judge(sqlite.trip(OWNERS, rebuild, rebuild))
        assert str(loss) == (
            "3 of 3 rows of pets are gone after the upgrade (DROP TABLE at x.py:3 deletes what refers to owners)"
        )

    def test_rows_that_a_rebuild_leaves_behind_are_lost(self, stage: Stage) -> None:
        rebuild = [
            PEOPLE.replace("people", "fresh").replace("80", "90"),
            "INSERT INTO fresh SELECT * FROM people WHERE email IS NOT NULL",
            "DROP TABLE people",
            "ALTER TABLE fresh RENAME TO people",
        ]
        assert stage.losses([PEOPLE, THREE], rebuild, []) == [(Kind.ROWS_DELETED, Direction.UPGRADE, "people")]

    def test_rows_that_a_join_multiplies_are_duplicated(self, stage: Stage) -> None:
        rebuild = [
            "CREATE TABLE fresh (id integer, name text, owner_id integer)",
            "INSERT INTO fresh SELECT pets.id, pets.name, pets.owner_id FROM pets CROSS JOIN owners",
            "DROP TABLE pets",
            "ALTER TABLE fresh RENAME TO pets",
        ]
        found = stage.losses(OWNERS, rebuild, [])
        assert (Kind.ROWS_DUPLICATED, Direction.UPGRADE, "pets") in found

    ROLES = ("CREATE TABLE roles (id integer PRIMARY KEY, name text)", "INSERT INTO roles VALUES (1, 'guest')")
    SEED = "INSERT INTO roles (id, name) SELECT coalesce(max(id), 0) + 1, 'admin' FROM roles"

    def test_reference_rows_put_in_each_time_are_duplicated(self, stage: Stage) -> None:
        (loss,) = judge(stage.trip(self.ROLES, [self.SEED], []))
        assert (loss.kind, loss.direction, loss.count) == (Kind.ROWS_DUPLICATED, Direction.SECOND_UPGRADE, 1)

    def test_but_not_if_the_downgrade_takes_them_out_though_their_keys_differ(self, stage: Stage) -> None:
        down, row = "DELETE FROM roles WHERE name = 'admin'", "INSERT INTO roles VALUES (9, 'later')"
        assert stage.losses(self.ROLES, [self.SEED], [down], filled=[row]) == []

    def test_a_downgrade_that_takes_out_more_deletes_rows(self, stage: Stage) -> None:
        found = stage.losses(self.ROLES, [self.SEED], ["DELETE FROM roles"])
        assert found == [(Kind.ROWS_DELETED, Direction.DOWNGRADE, "roles")]

    def test_rows_of_a_table_that_was_dropped_after_they_were_moved_must_come_back(self, stage: Stage) -> None:
        up = [
            "CREATE TABLE contacts (address varchar(80), label varchar(80))",
            "INSERT INTO contacts SELECT email, name FROM people",
            "DROP TABLE people",
        ]
        found = stage.losses([PEOPLE, THREE], up, [PEOPLE, "DROP TABLE contacts"])
        assert found == [(Kind.ROWS_DELETED, Direction.DOWNGRADE, "people")]

    def test_those_of_a_table_that_was_only_dropped_need_not(self, stage: Stage) -> None:
        assert stage.losses([PEOPLE, THREE], ["DROP TABLE people"], [PEOPLE]) == []

    def test_rows_and_columns_are_found_again_under_new_names(self, stage: Stage) -> None:
        up = ["ALTER TABLE people RENAME TO persons", "ALTER TABLE persons RENAME COLUMN name TO label"]
        down = ["ALTER TABLE persons RENAME COLUMN label TO name", "ALTER TABLE persons RENAME TO people"]
        assert stage.losses([PEOPLE, THREE], up, down) == []

    def test_and_missed_under_their_old_ones(self, stage: Stage) -> None:
        up = ["ALTER TABLE people RENAME TO persons", "DELETE FROM persons WHERE id = 1"]
        found = stage.losses([PEOPLE, THREE], up, ["ALTER TABLE persons RENAME TO people"])
        assert found == [(Kind.ROWS_DELETED, Direction.UPGRADE, "people")]

    def test_a_key_may_be_replaced_by_one_of_another_type(self, postgresql: Stage) -> None:
        up = [
            "ALTER TABLE people DROP COLUMN id",
            "ALTER TABLE people ADD COLUMN id uuid PRIMARY KEY DEFAULT gen_random_uuid()",
        ]
        down = ["ALTER TABLE people DROP COLUMN id", "ALTER TABLE people ADD COLUMN id serial PRIMARY KEY"]
        before = [PEOPLE, "INSERT INTO people VALUES (11, 'Ada', 'a'), (7, 'Kim', 'b'), (12, 'Lee', NULL)"]
        assert postgresql.losses(before, up, down) == []

    def test_rows_put_in_after_the_upgrade_must_not_go_without_a_word(self, stage: Stage) -> None:
        back = [
            PEOPLE.replace("people", "fresh"),
            "INSERT INTO fresh SELECT * FROM people WHERE id < 4",
            "DROP TABLE people",
            "ALTER TABLE fresh RENAME TO people",
        ]
        row = "INSERT INTO people VALUES (4, 'Kim', 'd')"
        found = stage.losses([PEOPLE, THREE], ["SELECT 1"], back, filled=[row])
        assert found == [(Kind.ROWS_DELETED, Direction.DOWNGRADE, "people")]


class TestStatements:
    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE t SET b = upper(a)",
            'UPDATE ONLY "public"."t" AS x SET b = x."a" WHERE true',
            "UPDATE t SET (b, c) = (a, 1)",
            "INSERT INTO t (b) SELECT a || 'x' FROM s",
            "INSERT INTO t (b) (SELECT 'x' FROM r UNION ALL SELECT a FROM s)",
            "WITH s AS (SELECT a AS q FROM r) INSERT INTO t (b) SELECT q FROM s",
            "INSERT INTO t (b) WITH s AS (SELECT a AS q FROM r) SELECT q FROM s",
            "CREATE TABLE t AS SELECT a AS b FROM s",
            "ALTER TABLE t ALTER COLUMN b TYPE text USING a::text",
            "DO $x$ BEGIN UPDATE t SET b = a; END $x$",
            "INSERT INTO u (q) SELECT a FROM s; UPDATE t SET b = q FROM u",
        ],
    )
    def test_tell_where_a_column_is_read_into(self, sql: str) -> None:
        found = flows([Statement(sql, (), "x.py", 3, 0.0, -1)], Syntax.POSTGRESQL)
        assert ("t", "b") in found.carriers("a")

    @pytest.mark.parametrize(
        ("syntax", "update"),
        [
            (Syntax.SQLITE, "UPDATE t SET b=? WHERE t.id = ?"),
            (Syntax.POSTGRESQL, "UPDATE t SET b=%(b)s WHERE t.id = %(id_1)s"),
            (Syntax.POSTGRESQL, "UPDATE t SET b=$1::VARCHAR WHERE t.id = $2::INTEGER"),
        ],
    )
    def test_tell_what_python_code_reads_and_writes(self, syntax: Syntax, update: str) -> None:
        found = flows([Statement(sql, (), "x.py", 3, 0.0, -1) for sql in ("SELECT id, a FROM t", update)], syntax)
        assert found.updated("t", "b") == "UPDATE at x.py:3"
        assert ("t", "b") in found.carriers("a")

    @pytest.mark.parametrize(
        "sql",
        [
            "DELETE FROM t WHERE a = 1",
            "TRUNCATE TABLE s, t RESTART IDENTITY CASCADE",
            "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO s SELECT * FROM gone",
        ],
    )
    def test_tell_which_tables_they_empty(self, sql: str) -> None:
        found = flows([Statement(sql, (), "x.py", 3, 0.0, -1)], Syntax.POSTGRESQL)
        assert found.deleted("t").endswith("at x.py:3")

    @pytest.mark.parametrize(
        "sql", ["", ";;", "UPDATE", "INSERT INTO", "DROP TABLE", "ALTER TABLE t", "UPDATE t SET", "DELETE FROM"]
    )
    def test_of_a_form_that_is_not_known_tell_nothing(self, sql: str) -> None:
        assert flows([Statement(sql, (), "x.py", 3, 0.0, -1)], Syntax.POSTGRESQL).writes == []


class TestForeignKeys:
    def test_a_key_laid_over_orphans_dangles(self, sqlite: Stage) -> None:
        before = (OWNERS[0], "CREATE TABLE pets (id integer PRIMARY KEY, owner_id integer)", OWNERS[2])
        rebuild = [
            "CREATE TABLE tmp (id integer PRIMARY KEY, owner_id integer REFERENCES owners (id))",
            "INSERT INTO tmp SELECT id, owner_id FROM pets",
            "DROP TABLE pets",
            "ALTER TABLE tmp RENAME TO pets",
        ]
        trip = sqlite.trip([*before, "INSERT INTO pets VALUES (1, 1), (2, 77), (3, NULL)"], rebuild, [])
        (loss,) = judge(trip)
        assert str(loss).startswith("1 of 2 values of pets.owner_id names no row after the upgrade (FOREIGN KEY")

    def test_parents_under_new_keys_leave_their_children_dangling(self, sqlite: Stage) -> None:
        found = sqlite.losses(OWNERS, ["UPDATE owners SET id = id + 10"], ["UPDATE owners SET id = id - 10"])
        assert found == [(Kind.DANGLING, Direction.UPGRADE, "pets.owner_id")]

    def test_orphans_that_there_were_are_not_held_against_a_revision(self, sqlite: Stage) -> None:
        before = [*OWNERS, "INSERT INTO pets VALUES (9, 77, 'stray')"]
        up, down = "ALTER TABLE pets ADD COLUMN age integer", "ALTER TABLE pets DROP COLUMN age"
        assert sqlite.losses(before, [up], [down]) == []


def test_a_loss_says_nothing_of_values() -> None:
    loss = Loss(Kind.SHIFTED, Direction.DOWNGRADE, "meetings", "starts_at", 7, 12)
    assert str(loss) == "7 of 12 values of meetings.starts_at are shifted in time after the downgrade"


def test_a_revision_that_got_no_further_than_its_upgrade_is_judged_so_far(sqlite: Stage) -> None:
    sqlite.run(PEOPLE, THREE)
    before = sqlite.state()
    upgrade = sqlite.run("DELETE FROM people")
    (loss,) = judge(Trip(Syntax.SQLITE, before, upgrade, sqlite.state()))
    assert (loss.kind, loss.count) == (Kind.ROWS_DELETED, 3)
