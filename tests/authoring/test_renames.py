"""Renamed columns and tables are distinguished from dropped and new ones; where that is not sure, it is asked."""

from __future__ import annotations

import pytest

from dormatory.authoring.renames import probable_renames
from dormatory.authoring.source_edits import SourceEdits
from dormatory.schema.snapshot import Column, Constraint, Index, Reference, Sequence, Snapshot, Table

ID = Column("id", "INTEGER", nullable=False)
NOTE = Column("note", "TEXT")
KEY = Constraint("PRIMARY KEY", "pk", "PRIMARY KEY (id)", ("id",))
NO_EDITS = SourceEdits()
DEFINITION = "{}: Mapped[str] = mapped_column(String(100))"
USE = "return person.{}"


def person(*columns: Column, constraints: tuple[Constraint, ...] = (KEY,), indexes: tuple[Index, ...] = ()) -> Snapshot:
    return Snapshot((Table("public", "person", columns=columns, constraints=constraints, indexes=indexes),))


def edits(old: str, new: str, *lines: str) -> SourceEdits:
    """Return edits that replaced a name in these lines, each at its place."""
    return SourceEdits(tuple(((line.format(old),), (line.format(new),)) for line in lines))


def verdicts(before: Snapshot, after: Snapshot, source: SourceEdits = NO_EDITS) -> list[tuple[str, str, bool]]:
    found = probable_renames(before, after, source)
    return [(it.old_name, it.new_name, it.is_sure) for it in found]


def verdict(old: Column, new: Column, source: SourceEdits = NO_EDITS) -> str:
    """Return what becomes of a column between two others."""
    found = verdicts(person(ID, old, NOTE), person(ID, new, NOTE), source)
    return "new" if not found else "sure" if found[0][2] else "asked"


class TestColumns:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("user_name", "username"),
            ("userName", "user_name"),
            ("tag", "tags"),
            ("created", "created_at"),
            ("active", "is_active"),
            ("created_on", "created_at"),
            ("name", "person_name"),
            ("category", "categories"),
        ],
    )
    def test_the_same_name_in_another_spelling_is_surely_a_rename(self, old: str, new: str) -> None:
        for one, other in ((old, new), (new, old)):
            assert verdict(Column(one, "VARCHAR(100)"), Column(other, "VARCHAR(100)")) == "sure"

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("first_name", "last_name"),
            ("start_date", "end_date"),
            ("home_phone", "work_phone"),
            ("address1", "address2"),
            ("country", "county"),
            ("width_cm", "width_mm"),
            ("price_net", "price_gross"),
            ("password", "password_hash"),
            ("enabled", "disabled"),
            ("sync", "async"),
            ("min_price", "max_price"),
            ("fax", "website"),
            ("created_by", "author"),
            ("valid", "invalid"),
            ("has_error", "had_error"),
        ],
    )
    def test_a_name_that_may_mean_something_else_is_asked_about(self, old: str, new: str) -> None:
        """They stand in the same place with the same type, as a rename does."""
        for one, other in ((old, new), (new, old)):
            assert verdict(Column(one, "VARCHAR(100)"), Column(other, "VARCHAR(100)")) == "asked"

    @pytest.mark.parametrize(
        ("old", "new", "lines", "expected"),
        [
            ("created_by", "author", (DEFINITION, USE), "sure"),
            ("created_by", "author", (DEFINITION,), "asked"),
            ("fax", "website", (DEFINITION,), "asked"),
            ("country", "county", (DEFINITION,), "sure"),
            ("adress", "address", (DEFINITION,), "sure"),
            ("desc", "description", (DEFINITION,), "sure"),
            ("password", "password_hash", (DEFINITION,), "asked"),
            ("first_name", "last_name", (DEFINITION,), "asked"),
        ],
    )
    def test_the_edits_of_the_source_decide(self, old: str, new: str, lines: tuple[str, ...], expected: str) -> None:
        source = edits(old, new, *lines)
        assert verdict(Column(old, "VARCHAR(100)"), Column(new, "VARCHAR(100)"), source) == expected

    def test_another_use_that_did_not_change_in_the_same_way_is_a_doubt(self) -> None:
        source = SourceEdits(
            (*edits("fax", "website", DEFINITION, USE).places, (("check(fax, DIGITS)",), ("check(website, URL)",)))
        )
        assert verdict(Column("fax", "VARCHAR(100)"), Column("website", "VARCHAR(100)"), source) == "asked"

    def test_what_was_removed_here_and_added_there_is_new(self) -> None:
        source = SourceEdits((((DEFINITION.format("fax"),), ()), ((), (DEFINITION.format("website"),))))
        assert verdict(Column("fax", "VARCHAR(100)"), Column("website", "VARCHAR(100)"), source) == "new"
        assert verdict(Column("user_name", "TEXT"), Column("username", "TEXT"), source) == "sure"

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            (Column("user_name", "VARCHAR(50)"), Column("username", "VARCHAR(80)"), "asked"),
            (Column("user_name", "VARCHAR(50)"), Column("username", "INTEGER"), "new"),
            (Column("user_name", "TEXT"), Column("username", "TEXT", nullable=False), "asked"),
            (Column("user_name", "TEXT"), Column("username", "TEXT", default="'x'"), "asked"),
            (Column("fax", "VARCHAR(50)"), Column("height", "INTEGER"), "new"),
            (Column("total", "INTEGER"), Column("totals", "INTEGER", generated="id + 1"), "new"),
        ],
        ids=["longer", "other-type", "not-null", "default", "unrelated", "computed"],
    )
    def test_what_differs_in_more_than_its_name_is_never_sure(self, old: Column, new: Column, expected: str) -> None:
        assert verdict(old, new, edits(old.name, new.name, USE, DEFINITION)) == expected

    @pytest.mark.parametrize(
        ("change", "expected"), [("index", "asked"), ("place", "asked"), ("end", "new"), ("number", "new")]
    )
    def test_another_name_and_another_type_at_once_are_asked_about(self, change: str, expected: str) -> None:
        """What hangs on the column, or its place, says that it may be the same one."""
        kind = "INTEGER" if change == "number" else "VARCHAR(30)"
        columns = Column("code", "VARCHAR(20)", nullable=False), Column("sku", kind, nullable=False)

        def with_index(column: Column) -> Snapshot:
            index = Index(f"ix_{column.name}", f"({column.name})", keys=(column.name,))
            order = (ID, NOTE, column) if change in {"end", "index"} else (ID, column, NOTE)
            return person(*order, indexes=(index,) if change in {"index", "number"} else ())

        found = verdicts(with_index(columns[0]), with_index(columns[1]))
        assert found == ([("code", "sku", False)] if expected == "asked" else [])

    def test_a_foreign_key_to_another_table_is_a_doubt(self) -> None:
        def with_key(column: str, table: str) -> Snapshot:
            text = f"FOREIGN KEY ({column}) REFERENCES {table} (id)"
            key = Constraint("FOREIGN KEY", f"fk_{column}", text, (column,), references=Reference(None, table, ("id",)))
            return person(ID, Column(column, "INTEGER"), NOTE, constraints=(key, KEY))

        assert verdicts(with_key("room_id", "room"), with_key("rooms_id", "room")) == [("room_id", "rooms_id", True)]
        assert verdicts(with_key("room_id", "room"), with_key("rooms_id", "hall")) == [("room_id", "rooms_id", False)]

    def test_an_index_that_is_gone_is_a_doubt(self) -> None:
        index = Index("ix", "(user_name)", keys=("user_name",))
        before = person(ID, Column("user_name", "TEXT"), NOTE, indexes=(index,))
        assert verdicts(before, person(ID, Column("username", "TEXT"), NOTE)) == [("user_name", "username", False)]

    def test_the_name_of_a_sequence_that_follows_is_none(self) -> None:
        def with_sequence(column: str) -> Snapshot:
            name = f"person_{column}_seq"
            table = person(ID, Column(column, "INTEGER", default=f"nextval('{name}'::regclass)"), NOTE)
            return Snapshot(table.tables, sequences=(Sequence("public", name, owner=f"public.person.{column}"),))

        assert verdicts(with_sequence("number"), with_sequence("numbers")) == [("number", "numbers", True)]

    def test_two_candidates_are_a_doubt(self) -> None:
        old, new = Column("user_name", "TEXT"), Column("username", "TEXT")
        found = verdicts(person(ID, old, NOTE), person(ID, new, Column("user_names", "TEXT"), NOTE))
        assert [it[2] for it in found] == [False, False]

    def test_two_columns_that_were_renamed_at_once_are_told_apart(self) -> None:
        old = Column("user_name", "VARCHAR(50)", nullable=False), Column("mail_adress", "VARCHAR(50)", nullable=False)
        new = Column("username", "VARCHAR(50)", nullable=False), Column("mail_address", "VARCHAR(50)", nullable=False)
        source = edits("mail_adress", "mail_address", DEFINITION)
        expected = {("user_name", "username", True), ("mail_adress", "mail_address", True)}
        assert set(verdicts(person(ID, *old, NOTE), person(ID, *new, NOTE), source)) == expected


class TestTables:
    COLUMNS = (ID, NOTE, Column("email", "TEXT"), Column("born", "DATE"), Column("city", "TEXT"))

    @staticmethod
    def tables(name: str, *columns: Column, namespace: str = "public") -> Snapshot:
        return Snapshot((Table(namespace, name, columns=columns, constraints=(KEY,)),))

    @pytest.mark.parametrize(
        ("old", "new", "count", "is_sure"),
        [
            ("customer", "client", 5, True),
            ("customer", "customers", 2, True),
            ("user_role", "UserRole", 2, True),
            ("color", "size", 2, False),
            ("audit_2023", "audit_2024", 5, False),
            ("customer", "client", 3, False),
        ],
    )
    def test_a_table_with_the_same_columns(self, old: str, new: str, count: int, *, is_sure: bool) -> None:
        columns = self.COLUMNS[:count]
        assert verdicts(self.tables(old, *columns), self.tables(new, *columns)) == [(old, new, is_sure)]

    def test_the_edits_of_the_source_decide_about_a_small_table(self) -> None:
        source = edits("color", "shade", '__tablename__ = "{}"', 'ForeignKey("{}.id")')
        before, after = (self.tables(name, ID, NOTE) for name in ("color", "shade"))
        assert verdicts(before, after, source) == [("color", "shade", True)]

    def test_a_table_that_changed_in_more_than_its_name_is_asked_about(self) -> None:
        before, after = self.tables("note", *self.COLUMNS), self.tables("notes", *self.COLUMNS[:4])
        assert verdicts(before, after) == [("note", "notes", False)]

    def test_another_table_or_another_schema_is_no_rename(self) -> None:
        before = self.tables("note", *self.COLUMNS)
        assert verdicts(before, self.tables("room", ID, Column("size", "INTEGER"))) == []
        assert verdicts(before, self.tables("notes", *self.COLUMNS, namespace="other")) == []


class TestDiff:
    DIFF = """\
diff --git a/models.py b/models.py
--- a/models.py
+++ b/models.py
@@ -7 +7 @@ class Person:
-    fax: Mapped[str]
+    website: Mapped[str]
@@ -9 +9,2 @@ class Person:
-    other = fax
+    first = website
+    # website
"""

    def test_the_lines_of_each_place_are_compared(self) -> None:
        found = SourceEdits.of_diff(self.DIFF).replacement("fax", "website")
        assert (found.replaced, found.others, found.is_apart) == (1, 1, False)

    def test_a_name_is_a_word(self) -> None:
        found = SourceEdits.of_diff(self.DIFF).replacement("ax", "ebsite")
        assert (found.replaced, found.others) == (0, 0)
