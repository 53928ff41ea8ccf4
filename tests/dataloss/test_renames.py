"""What is dropped and added again under another name is told from what is dropped beside something new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.renames import is_similar_name
from dormatory.recording.leg import Direction
from dormatory.recording.loss import LossKind

if TYPE_CHECKING:
    from dormatory.recording.loss import Loss
    from tests.dataloss.conftest import RevisionDatabase

COLUMNS = "id integer PRIMARY KEY, mail varchar(80) NOT NULL, code integer, last integer, room_id integer"
GUESTS = (
    "CREATE TABLE room (id integer PRIMARY KEY)",
    "INSERT INTO room VALUES (1), (2)",
    f"CREATE TABLE guest ({COLUMNS})",
    "INSERT INTO guest VALUES (1, 'ada@x', 7, 1, 1), (2, 'kim@x', 8, 2, 2), (3, 'lee@x', NULL, 3, 2)",
)


def replace_column(old: str, new: str, old_type: str, new_type: str) -> tuple[list[str], list[str]]:
    """Return the upgrade and the downgrade that autogenerate writes for a renamed column."""
    up = [f"ALTER TABLE guest ADD COLUMN {new} {new_type}", f"ALTER TABLE guest DROP COLUMN {old}"]
    down = [f"ALTER TABLE guest ADD COLUMN {old} {old_type}", f"ALTER TABLE guest DROP COLUMN {new}"]
    return up, down


def the_loss(database: RevisionDatabase, up: list[str], down: list[str], *before: str) -> Loss:
    (loss,) = detect_losses(database.round_trip([*GUESTS, *before], up, down))
    return loss


class TestColumns:
    @pytest.mark.parametrize("new_type", ["varchar(80) NOT NULL DEFAULT ''", "varchar(80)"])
    def test_a_similar_name_and_the_same_type_is_a_rename(self, database: RevisionDatabase, new_type: str) -> None:
        up, down = replace_column("mail", "email", "varchar(80) NOT NULL DEFAULT ''", new_type)
        loss = the_loss(database, up, down)
        assert (loss.kind, loss.direction, loss.is_stated) == (LossKind.VALUES_LOST, Direction.UPGRADE, False)
        assert "renamed to email, it seems: it is dropped, and email is added with same type, a similar name" in str(
            loss
        )
        assert loss.remedy == 'op.alter_column("guest", "mail", new_column_name="email")'

    def test_an_equal_index_is_a_rename_under_any_name(self, database: RevisionDatabase) -> None:
        up, down = replace_column("code", "badge", "integer", "integer")
        up = ["DROP INDEX i", *up, "CREATE UNIQUE INDEX j ON guest (badge)"]
        down = ["DROP INDEX j", *down, "CREATE UNIQUE INDEX i ON guest (code)"]
        loss = the_loss(database, up, down, "CREATE UNIQUE INDEX i ON guest (code)")
        assert (loss.kind, loss.is_stated) == (LossKind.VALUES_LOST, False)

    def test_two_facts_are_a_suspicion(self, database: RevisionDatabase) -> None:
        up, down = replace_column("mail", "nick", "varchar(80) NOT NULL DEFAULT ''", "varchar(80) NOT NULL DEFAULT ''")
        loss = the_loss(database, up, down)
        assert (loss.kind, loss.is_stated) == (LossKind.VALUES_LOST, True)

    @pytest.mark.parametrize(
        ("old", "new", "old_type", "new_type"),
        [
            ("code", "badge", "integer", "integer"),
            ("mail", "email", "varchar(80) NOT NULL DEFAULT ''", "text"),
            ("code", "codes", "integer", "varchar(9)"),
            ("last", "height", "integer", "integer"),
            ("room_id", "owner_id", "integer", "integer"),
        ],
    )
    def test_something_new_is_no_rename(
        self, database: RevisionDatabase, old: str, new: str, old_type: str, new_type: str
    ) -> None:
        assert the_loss(database, *replace_column(old, new, old_type, new_type)).kind is LossKind.DROPPED

    def test_values_that_are_copied_over_are_kept(self, database: RevisionDatabase) -> None:
        up, down = replace_column("mail", "email", "varchar(80)", "varchar(80)")
        up.insert(1, "UPDATE guest SET email = mail")
        down.insert(1, "UPDATE guest SET mail = email")
        assert detect_losses(database.round_trip(GUESTS, up, down)) == ()

    def test_a_column_with_values_of_its_own_is_no_rename(self, database: RevisionDatabase) -> None:
        up, down = replace_column("mail", "email", "varchar(80)", "varchar(80)")
        up.insert(1, "UPDATE guest SET email = 'guest-' || id")
        assert the_loss(database, up, down).kind is LossKind.DROPPED

    def test_two_candidates_are_none(self, database: RevisionDatabase) -> None:
        up, down = replace_column("mail", "email", "varchar(80)", "varchar(80)")
        up.insert(1, "ALTER TABLE guest ADD COLUMN mail_address varchar(80)")
        down.append("ALTER TABLE guest DROP COLUMN mail_address")
        assert the_loss(database, up, down).kind is LossKind.DROPPED

    def test_a_downgrade_that_drops_and_adds_loses_what_the_upgrade_renamed(self, database: RevisionDatabase) -> None:
        _, down = replace_column("mail", "email", "varchar(80) NOT NULL DEFAULT ''", "varchar(80)")
        loss = the_loss(database, ["ALTER TABLE guest RENAME COLUMN mail TO email"], down)
        assert (loss.direction, loss.is_stated) == (Direction.DOWNGRADE, False)
        assert loss.remedy == 'op.alter_column("guest", "email", new_column_name="mail")'


class TestTables:
    @pytest.mark.parametrize(
        ("new", "columns", "kind"),
        [
            ("guests", f"{COLUMNS}, more integer", LossKind.VALUES_LOST),
            ("visitor", COLUMNS, LossKind.VALUES_LOST),
            ("visitor", "id integer PRIMARY KEY, mail varchar(80) NOT NULL", LossKind.DROPPED),
        ],
    )
    def test_the_same_columns_are_a_rename(
        self, database: RevisionDatabase, new: str, columns: str, kind: LossKind
    ) -> None:
        up = ["DROP TABLE guest", f"CREATE TABLE {new} ({columns})"]
        loss = the_loss(database, up, [f"DROP TABLE {new}", GUESTS[2]])
        assert (loss.kind, loss.table, loss.column, loss.is_stated) == (kind, "guest", "", False)
        if kind is LossKind.VALUES_LOST:
            assert loss.remedy == f'op.rename_table("guest", "{new}")'
            assert str(loss).startswith(
                f"3 of 3 rows of guest are lost after the upgrade (such as id 1; renamed to {new}"
            )

    def test_rows_that_are_copied_over_are_kept(self, database: RevisionDatabase) -> None:
        up = [GUESTS[2].replace("guest", "guests"), "INSERT INTO guests SELECT * FROM guest", "DROP TABLE guest"]
        down = [GUESTS[2], "INSERT INTO guest SELECT * FROM guests", "DROP TABLE guests"]
        assert detect_losses(database.round_trip(GUESTS, up, down)) == ()


@pytest.mark.parametrize(
    ("one", "other", "is_similar"),
    [
        ("mail", "email", True),
        ("name", "full_name", True),
        ("desc", "description", True),
        ("user_name", "user_login", True),
        ("colour", "color", True),
        ("created_at", "updated_at", False),
        ("user_id", "group_id", False),
        ("is_admin", "is_open", False),
        ("first_name", "last_name", False),
        ("legacy_hash", "token", False),
    ],
)
def test_names_resemble_each_other_apart_from_common_words(one: str, other: str, *, is_similar: bool) -> None:
    assert is_similar_name(one, other) is is_similar
    assert is_similar_name(other, one) is is_similar
