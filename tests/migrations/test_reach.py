"""Which tables a leg may have touched is told from its statements, and rather too many than too few."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dormatory.migrations.reach import reached, written
from dormatory.migrations.recording import Statement
from dormatory.schema.snapshot import (
    Column,
    Constraint,
    Enum,
    Extension,
    Function,
    Other,
    Reference,
    Rule,
    Snapshot,
    Table,
    Trigger,
    View,
)
from dormatory.schema.tokens import Syntax

SQLITE, POSTGRESQL = Syntax.SQLITE, Syntax.POSTGRESQL


def table(name: str, to: str = "", on_delete: str = "CASCADE", on_update: str = "NO ACTION") -> Table:
    """A table, with a foreign key to another one if it is named."""
    columns = (Column("id", "integer"), Column("parent_id", "integer"))
    reference = Reference(None, to, ("id",), on_update, on_delete)
    links = (Constraint("FOREIGN KEY", f"fk_{name}", "", ("parent_id",), references=reference),) if to else ()
    return Table(None, name, columns=columns, constraints=links)


# owners <- pets <- toys, with actions on delete; visits without any; zoo has nothing to do with them.
PETS = Snapshot(
    tables=(
        table("owners"),
        table("pets", "owners"),
        table("toys", "pets", "SET NULL"),
        table("visits", "owners", "RESTRICT"),
        table("zoo"),
    )
)


def touched(
    *sql: str, before: Snapshot = PETS, after: Snapshot | None = None, syntax: Syntax = POSTGRESQL, line: int = 1
) -> set[str] | None:
    statements = [Statement(text, (), "001.py" if line else "", line, 0.0, -1) for text in sql]
    found = reached(statements, before, before if after is None else after, syntax)
    return None if found is None else {name for _, name in found}


class TestStatements:
    @pytest.mark.parametrize(
        ("sql", "names"),
        [
            ("ALTER TABLE owners ADD COLUMN name text", {"owners"}),
            ('CREATE INDEX ix ON public."owners" (id)', {"owners"}),
            ("COMMENT ON TABLE owners IS 'who'", set()),
            ("SET lock_timeout = '4s'", set()),
            ("INSERT INTO owners VALUES (1)", {"owners"}),
            ("insert into OWNERS select id from zoo", {"owners", "zoo"}),
            ("UPDATE owners SET name = 'x'", {"owners"}),
            ("DELETE FROM owners", {"owners", "pets", "toys"}),
            ("TRUNCATE owners", {"owners", "pets", "toys"}),
            ("TRUNCATE owners CASCADE", {"owners", "pets", "toys", "visits"}),
            ("WITH gone AS (DELETE FROM pets RETURNING id) SELECT * FROM gone", {"pets", "toys"}),
            ("MERGE INTO owners USING zoo ON true WHEN MATCHED THEN DELETE", {"owners", "zoo", "pets", "toys"}),
            ("SELECT id FROM owners", set()),
            ("SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class", set()),
            ("CREATE TABLE bowls (pet_id int REFERENCES pets (id))", set()),
            ("DROP TABLE zoo; DELETE FROM pets", {"zoo", "pets", "toys"}),
            ("DO $$ BEGIN DELETE FROM pets; END $$", {"pets", "toys"}),
            ("COPY zoo FROM STDIN", {"zoo"}),
            ("ROLLBACK TO SAVEPOINT one", set()),
            ("-- nothing", set()),
        ],
        ids=lambda value: value[:40] if isinstance(value, str) else "",
    )
    def test_names_and_what_foreign_keys_lead_to_are_touched(self, sql: str, names: set[str]) -> None:
        assert touched(sql) == names

    @pytest.mark.parametrize(
        "sql",
        [
            "CALL tidy_up()",
            "EXECUTE prepared",
            "PREPARE one AS DELETE FROM owners",
            "DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'owners'; END $$",
            "DO 'begin execute x; end'",
            "DO LANGUAGE plpython3u $$ plpy.cursor('x') $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'x'; END $$",
            "UPDATE pg_catalog.pg_enum SET enumlabel = 'x'",
            "DELETE FROM %s",
            "INSERT INTO %(name)s VALUES (1)",
            'DELETE FROM U&"\\006fwners"',
            "SET ROLE somebody",
            "ROLLBACK",
            "FROBNICATE owners",
        ],
    )
    def test_what_is_not_understood_touches_everything(self, sql: str) -> None:
        assert touched(sql) is None

    def test_a_table_dropped_on_sqlite_takes_its_childrens_rows(self) -> None:
        assert touched("DROP TABLE owners", syntax=SQLITE) == {"owners", "pets", "toys"}
        assert touched("DROP TABLE owners") == {"owners"}

    def test_names_in_any_quotes_count(self) -> None:
        for name in ('"owners"', "`owners`", "[owners]", "'owners'"):
            assert touched(f"DELETE FROM {name} WHERE id = 1", syntax=SQLITE) == {"owners", "pets", "toys"}

    def test_pragmas_touch_nothing_but_the_catalog_written_by_hand_touches_everything(self) -> None:
        assert touched('PRAGMA main.table_xinfo("owners")', syntax=SQLITE) == set()
        assert touched("UPDATE sqlite_master SET sql = 'x'", syntax=SQLITE) is None

    def test_alembics_own_bookkeeping_wakes_no_foreign_key(self) -> None:
        version = "UPDATE alembic_version SET version_num = '2'"
        statements = [
            Statement("ALTER TABLE owners ADD COLUMN name text", (), "001.py", 3, 0.0, -1),
            Statement(version, (), "", 0, 0.0, -1),
        ]
        assert set(reached(statements, PETS, PETS, POSTGRESQL) or ()) == {(None, "owners")}

    def test_what_no_line_of_a_revision_sent_counts_where_it_names_a_table(self) -> None:
        assert touched("DELETE FROM toys", line=0) == {"toys"}


class TestStructure:
    def test_tables_that_came_changed_or_went_are_touched_whatever_was_said(self) -> None:
        wider = replace(table("zoo"), columns=(Column("id", "bigint"),))
        after = replace(PETS, tables=(*PETS.tables[:3], wider, table("new")))
        assert touched(after=after) == {"visits", "zoo", "new"}

    def test_an_equal_table_is_not_changed_though_it_is_another_object(self) -> None:
        after = replace(PETS, tables=tuple(replace(it) for it in PETS.tables))
        assert touched(after=after) == set()

    def test_a_label_that_has_another_name_touches_the_columns_of_its_type(self) -> None:
        mood = replace(table("zoo"), columns=(Column("mood", "moods[]"),))
        before = Snapshot(tables=(mood, table("owners")), enums=(Enum("public", "moods", ("sad", "ok")),))
        after = replace(before, enums=(Enum("public", "moods", ("sad", "fine")),))
        assert touched(before=before, after=after) == {"zoo"}
        assert touched("ALTER TYPE moods RENAME VALUE 'ok' TO 'fine'", before=before) == {"zoo"}

    def test_partitions_and_heirs_go_with_what_they_are_part_of(self) -> None:
        part = replace(table("logs_1"), inherits=('public."logs"',))
        before = Snapshot(tables=(table("logs"), part, table("zoo")))
        assert touched("ALTER TABLE logs_1 ADD COLUMN x int", before=before) == {"logs", "logs_1"}

    def test_an_event_trigger_makes_anything_possible(self) -> None:
        before = replace(PETS, others=(Other("event trigger", "audit"),))
        assert touched("ALTER TABLE zoo ADD COLUMN x int", before=before) is None


class TestWhatWakes:
    TRIGGERED = replace(table("owners"), triggers=(Trigger("t", "AFTER INSERT ON owners BEGIN DELETE FROM pets; END"),))

    def test_a_trigger_leads_on_and_foreign_keys_from_there(self) -> None:
        before = replace(PETS, tables=(self.TRIGGERED, *PETS.tables[1:]))
        assert touched("INSERT INTO owners VALUES (1)", before=before, syntax=SQLITE) == {"owners", "pets", "toys"}
        assert touched("ALTER TABLE owners ADD COLUMN x int", before=before, syntax=SQLITE) == {"owners"}

    def test_a_rule_and_a_view_lead_on(self) -> None:
        view = View("public", "keepers", "SELECT id FROM owners", rules=(Rule("r", "DO INSTEAD DELETE FROM zoo"),))
        before = replace(PETS, views=(view,))
        assert touched("UPDATE keepers SET id = 2", before=before) == {"owners", "zoo", "pets", "toys"}

    def test_a_routine_is_followed_through_others_and_a_dynamic_one_touches_everything(self) -> None:
        outer = Function("public", "tidy", "", "CREATE FUNCTION tidy() LANGUAGE sql AS $$ SELECT inner_one() $$")
        inner = Function("public", "inner_one", "", "CREATE FUNCTION f() LANGUAGE plpgsql AS $$ DELETE FROM zoo; $$")
        before = replace(PETS, functions=(outer, inner))
        assert touched("SELECT tidy()", before=before) == {"zoo"}
        dynamic = replace(inner, definition=inner.definition.replace("DELETE FROM", "EXECUTE"))
        assert touched("SELECT tidy()", before=replace(before, functions=(outer, dynamic))) is None
        foreign = replace(inner, definition="CREATE FUNCTION f() LANGUAGE c AS 'lib', 'f'")
        assert touched("SELECT tidy()", before=replace(before, functions=(outer, foreign))) is None

    def test_a_default_that_calls_a_routine_leads_on(self) -> None:
        numbered = replace(table("owners"), columns=(Column("id", "integer", default="next_number()"),))
        next_number = Function("public", "next_number", "", "CREATE FUNCTION n() LANGUAGE sql AS $$ UPDATE zoo $$")
        before = Snapshot(tables=(numbered, table("zoo")), functions=(next_number,))
        assert touched("INSERT INTO owners DEFAULT VALUES", before=before) == {"owners", "zoo"}

    def test_an_unknown_extension_may_do_anything_once_rows_are_written(self) -> None:
        before = replace(PETS, extensions=(Extension("dblink", "public"),))
        assert touched("INSERT INTO zoo VALUES (1)", before=before) is None
        assert touched("ALTER TABLE zoo ADD COLUMN x int", before=before) == {"zoo"}
        assert touched("INSERT INTO zoo VALUES (1)", before=replace(PETS, extensions=(Extension("citext", "x"),)))

    def test_rows_put_in_wake_triggers_but_no_foreign_key(self) -> None:
        assert set(written([(None, "owners")], PETS, SQLITE) or ()) == {(None, "owners")}
        before = replace(PETS, tables=(self.TRIGGERED, *PETS.tables[1:]))
        found = written([(None, "owners")], before, SQLITE) or ()
        assert {name for _, name in found} == {"owners", "pets", "toys"}
