"""What a narrower structure forces is lost all the same; what it can hold comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.dataloss.detect import detect_losses
from dormatory.dataloss.model import RoundTrip
from dormatory.recording.leg import Direction
from dormatory.recording.loss import LossKind

if TYPE_CHECKING:
    from tests.dataloss.conftest import RevisionDatabase

NUMBERS = "(1, 12345678.91), (2, 0.1), (3, 3)"
MOMENTS = "(1, '2024-07-01 09:30:15.123456+00'), (2, '2024-01-31 23:59:59.6+00'), (3, '2024-03-01 00:00:00+00')"


@pytest.mark.parametrize(
    ("old_type", "rows", "new_type", "using", "kind"),
    [
        ("varchar(200)", "(1, 'a long name'), (2, 'short')", "varchar(6)", "left(x, 6)", LossKind.TRUNCATED),
        ("varchar(200)", "(1, 'a long name'), (2, 'short')", "varchar(6)", "substr(x, 1, 6)", LossKind.TRUNCATED),
        ("text", "(1, 'a long name'), (2, 'short')", "char(6)", "x::char(6)", LossKind.TRUNCATED),
        ("numeric(12,2)", NUMBERS, "real", "x::real", LossKind.TRUNCATED),
        ("numeric(12,2)", NUMBERS, "double precision", "x::double precision", None),
        ("numeric(24,4)", "(1, 12345678901234567890.1234)", "double precision", "x::float8", LossKind.TRUNCATED),
        ("numeric(12,2)", NUMBERS, "integer", "x::integer", LossKind.TRUNCATED),
        ("double precision", "(1, 2.5), (2, 1e-9)", "integer", "x::integer", LossKind.TRUNCATED),
        ("bigint", "(1, 5000000000), (2, 7)", "integer", "(x % 2147483647)::integer", LossKind.MAPPING_NOT_INVERTED),
        ("timestamptz", MOMENTS, "date", "x::date", LossKind.TRUNCATED),
        ("timestamptz", MOMENTS, "timestamptz(0)", "x::timestamptz(0)", LossKind.TRUNCATED),
        ("timestamp", MOMENTS, "date", "x::date", LossKind.TRUNCATED),
        ("time", "(1, '09:30:15.123'), (2, '10:00')", "time(0)", "x::time(0)", LossKind.TRUNCATED),
        ("interval", "(1, '1 day 02:03:04.567')", "interval(0)", "x::interval(0)", LossKind.MAPPING_NOT_INVERTED),
        ("text", "(1, 'draft'), (2, 'review'), (3, 'live')", "boolean", "x = 'live'", LossKind.MAPPING_NOT_INVERTED),
        ("integer", "(1, 0), (2, 1), (3, 7)", "boolean", "x <> 0", LossKind.MAPPING_NOT_INVERTED),
        ("text", """(1, '{"a": [1,  2]}'), (2, '[]'), (3, '{"b":1.0}')""", "jsonb", "x::jsonb", None),
        ("text[]", "(1, '{a,b}'), (2, '{c}')", "text", "x[1]", LossKind.MAPPING_NOT_INVERTED),
    ],
)  # fmt: skip
def test_a_narrower_type_loses_values(  # noqa: PLR0917  # the columns of the list above
    postgresql: RevisionDatabase, old_type: str, rows: str, new_type: str, using: str, kind: LossKind | None
) -> None:
    back = {"text": {"boolean": "CASE WHEN x THEN 'live' ELSE 'draft' END"}, "text[]": {"text": "ARRAY[x]"},
            "integer": {"boolean": "x::int"}}.get(old_type, {}).get(new_type, f"x::{old_type}")  # fmt: skip
    trip = postgresql.round_trip(
        [f"CREATE TABLE t (id integer PRIMARY KEY, x {old_type})", f"INSERT INTO t VALUES {rows}"],
        [f"ALTER TABLE t ALTER COLUMN x TYPE {new_type} USING {using}"],
        [f"ALTER TABLE t ALTER COLUMN x TYPE {old_type} USING {back}"],
    )
    found = detect_losses(trip)
    assert [(it.kind, it.is_stated) for it in found] == ([(kind, False)] if kind else [])
    assert [it.line for it in found] == [1] * len(found)


@pytest.mark.parametrize("old_type", ["text", "numeric(24,4)", "bigint"])
def test_values_that_only_extremes_show_count_where_the_type_is_narrower(
    postgresql: RevisionDatabase, old_type: str
) -> None:
    new_type = {"text": "varchar(6)", "numeric(24,4)": "double precision", "bigint": "smallint"}[old_type]
    using = {"text": "left(x, 6)", "bigint": "(x % 32767)::smallint"}.get(old_type, f"x::{new_type}")
    trip = postgresql.round_trip(
        [f"CREATE TABLE t (id integer PRIMARY KEY, x {old_type})", "INSERT INTO t VALUES (1, '12345678901234567')"],
        [f"ALTER TABLE t ALTER COLUMN x TYPE {new_type} USING {using}"],
        [f"ALTER TABLE t ALTER COLUMN x TYPE {old_type}"],
    )
    (loss,) = detect_losses(trip)
    assert loss.is_narrowed


def test_values_are_rounded_though_the_downgrade_fails(postgresql: RevisionDatabase) -> None:
    rows = "INSERT INTO t VALUES (1, 9999999999999999.9999), (2, 1.5)"
    postgresql.execute("CREATE TABLE t (id integer PRIMARY KEY, x numeric(20,4))", rows)
    before = postgresql.state()
    upgrade = postgresql.execute("ALTER TABLE t ALTER COLUMN x TYPE float")
    (loss,) = detect_losses(RoundTrip(POSTGRESQL, before, upgrade, postgresql.state()))
    assert (loss.kind, loss.count, loss.is_narrowed, loss.line) == (LossKind.TRUNCATED, 1, True, 1)


def test_extreme_floats_are_no_values_that_somebody_wrote(postgresql: RevisionDatabase) -> None:
    trip = postgresql.round_trip(
        ["CREATE TABLE t (id integer PRIMARY KEY, x float)", "INSERT INTO t VALUES (1, 1e-30)"],
        ["ALTER TABLE t ALTER COLUMN x TYPE numeric(10,2)"],
        ["ALTER TABLE t ALTER COLUMN x TYPE float"],
    )
    assert [loss.is_narrowed for loss in detect_losses(trip)] == [False]


def test_enumerations_that_map_several_labels_to_one_lose_which(database: RevisionDatabase) -> None:
    before = ["CREATE TABLE t (id integer PRIMARY KEY, state varchar(9))",
              "INSERT INTO t VALUES (1, 'draft'), (2, 'review'), (3, 'live'), (4, NULL)"]  # fmt: skip
    up = ["UPDATE t SET state = CASE state WHEN 'live' THEN 'public' ELSE 'private' END WHERE state IS NOT NULL"]
    down = ["UPDATE t SET state = CASE state WHEN 'public' THEN 'live' ELSE 'draft' END WHERE state IS NOT NULL"]
    (loss,) = detect_losses(database.round_trip(before, up, down))
    assert (loss.kind, loss.is_stated) == (LossKind.MAPPING_NOT_INVERTED, False)


def test_a_new_column_that_takes_several_values_for_one_loses_which(database: RevisionDatabase) -> None:
    before = ["CREATE TABLE t (id integer PRIMARY KEY, state varchar(9))",
              "INSERT INTO t VALUES (1, 'draft'), (2, 'review'), (3, 'live'), (4, 'live'), (5, NULL)"]  # fmt: skip
    up = [
        "ALTER TABLE t ADD COLUMN is_live integer",
        "UPDATE t SET is_live = CASE WHEN state = 'live' THEN 1 ELSE 0 END",
        "ALTER TABLE t DROP COLUMN state",
    ]
    down = [
        "ALTER TABLE t ADD COLUMN state varchar(9)",
        "UPDATE t SET state = CASE is_live WHEN 1 THEN 'live' ELSE 'draft' END",
        "ALTER TABLE t DROP COLUMN is_live",
    ]
    (loss,) = detect_losses(database.round_trip(before, up, down))
    assert (loss.kind, loss.direction, loss.line) == (LossKind.MAPPING_NOT_INVERTED, Direction.UPGRADE, 2)
    assert "several values have become one in t.is_live" in str(loss)


def test_an_update_of_the_downgrade_is_named_with_its_line(database: RevisionDatabase) -> None:
    before = ["CREATE TABLE job (id integer PRIMARY KEY, next_run varchar(20))", "INSERT INTO job VALUES (1, 'noon')"]
    down = ["DROP TABLE log", "UPDATE job SET next_run = NULL"]
    (loss,) = detect_losses(database.round_trip(before, ["CREATE TABLE log (id integer)"], down))
    assert (loss.kind, loss.direction, loss.line) == (LossKind.VALUES_LOST, Direction.DOWNGRADE, 2)
    assert str(loss).endswith("is lost after the downgrade (such as 'noon' → NULL; UPDATE in line 2)")


class TestMisplacedValues:
    BEFORE = ("CREATE TABLE conn (id integer PRIMARY KEY, login varchar(20), extra varchar(20), port integer)",
              "INSERT INTO conn VALUES (1, 'ada', '{}', 1), (2, 'kim', 'x=1', 2), (3, NULL, 'y', 3)")  # fmt: skip

    @staticmethod
    def rebuild(columns: str, insert: str) -> list[str]:
        return [f"CREATE TABLE fresh ({columns})", f"INSERT INTO fresh {insert}", "DROP TABLE conn",
                "ALTER TABLE fresh RENAME TO conn"]  # fmt: skip

    SWAPPED = "id integer PRIMARY KEY, extra varchar(20), login varchar(20), port integer"
    ORIGINAL = "id integer PRIMARY KEY, login varchar(20), extra varchar(20), port integer"

    def test_a_rebuild_in_another_order_puts_values_into_the_wrong_columns(self, database: RevisionDatabase) -> None:
        up = self.rebuild(self.SWAPPED, "SELECT * FROM conn")
        (loss,) = detect_losses(database.round_trip(self.BEFORE, up, []))
        assert (loss.kind, loss.direction, loss.line) == (LossKind.MISPLACED, Direction.UPGRADE, 2)
        assert str(loss) == (
            "values of conn are in the wrong columns after the upgrade "
            "(those of extra are in login, those of login are in extra; INSERT in line 2)"
        )

    def test_it_is_wrong_though_the_downgrade_swaps_them_again(self, database: RevisionDatabase) -> None:
        up = self.rebuild(self.SWAPPED, "SELECT * FROM conn")
        down = self.rebuild(self.ORIGINAL, "SELECT * FROM conn")
        (loss,) = detect_losses(database.round_trip(self.BEFORE, up, down))
        assert (loss.kind, loss.direction) == (LossKind.MISPLACED, Direction.UPGRADE)

    def test_a_downgrade_is_judged_as_well(self, database: RevisionDatabase) -> None:
        columns = "id, extra, login, port"
        up = self.rebuild(self.SWAPPED, f"({columns}) SELECT {columns} FROM conn")
        down = self.rebuild(self.ORIGINAL, "SELECT * FROM conn")
        (loss,) = detect_losses(database.round_trip(self.BEFORE, up, down))
        assert (loss.kind, loss.direction, loss.line) == (LossKind.MISPLACED, Direction.DOWNGRADE, 2)

    def test_columns_that_are_named_keep_their_values(self, database: RevisionDatabase) -> None:
        columns = "id, extra, login, port"
        up = self.rebuild(self.SWAPPED, f"({columns}) SELECT {columns} FROM conn")
        assert detect_losses(database.round_trip(self.BEFORE, up, [])) == ()

    def test_a_column_that_a_rebuild_computes_from_then_on_is_dropped(self, database: RevisionDatabase) -> None:
        computed = (
            "id integer, extra varchar(9), login varchar(9) GENERATED ALWAYS AS (extra || '!') STORED, port integer"
        )
        plain = "id integer, extra varchar(9), login varchar(9), port integer"
        up = self.rebuild(computed, "(id, extra, port) SELECT id, extra, port FROM conn")
        down = self.rebuild(plain, "SELECT * FROM conn")
        before = [f"CREATE TABLE conn ({plain})", "INSERT INTO conn VALUES (1, 'x', 'ann', 5), (2, 'y', 'bob', 6)"]
        (loss,) = detect_losses(database.round_trip(before, up, down))
        assert (loss.kind, loss.table, loss.column) == (LossKind.DROPPED, "conn", "login")

    def test_a_flag_that_is_negated_is_not_in_another_flag_like_it(self, database: RevisionDatabase) -> None:
        columns = "id integer PRIMARY KEY, is_active integer, is_paused integer"
        before = [f"CREATE TABLE conn ({columns})", "INSERT INTO conn VALUES (1, 1, 1), (2, 0, 0), (3, 1, 1)"]
        negate = "UPDATE conn SET is_active = 1 - is_active"
        up = [*self.rebuild(columns, "SELECT * FROM conn"), negate]
        assert detect_losses(database.round_trip(before, up, [negate])) == ()

    def test_columns_that_are_swapped_on_purpose_are_right(self, database: RevisionDatabase) -> None:
        swap = "UPDATE conn SET login = extra, extra = login"
        assert detect_losses(database.round_trip(self.BEFORE, [swap], [swap])) == ()


class TestPartitions:
    BEFORE = (
        "CREATE TABLE log (id integer, word text) PARTITION BY RANGE (id)",
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM (10) TO (20)",
        "INSERT INTO log VALUES (1, 'a'), (2, 'b'), (11, 'c')",
    )
    ATTACH = "ALTER TABLE log ATTACH PARTITION log_1 FOR VALUES FROM (0) TO (10)"
    DETACH = "ALTER TABLE log DETACH PARTITION log_1"

    @pytest.mark.parametrize("back", [[ATTACH], []])
    def test_a_detached_partition_takes_its_rows_along(self, postgresql: RevisionDatabase, back: list[str]) -> None:
        assert detect_losses(postgresql.round_trip(self.BEFORE, [self.DETACH], back, repeats=bool(back))) == ()

    def test_a_partition_that_the_downgrade_detaches_keeps_its_rows(self, postgresql: RevisionDatabase) -> None:
        row = "INSERT INTO log VALUES (3, 'new')"
        trip = postgresql.round_trip([*self.BEFORE, self.DETACH], [self.ATTACH], [self.DETACH], filled=[row])
        assert detect_losses(trip) == ()

    def test_a_dropped_partition_is_dropped_outright(self, postgresql: RevisionDatabase) -> None:
        back = "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10)"
        (loss,) = detect_losses(postgresql.round_trip(self.BEFORE, ["DROP TABLE log_1"], [back]))
        assert (loss.kind, loss.table, loss.count) == (LossKind.DROPPED, "log_1", 2)

    def test_rows_deleted_beside_a_detached_partition_are_lost(self, postgresql: RevisionDatabase) -> None:
        up = [self.DETACH, "DELETE FROM log_1 WHERE id = 2"]
        (loss,) = detect_losses(postgresql.round_trip(self.BEFORE, up, [self.ATTACH]))
        assert (loss.kind, loss.count) == (LossKind.ROWS_DELETED, 1)

    def test_partitions_of_a_detached_partition_take_their_rows_along(self, postgresql: RevisionDatabase) -> None:
        before = (
            "CREATE TABLE log (id integer, word text) PARTITION BY RANGE (id)",
            "CREATE TABLE b_log PARTITION OF log FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id)",
            "CREATE TABLE a_log PARTITION OF b_log FOR VALUES FROM (0) TO (5)",  # read before its parent
            "INSERT INTO log VALUES (1, 'a'), (2, 'b')",
        )
        back = "ALTER TABLE log ATTACH PARTITION b_log FOR VALUES FROM (0) TO (10)"
        assert detect_losses(postgresql.round_trip(before, ["ALTER TABLE log DETACH PARTITION b_log"], [back])) == ()
