"""Which tables' rows are others than they were is told from structures, and rather too many than too few."""

from __future__ import annotations

from dataclasses import replace

from dormatory.dataloss.affected_tables import reshaped, written
from dormatory.schema.snapshot import (
    Column,
    Composite,
    Constraint,
    Enum,
    Function,
    Reference,
    Rule,
    Snapshot,
    Table,
    Trigger,
    View,
)
from dormatory.sql.lexer import Syntax

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


def changed(before: Snapshot, after: Snapshot) -> set[str]:
    return {name for _, name in reshaped(before, after, POSTGRESQL)}


def woken(name: str, schema: Snapshot, syntax: Syntax = POSTGRESQL) -> set[str] | None:
    found = written([(None, name)], schema, syntax)
    return None if found is None else {name for _, name in found}


class TestStructure:
    def test_tables_that_came_changed_or_went_are_told(self) -> None:
        wider = replace(table("zoo"), columns=(Column("id", "bigint"),))
        after = replace(PETS, tables=(*PETS.tables[:3], wider, table("new")))
        assert changed(PETS, after) == {"visits", "zoo", "new"}

    def test_an_equal_table_is_not_changed_though_it_is_another_object(self) -> None:
        after = replace(PETS, tables=tuple(replace(it) for it in PETS.tables))
        assert changed(PETS, after) == set()

    def test_a_label_that_has_another_name_changes_the_tables_with_columns_of_its_type(self) -> None:
        mood = replace(table("zoo"), columns=(Column("mood", "moods[]"),))
        before = Snapshot(tables=(mood, table("owners")), enums=(Enum("public", "moods", ("sad", "ok")),))
        after = replace(before, enums=(Enum("public", "moods", ("sad", "fine")),))
        assert changed(before, after) == {"zoo"}

    def test_a_type_made_of_a_changed_one_has_changed(self) -> None:
        shown = replace(table("zoo"), columns=(Column("shown", "pairs"),))
        pairs = Composite("public", "pairs", (Column("mood", "moods"),))
        before = Snapshot(tables=(shown,), enums=(Enum("public", "moods", ("ok",)),), composites=(pairs,))
        after = replace(before, enums=(Enum("public", "moods", ("fine",)),))
        assert changed(before, after) == {"zoo"}


class TestWhatWakes:
    TRIGGERED = replace(table("owners"), triggers=(Trigger("t", "AFTER INSERT ON owners BEGIN DELETE FROM pets; END"),))

    def test_rows_put_in_wake_no_foreign_key(self) -> None:
        assert woken("owners", PETS) == {"owners"}

    def test_a_trigger_leads_on_and_foreign_keys_from_there(self) -> None:
        schema = replace(PETS, tables=(self.TRIGGERED, *PETS.tables[1:]))
        assert woken("owners", schema, SQLITE) == {"owners", "pets", "toys"}

    def test_partitions_and_heirs_go_with_what_they_are_part_of(self) -> None:
        part = replace(table("logs_1"), inherits=('public."logs"',))
        assert woken("logs_1", Snapshot(tables=(table("logs"), part, table("zoo")))) == {"logs", "logs_1"}

    def test_a_rule_and_a_view_lead_on(self) -> None:
        view = View("public", "keepers", "SELECT id FROM owners", rules=(Rule("r", "DO INSTEAD DELETE FROM zoo"),))
        ruled = replace(table("doors"), rules=(Rule("r", "DO ALSO UPDATE keepers SET id = 1"),))
        schema = replace(PETS, views=(view,), tables=(*PETS.tables, ruled))
        assert woken("doors", schema) == {"doors", "owners", "zoo", "pets", "toys"}

    def test_a_routine_is_followed_through_others_and_a_dynamic_one_touches_everything(self) -> None:
        outer = Function("public", "tidy", "", "CREATE FUNCTION tidy() LANGUAGE sql AS $$ SELECT inner_one() $$")
        inner = Function("public", "inner_one", "", "CREATE FUNCTION f() LANGUAGE plpgsql AS $$ DELETE FROM zoo; $$")
        tidy = replace(table("doors"), triggers=(Trigger("t", "EXECUTE FUNCTION tidy()"),))
        schema = replace(PETS, functions=(outer, inner), tables=(*PETS.tables, tidy))
        assert woken("doors", schema) == {"doors", "zoo"}
        dynamic = replace(inner, definition=inner.definition.replace("DELETE FROM", "EXECUTE"))
        assert woken("doors", replace(schema, functions=(outer, dynamic))) is None
        foreign = replace(inner, definition="CREATE FUNCTION f() LANGUAGE c AS 'lib', 'f'")
        assert woken("doors", replace(schema, functions=(outer, foreign))) is None

    def test_a_default_that_calls_a_routine_leads_on(self) -> None:
        numbered = replace(table("owners"), columns=(Column("id", "integer", default="next_number()"),))
        next_number = Function("public", "next_number", "", "CREATE FUNCTION n() LANGUAGE sql AS $$ UPDATE zoo $$")
        schema = Snapshot(tables=(numbered, table("zoo")), functions=(next_number,))
        assert woken("owners", schema) == {"owners", "zoo"}
