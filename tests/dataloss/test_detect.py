"""Avoidable losses of a round trip are detected, and others are not: each case is SQL, run on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.model import RoundTrip
from dormatory.recording.leg import Direction
from dormatory.recording.loss import Loss, LossKind

if TYPE_CHECKING:
    from tests.dataloss.conftest import RevisionDatabase

PEOPLE = "CREATE TABLE people (id integer PRIMARY KEY, name varchar(80), email varchar(80))"
INSERT_THREE_PEOPLE = (
    "INSERT INTO people VALUES (1, 'Ada Lovelace', 'ada@x'), (2, 'Grace Hopper', 'Grace@x'), (3, 'Alan', NULL)"
)
OWNERS_AND_PETS = (
    "CREATE TABLE owners (id integer PRIMARY KEY, name varchar(40) NOT NULL)",
    "CREATE TABLE pets (id integer PRIMARY KEY, owner_id integer REFERENCES owners (id) ON DELETE CASCADE, name text)",
    "INSERT INTO owners VALUES (1, 'Kim'), (2, 'Lee')",
    "INSERT INTO pets VALUES (1, 1, 'Rex'), (2, 2, 'Mia'), (3, 2, NULL)",
)


class TestDroppedColumns:
    def test_a_plain_drop_is_no_loss(self, database: RevisionDatabase) -> None:
        drop, add = "ALTER TABLE people DROP COLUMN email", "ALTER TABLE people ADD COLUMN email varchar(80)"
        (loss,) = detect_losses(database.round_trip([PEOPLE, INSERT_THREE_PEOPLE], [drop], [add]))
        assert (loss.kind, loss.table, loss.column) == (LossKind.DROPPED, "people", "email")
        assert loss.remedy == 'lossy = "people.email"'

    def test_a_drop_is_no_loss_though_its_default_comes_back(self, database: RevisionDatabase) -> None:
        drop = "ALTER TABLE people DROP COLUMN email"
        add = "ALTER TABLE people ADD COLUMN email varchar(80) NOT NULL DEFAULT 'none'"
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE], [drop], [add]) == []

    MERGE = (
        "ALTER TABLE people ADD COLUMN both_of_them varchar(200)",
        "UPDATE people SET both_of_them = name || ';' || email",
        "ALTER TABLE people DROP COLUMN email",
    )
    UNMERGE = ("ALTER TABLE people ADD COLUMN email varchar(80)", "ALTER TABLE people DROP COLUMN both_of_them")

    def test_merged_values_must_be_split_again(self, database: RevisionDatabase) -> None:
        found = database.losses([PEOPLE, INSERT_THREE_PEOPLE], self.MERGE, self.UNMERGE)
        assert found == [(LossKind.SPLIT_NOT_JOINED, Direction.DOWNGRADE, "people.email")]

    def test_texts_that_the_downgrade_cannot_split_are_no_loss(self, database: RevisionDatabase) -> None:
        parts = {"sqlite": "instr(both_of_them, ';')", "postgresql": "strpos(both_of_them, ';')"}
        at = parts[database.connection.dialect.name]
        back = [self.UNMERGE[0], f"UPDATE people SET email = substr(both_of_them, {at} + 1)", self.UNMERGE[1]]
        rows = "INSERT INTO people VALUES (4, 'a;b', 'four'), (5, ';', 'five')"
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE, rows], self.MERGE, back) == []

    SPLIT = (
        "ALTER TABLE people ADD COLUMN first varchar(80)",
        "ALTER TABLE people ADD COLUMN last varchar(80)",
        "UPDATE people SET first = replace(replace(name, ' Lovelace', ''), ' Hopper', '') WHERE name LIKE '% %'",
        "UPDATE people SET last = replace(replace(name, 'Ada ', ''), 'Grace ', '') WHERE name LIKE '% %'",
        "ALTER TABLE people DROP COLUMN name",
    )

    @pytest.mark.parametrize(("back", "is_lost"), [("first", True), ("first || ' ' || last", False)])
    def test_split_values_must_be_joined_again(self, database: RevisionDatabase, back: str, is_lost: bool) -> None:  # noqa: FBT001
        down = [
            "ALTER TABLE people ADD COLUMN name varchar(80)",
            f"UPDATE people SET name = {back}",
            "ALTER TABLE people DROP COLUMN first",
            "ALTER TABLE people DROP COLUMN last",
        ]
        found = database.losses([PEOPLE, INSERT_THREE_PEOPLE], self.SPLIT, down)
        assert found == [(LossKind.SPLIT_NOT_JOINED, Direction.DOWNGRADE, "people.name")] * is_lost

    def test_a_mapping_onto_a_new_column_must_be_inverted_for_each_value(self, database: RevisionDatabase) -> None:
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
        found = database.losses([PEOPLE, rows], up, down)
        assert found == [(LossKind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "people.email")]

    @pytest.mark.parametrize(("back", "kinds"), [("cents / 100", [LossKind.TRUNCATED]), ("cents / 100.0", [])])
    def test_calculated_values_must_be_calculated_back(
        self, database: RevisionDatabase, back: str, kinds: list[LossKind]
    ) -> None:
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
        assert [kind for kind, _, _ in database.losses(before, up, down)] == kinds

    def test_a_number_extracted_from_a_text_does_not_keep_the_text(self, database: RevisionDatabase) -> None:
        up = [
            "ALTER TABLE people ADD COLUMN size integer",
            "UPDATE people SET size = length(name)",
            "ALTER TABLE people DROP COLUMN name",
        ]
        down = ["ALTER TABLE people ADD COLUMN name varchar(80)", "ALTER TABLE people DROP COLUMN size"]
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE], up, down) == []

    MOVE = (
        "CREATE TABLE contacts (person integer, address varchar(80))",
        "INSERT INTO contacts SELECT id, email FROM people WHERE email IS NOT NULL",
        "ALTER TABLE people DROP COLUMN email",
    )

    def test_values_moved_to_another_table_must_be_moved_back(self, database: RevisionDatabase) -> None:
        up = [self.MOVE[0], self.MOVE[1].replace("contacts", "contacts (person, address)"), self.MOVE[2]]
        down = ["ALTER TABLE people ADD COLUMN email varchar(80)", "DROP TABLE contacts"]
        found = database.losses([PEOPLE, INSERT_THREE_PEOPLE], up, down)
        assert found == [(LossKind.VALUES_LOST, Direction.DOWNGRADE, "people.email")]

    def test_values_that_are_moved_back_are_no_loss(self, database: RevisionDatabase) -> None:
        fetch = "UPDATE people SET email = (SELECT address FROM contacts WHERE person = people.id)"
        down = ["ALTER TABLE people ADD COLUMN email varchar(80)", fetch, "DROP TABLE contacts"]
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE], self.MOVE, down) == []

    def test_values_moved_by_python_code_are_found_by_comparing(self, database: RevisionDatabase) -> None:
        up = [
            "ALTER TABLE people ADD COLUMN handle varchar(80)",
            *(f"UPDATE people SET handle = '@{name}' WHERE id = {id_}" for id_, name in enumerate(NAMES)),
            "ALTER TABLE people DROP COLUMN email",
        ]
        down = ["ALTER TABLE people ADD COLUMN email varchar(80)", "ALTER TABLE people DROP COLUMN handle"]
        rows = [f"INSERT INTO people VALUES ({id_}, NULL, '{name}')" for id_, name in enumerate(NAMES)]
        found = database.losses([PEOPLE, *rows], up, down)
        assert found == [(LossKind.SPLIT_NOT_JOINED, Direction.DOWNGRADE, "people.email")]


NAMES = ("amber", "jasper", "kelp", "thistle")


class TestKeptColumns:
    def test_a_mapping_must_be_inverted(self, database: RevisionDatabase) -> None:
        up = "UPDATE people SET email = 'shut' WHERE email = 'ada@x'"
        found = database.losses([PEOPLE, INSERT_THREE_PEOPLE], [up], [])
        assert found == [(LossKind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "people.email")]

    def test_an_inverted_mapping_is_no_loss(self, database: RevisionDatabase) -> None:
        up = "UPDATE people SET email = 'shut' WHERE email = 'ada@x'"
        down = "UPDATE people SET email = 'ada@x' WHERE email = 'shut'"
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE], [up], [down]) == []

    def test_values_that_an_update_normalises_are_lost(self, database: RevisionDatabase) -> None:
        trip = database.round_trip([PEOPLE, INSERT_THREE_PEOPLE], ["UPDATE people SET email = lower(email)"], [])
        (loss,) = detect_losses(trip)
        assert (loss.kind, loss.direction, loss.is_stated) == (LossKind.REENCODED, Direction.UPGRADE, False)
        assert str(loss) == (
            "1 of 3 values of people.email is written in another form after the upgrade "
            "(such as 'Grace@x' → 'grace@x'; UPDATE in line 1)"
        )
        assert (loss.line, loss.remedy) == (1, 'lossy = "people.email is written in another form"')

    @pytest.mark.parametrize("condition", ["", " WHERE id > 1"])
    def test_values_that_become_one_are_lost(self, database: RevisionDatabase, condition: str) -> None:
        trip = database.round_trip([PEOPLE, INSERT_THREE_PEOPLE], [f"UPDATE people SET name = 'none'{condition}"], [])
        (loss,) = detect_losses(trip)
        assert (loss.direction, loss.is_stated) == (Direction.UPGRADE, False)

    def test_each_value_of_an_enum_must_come_back(self, postgresql: RevisionDatabase) -> None:
        before = ["CREATE TABLE t (id integer PRIMARY KEY, x integer)", "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)"]
        up = [
            "CREATE TYPE level AS ENUM ('low', 'mid', 'high')",
            "ALTER TABLE t ALTER COLUMN x TYPE level USING (ARRAY['low', 'mid', 'high'])[x]::level",
        ]
        down = [
            "ALTER TABLE t ALTER COLUMN x TYPE integer USING CASE x WHEN 'low' THEN 1 ELSE 2 END",
            "DROP TYPE level",
        ]
        assert postgresql.losses(before, up, down) == [(LossKind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "t.x")]

    def test_a_null_that_a_required_column_cannot_hold_is_no_loss(self, postgresql: RevisionDatabase) -> None:
        up = ["UPDATE people SET email = '' WHERE email IS NULL", "ALTER TABLE people ALTER COLUMN email SET NOT NULL"]
        down = ["ALTER TABLE people ALTER COLUMN email DROP NOT NULL"]
        assert postgresql.losses([PEOPLE, INSERT_THREE_PEOPLE], up, down) == []

    def test_a_null_that_an_update_fills_is_no_loss(self, database: RevisionDatabase) -> None:
        assert (
            database.losses([PEOPLE, INSERT_THREE_PEOPLE], ["UPDATE people SET email = 'none' WHERE email IS NULL"], [])
            == []
        )

    def test_a_null_that_the_downgrade_replaces_is_a_loss(self, database: RevisionDatabase) -> None:
        down = ["UPDATE people SET email = 'nothing' WHERE email = 'none'"]
        found = database.losses(
            [PEOPLE, INSERT_THREE_PEOPLE], ["UPDATE people SET email = 'none' WHERE email IS NULL"], down
        )
        assert found == [(LossKind.MAPPING_NOT_INVERTED, Direction.DOWNGRADE, "people.email")]

    def test_values_that_a_new_check_rejects_may_be_replaced_by_one(self, postgresql: RevisionDatabase) -> None:
        rows = "INSERT INTO people VALUES (-4, 'x', 'a'), (5, '', 'b'), (6, '  ', 'c'), (7, 'y', 'd')"
        up = [
            "UPDATE people SET name = 'none' WHERE trim(name) = ''",
            "ALTER TABLE people ADD CONSTRAINT c CHECK (trim(name) <> '')",
        ]
        (loss,) = detect_losses(postgresql.round_trip([PEOPLE, rows], up, ["ALTER TABLE people DROP CONSTRAINT c"]))
        assert (loss.count, loss.is_stated) == (2, True)

    def test_values_that_are_cut_for_a_new_check_are_lost(self, postgresql: RevisionDatabase) -> None:
        up = [
            "UPDATE people SET name = substr(name, 1, 4)",
            "ALTER TABLE people ADD CONSTRAINT c CHECK (length(name) <= 4)",
        ]
        (loss,) = detect_losses(
            postgresql.round_trip([PEOPLE, INSERT_THREE_PEOPLE], up, ["ALTER TABLE people DROP CONSTRAINT c"])
        )
        assert (loss.kind, loss.is_stated, loss.is_narrowed) == (LossKind.TRUNCATED, False, True)
        assert loss.remedy == 'lossy = "people.name is cut to 4 characters"'

    def test_duplicates_made_different_for_a_unique_key_are_no_loss(self, database: RevisionDatabase) -> None:
        rows = "INSERT INTO people VALUES (1, 'x', 'same'), (2, 'y', 'same'), (3, 'z', 'other')"
        up = ["UPDATE people SET email = email || id WHERE id = 2", "CREATE UNIQUE INDEX u ON people (email)"]
        assert database.losses([PEOPLE, rows], up, ["DROP INDEX u"]) == []

    def test_text_cut_off_by_a_narrower_type_is_lost_by_the_upgrade(self, postgresql: RevisionDatabase) -> None:
        up = "ALTER TABLE people ALTER COLUMN name TYPE varchar(5) USING name::varchar(5)"
        down = "ALTER TABLE people ALTER COLUMN name TYPE varchar(80)"
        (loss,) = detect_losses(postgresql.round_trip([PEOPLE, INSERT_THREE_PEOPLE], [up], [down]))
        assert (loss.kind, loss.direction, loss.count, loss.is_stated) == (
            LossKind.TRUNCATED,
            Direction.UPGRADE,
            2,
            False,
        )

    @pytest.mark.parametrize(
        ("there", "back", "kind"),
        [
            ("numeric(10,1)", "numeric(10,3)", LossKind.TRUNCATED),
            ("integer", "numeric(10,3)", LossKind.TRUNCATED),
            ("numeric(12,4)", "numeric(10,3)", None),
        ],
    )
    def test_digits_that_are_rounded_away_are_lost(
        self, postgresql: RevisionDatabase, there: str, back: str, kind: LossKind | None
    ) -> None:
        before = ["CREATE TABLE t (id integer PRIMARY KEY, x numeric(10,3))", "INSERT INTO t VALUES (1, 1.234), (2, 3)"]
        alter = "ALTER TABLE t ALTER COLUMN x TYPE {}"
        found = detect_losses(postgresql.round_trip(before, [alter.format(there)], [alter.format(back)]))
        assert [loss.kind for loss in found] == ([kind] if kind else [])

    def test_json_that_comes_back_with_its_quotes_is_reencoded(self, postgresql: RevisionDatabase) -> None:
        up = "ALTER TABLE people ALTER COLUMN email TYPE jsonb USING to_jsonb(email)"
        down = "ALTER TABLE people ALTER COLUMN email TYPE varchar(80) USING email::text"
        found = postgresql.losses([PEOPLE, INSERT_THREE_PEOPLE], [up], [down])
        assert found == [(LossKind.REENCODED, Direction.DOWNGRADE, "people.email")]

    def test_bytes_read_in_another_encoding_are_reencoded(self, postgresql: RevisionDatabase) -> None:
        rows = "INSERT INTO people VALUES (1, 'Zoë', NULL), (2, 'Kim', NULL)"
        up = "UPDATE people SET name = convert_from(convert_to(name, 'UTF8'), 'LATIN1')"
        (loss,) = detect_losses(postgresql.round_trip([PEOPLE, rows], [up], []))
        assert (loss.kind, loss.is_stated) == (LossKind.REENCODED, False)


class TestTimestamps:
    BEFORE = (
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamp)",
        # The third does not exist in Berlin, which skips it.
        "INSERT INTO t VALUES (1, '2024-07-01 09:00'), (2, '2024-01-01 09:00'), (3, '2024-03-31 02:30'), (4, NULL)",
    )

    @pytest.mark.parametrize(("zone", "is_shifted"), [("UTC", True), ("Europe/London", True), ("Europe/Berlin", False)])
    def test_come_back_shifted_from_another_zone(
        self,
        postgresql: RevisionDatabase,
        zone: str,
        is_shifted: bool,  # noqa: FBT001
    ) -> None:
        up = "ALTER TABLE t ALTER COLUMN at TYPE timestamptz USING at AT TIME ZONE 'Europe/Berlin'"
        down = f"ALTER TABLE t ALTER COLUMN at TYPE timestamp USING at AT TIME ZONE '{zone}'"
        found = postgresql.losses(self.BEFORE, [up], [down])
        assert found == [(LossKind.SHIFTED, Direction.DOWNGRADE, "t.at")] * is_shifted


class TestRows:
    def test_a_delete_is_a_stated_loss(self, database: RevisionDatabase) -> None:
        (loss,) = detect_losses(
            database.round_trip([PEOPLE, INSERT_THREE_PEOPLE], ["DELETE FROM people WHERE email IS NULL"], [])
        )
        assert (loss.kind, loss.is_stated, loss.evidence) == (LossKind.ROWS_DELETED, True, "DELETE in line 1")
        assert str(loss) == "1 of 3 rows of people is gone after the upgrade (such as id 3; DELETE in line 1)"

    UNIQUE = "CREATE UNIQUE INDEX u ON people (email)"
    TWINS = "INSERT INTO people VALUES (1, 'x', 'same'), (2, 'y', 'same'), (3, 'z', 'other')"

    def test_duplicates_removed_for_a_unique_key_are_lost(self, database: RevisionDatabase) -> None:
        up = ["DELETE FROM people WHERE id NOT IN (SELECT min(id) FROM people GROUP BY email)", self.UNIQUE]
        (loss,) = detect_losses(database.round_trip([PEOPLE, self.TWINS], up, ["DROP INDEX u"]))
        assert (loss.kind, loss.count, loss.is_stated, loss.line) == (LossKind.ROWS_DELETED, 1, False, 1)
        assert loss.remedy == 'lossy = "all rows of people but one with the same email"'

    def test_a_unique_key_may_have_braces(self, database: RevisionDatabase) -> None:
        key = "replace(email, '{0}', '')"
        keep = f"DELETE FROM people WHERE id NOT IN (SELECT min(id) FROM people GROUP BY {key})"
        up = [keep, f"CREATE UNIQUE INDEX u ON people ({key})"]
        (loss,) = detect_losses(database.round_trip([PEOPLE, self.TWINS], up, ["DROP INDEX u"]))
        assert loss.evidence.endswith("one is left; DELETE in line 1")

    @pytest.mark.parametrize(
        "select",
        [
            "INSERT INTO fresh SELECT min(id), min(name), email FROM people GROUP BY email",
            "INSERT INTO fresh SELECT * FROM people ON CONFLICT DO NOTHING",
            "INSERT OR IGNORE INTO fresh SELECT * FROM people",
        ],
    )
    def test_rows_that_a_rebuild_merges_are_lost(self, sqlite: RevisionDatabase, select: str) -> None:
        rebuild = [
            "CREATE TABLE fresh (id integer PRIMARY KEY, name varchar(80), email varchar(80) UNIQUE)",
            select if "CONFLICT" not in select else select.replace("people ON", "people WHERE true ON"),
            "DROP TABLE people",
            "ALTER TABLE fresh RENAME TO people",
        ]
        back = [PEOPLE.replace("people", "old"), "INSERT INTO old SELECT * FROM people", "DROP TABLE people",
                "ALTER TABLE old RENAME TO people"]  # fmt: skip
        (loss,) = detect_losses(sqlite.round_trip([PEOPLE, self.TWINS], rebuild, back))
        assert (loss.kind, loss.count, loss.is_stated, loss.line) == (LossKind.ROWS_DELETED, 1, False, 2)
        assert "of those with the same email one is left; INSERT in line 2" in str(loss)

    def test_rows_that_the_older_structure_refuses_may_go(self, database: RevisionDatabase) -> None:
        before = [PEOPLE, self.UNIQUE, "INSERT INTO people VALUES (1, 'x', 'one'), (2, 'y', 'two')"]
        down = ["DELETE FROM people WHERE id NOT IN (SELECT min(id) FROM people GROUP BY email)", self.UNIQUE]
        row = "INSERT INTO people VALUES (3, 'z', 'two')"
        assert database.losses(before, ["DROP INDEX u"], down, filled=[row]) == []

    def test_deleting_all_duplicates_for_a_unique_key_is_a_loss(self, database: RevisionDatabase) -> None:
        up = ["DELETE FROM people WHERE email = 'same'", self.UNIQUE]
        (loss,) = detect_losses(database.round_trip([PEOPLE, self.TWINS], up, ["DROP INDEX u"]))
        assert (loss.count, loss.is_stated) == (2, False)

    @pytest.mark.parametrize("owners", ["owners", "{owners}"])
    def test_children_deleted_by_a_rebuild_of_their_parent_are_lost(
        self, sqlite: RevisionDatabase, owners: str
    ) -> None:
        driver = sqlite.connection.connection.dbapi_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys = ON")  # in no transaction: in one it does nothing
        rebuild = [
            "CREATE TABLE tmp (id integer PRIMARY KEY, name varchar(80) NOT NULL)",
            f'INSERT INTO tmp (id, name) SELECT o.id, o.name FROM "{owners}" AS o',
            f'DROP TABLE "{owners}"',
            f'ALTER TABLE tmp RENAME TO "{owners}"',
        ]
        before = [statement.replace("owners", f'"{owners}"') for statement in OWNERS_AND_PETS]
        (loss,) = detect_losses(sqlite.round_trip(before, rebuild, rebuild))
        assert str(loss) == (
            "3 of 3 rows of pets are gone after the upgrade "
            f"(such as id 1; DROP TABLE in line 3 deletes what refers to {owners})"
        )

    def test_rows_that_a_rebuild_leaves_behind_are_lost(self, database: RevisionDatabase) -> None:
        rebuild = [
            PEOPLE.replace("people", "fresh").replace("80", "90"),
            "INSERT INTO fresh SELECT * FROM people WHERE email IS NOT NULL",
            "DROP TABLE people",
            "ALTER TABLE fresh RENAME TO people",
        ]
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE], rebuild, []) == [
            (LossKind.ROWS_DELETED, Direction.UPGRADE, "people")
        ]

    def test_rows_that_a_join_multiplies_are_duplicated(self, database: RevisionDatabase) -> None:
        rebuild = [
            "CREATE TABLE fresh (id integer, name text, owner_id integer)",
            "INSERT INTO fresh SELECT pets.id, pets.name, pets.owner_id FROM pets CROSS JOIN owners",
            "DROP TABLE pets",
            "ALTER TABLE fresh RENAME TO pets",
        ]
        found = database.losses(OWNERS_AND_PETS, rebuild, [])
        assert (LossKind.ROWS_DUPLICATED, Direction.UPGRADE, "pets") in found

    ROLES = ("CREATE TABLE roles (id integer PRIMARY KEY, name text)", "INSERT INTO roles VALUES (1, 'guest')")
    SEED = "INSERT INTO roles (id, name) SELECT coalesce(max(id), 0) + 1, 'admin' FROM roles"

    def test_reference_rows_inserted_by_each_upgrade_are_duplicated(self, database: RevisionDatabase) -> None:
        (loss,) = detect_losses(database.round_trip(self.ROLES, [self.SEED], []))
        assert (loss.kind, loss.direction, loss.count) == (LossKind.ROWS_DUPLICATED, Direction.SECOND_UPGRADE, 1)

    def test_reference_rows_deleted_by_the_downgrade_are_not_duplicated(self, database: RevisionDatabase) -> None:
        down, row = "DELETE FROM roles WHERE name = 'admin'", "INSERT INTO roles VALUES (9, 'later')"
        assert database.losses(self.ROLES, [self.SEED], [down], filled=[row]) == []

    def test_a_downgrade_that_deletes_more_than_reference_rows_loses_rows(self, database: RevisionDatabase) -> None:
        found = database.losses(self.ROLES, [self.SEED], ["DELETE FROM roles"])
        assert found == [(LossKind.ROWS_DELETED, Direction.DOWNGRADE, "roles")]

    def test_rows_moved_before_their_table_is_dropped_must_come_back(self, database: RevisionDatabase) -> None:
        up = [
            "CREATE TABLE contacts (address varchar(80), label varchar(80))",
            "INSERT INTO contacts SELECT email, name FROM people",
            "DROP TABLE people",
        ]
        found = database.losses([PEOPLE, INSERT_THREE_PEOPLE], up, [PEOPLE, "DROP TABLE contacts"])
        assert found == [(LossKind.ROWS_DELETED, Direction.DOWNGRADE, "people")]

    def test_rows_of_a_table_that_is_only_dropped_are_no_loss(self, database: RevisionDatabase) -> None:
        (loss,) = detect_losses(database.round_trip([PEOPLE, INSERT_THREE_PEOPLE], ["DROP TABLE people"], [PEOPLE]))
        assert (loss.kind, loss.table, loss.column, loss.remedy) == (LossKind.DROPPED, "people", "", 'lossy = "people"')

    def test_renamed_tables_and_columns_are_followed(self, database: RevisionDatabase) -> None:
        up = ["ALTER TABLE people RENAME TO persons", "ALTER TABLE persons RENAME COLUMN name TO label"]
        down = ["ALTER TABLE persons RENAME COLUMN label TO name", "ALTER TABLE persons RENAME TO people"]
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE], up, down) == []

    def test_rows_deleted_from_a_renamed_table_are_lost(self, database: RevisionDatabase) -> None:
        up = ["ALTER TABLE people RENAME TO persons", "DELETE FROM persons WHERE id = 1"]
        found = database.losses([PEOPLE, INSERT_THREE_PEOPLE], up, ["ALTER TABLE persons RENAME TO people"])
        assert found == [(LossKind.ROWS_DELETED, Direction.UPGRADE, "people")]

    def test_a_table_that_takes_the_name_of_another_is_not_that_one(self, database: RevisionDatabase) -> None:
        up = ["ALTER TABLE people RENAME TO people_old", "CREATE TABLE people (id integer PRIMARY KEY, data text)",
              "INSERT INTO people (id, data) VALUES (1, 'x')"]  # fmt: skip
        down = ["DROP TABLE people", "ALTER TABLE people_old RENAME TO people"]
        row = "INSERT INTO people (id, data) VALUES (2, 'y')"
        assert database.losses([PEOPLE, INSERT_THREE_PEOPLE], up, down, filled=[row]) == []

    def test_a_key_may_be_replaced_by_one_of_another_type(self, postgresql: RevisionDatabase) -> None:
        up = [
            "ALTER TABLE people DROP COLUMN id",
            "ALTER TABLE people ADD COLUMN id uuid PRIMARY KEY DEFAULT gen_random_uuid()",
        ]
        down = ["ALTER TABLE people DROP COLUMN id", "ALTER TABLE people ADD COLUMN id serial PRIMARY KEY"]
        before = [PEOPLE, "INSERT INTO people VALUES (11, 'Ada', 'a'), (7, 'Kim', 'b'), (12, 'Lee', NULL)"]
        assert postgresql.losses(before, up, down) == []

    def test_deleting_rows_filled_in_after_the_upgrade_is_a_loss(self, database: RevisionDatabase) -> None:
        back = [
            PEOPLE.replace("people", "fresh"),
            "INSERT INTO fresh SELECT * FROM people WHERE id < 4",
            "DROP TABLE people",
            "ALTER TABLE fresh RENAME TO people",
        ]
        row = "INSERT INTO people VALUES (4, 'Kim', 'd')"
        found = database.losses([PEOPLE, INSERT_THREE_PEOPLE], ["SELECT 1"], back, filled=[row])
        assert found == [(LossKind.ROWS_DELETED, Direction.DOWNGRADE, "people")]


class TestForeignKeys:
    def test_a_new_foreign_key_on_dangling_rows_is_a_loss(self, sqlite: RevisionDatabase) -> None:
        before = (
            OWNERS_AND_PETS[0],
            "CREATE TABLE pets (id integer PRIMARY KEY, owner_id integer)",
            OWNERS_AND_PETS[2],
        )
        rebuild = [
            "CREATE TABLE tmp (id integer PRIMARY KEY, owner_id integer REFERENCES owners (id))",
            "INSERT INTO tmp SELECT id, owner_id FROM pets",
            "DROP TABLE pets",
            "ALTER TABLE tmp RENAME TO pets",
        ]
        trip = sqlite.round_trip([*before, "INSERT INTO pets VALUES (1, 1), (2, 77), (3, NULL)"], rebuild, [])
        (loss,) = detect_losses(trip)
        assert str(loss).startswith("1 of 2 values of pets.owner_id names no row after the upgrade (FOREIGN KEY")
        assert loss.is_refused_by_new_key

    def test_parents_under_new_keys_leave_their_children_dangling(self, sqlite: RevisionDatabase) -> None:
        up, down = (f"UPDATE owners SET id = id {sign} 10" for sign in "+-")
        (loss,) = detect_losses(sqlite.round_trip(OWNERS_AND_PETS, [up], [down]))
        assert (loss.kind, loss.direction, loss.column) == (LossKind.DANGLING, Direction.UPGRADE, "owner_id")
        assert not loss.is_refused_by_new_key

    def test_keys_that_dangled_before_are_no_loss(self, sqlite: RevisionDatabase) -> None:
        before = [*OWNERS_AND_PETS, "INSERT INTO pets VALUES (9, 77, 'stray')"]
        up, down = "ALTER TABLE pets ADD COLUMN age integer", "ALTER TABLE pets DROP COLUMN age"
        assert sqlite.losses(before, [up], [down]) == []


def test_a_loss_message_contains_no_values() -> None:
    loss = Loss(LossKind.SHIFTED, Direction.DOWNGRADE, "meetings", "starts_at", 7, 12)
    assert str(loss) == "7 of 12 values of meetings.starts_at are shifted in time after the downgrade"


def test_losses_are_detected_when_only_the_upgrade_ran(sqlite: RevisionDatabase) -> None:
    sqlite.execute(PEOPLE, INSERT_THREE_PEOPLE)
    before = sqlite.state()
    upgrade = sqlite.execute("DELETE FROM people")
    (loss,) = detect_losses(RoundTrip(SQLITE, before, upgrade, sqlite.state()))
    assert (loss.kind, loss.count) == (LossKind.ROWS_DELETED, 3)
