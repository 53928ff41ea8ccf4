"""The tables whose rows may have changed are derived from structures, rather too many than too few."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.dataloss.affected_tables import affected_by_inserts, altered_tables
from dormatory.schema.snapshot import (
    Column,
    Composite,
    Constraint,
    Enum,
    Function,
    Reference,
    RewriteRule,
    Snapshot,
    Table,
    Trigger,
    View,
)

if TYPE_CHECKING:
    from dormatory.sql.dialect import Dialect


def make_table(name: str, to: str = "", on_delete: str = "CASCADE", on_update: str = "NO ACTION") -> Table:
    """A table, with a foreign key to another one if it is named."""
    columns = (Column("id", "integer"), Column("parent_id", "integer"))
    reference = Reference(None, to, ("id",), on_update, on_delete)
    links = (Constraint("FOREIGN KEY", f"fk_{name}", "", ("parent_id",), references=reference),) if to else ()
    return Table(None, name, columns=columns, constraints=links)


# owners <- pets <- toys, with actions on delete; visits without any; zoo has nothing to do with them.
PETS = Snapshot(
    tables=(
        make_table("owners"),
        make_table("pets", "owners"),
        make_table("toys", "pets", "SET NULL"),
        make_table("visits", "owners", "RESTRICT"),
        make_table("zoo"),
    )
)


def altered_names(before: Snapshot, after: Snapshot) -> set[str]:
    return {name for _, name in altered_tables(before, after, POSTGRESQL)}


def affected_names(name: str, schema: Snapshot, dialect: Dialect = POSTGRESQL) -> set[str] | None:
    found = affected_by_inserts([(None, name)], schema, dialect)
    return None if found is None else {name for _, name in found}


class TestAlteredTables:
    def test_created_altered_and_dropped_tables_are_found(self) -> None:
        wider = replace(make_table("zoo"), columns=(Column("id", "bigint"),))
        after = replace(PETS, tables=(*PETS.tables[:3], wider, make_table("new")))
        assert altered_names(PETS, after) == {"visits", "zoo", "new"}

    def test_an_equal_table_that_is_another_object_is_not_altered(self) -> None:
        after = replace(PETS, tables=tuple(replace(it) for it in PETS.tables))
        assert altered_names(PETS, after) == set()

    def test_a_renamed_enum_label_alters_the_tables_that_use_the_type(self) -> None:
        mood = replace(make_table("zoo"), columns=(Column("mood", "moods[]"),))
        before = Snapshot(tables=(mood, make_table("owners")), enums=(Enum("public", "moods", ("sad", "ok")),))
        after = replace(before, enums=(Enum("public", "moods", ("sad", "fine")),))
        assert altered_names(before, after) == {"zoo"}

    def test_a_type_that_uses_an_altered_type_is_altered(self) -> None:
        shown = replace(make_table("zoo"), columns=(Column("shown", "pairs"),))
        pairs = Composite("public", "pairs", (Column("mood", "moods"),))
        before = Snapshot(tables=(shown,), enums=(Enum("public", "moods", ("ok",)),), composites=(pairs,))
        after = replace(before, enums=(Enum("public", "moods", ("fine",)),))
        assert altered_names(before, after) == {"zoo"}


class TestAffectedByInserts:
    TRIGGERED = replace(
        make_table("owners"), triggers=(Trigger("t", "AFTER INSERT ON owners BEGIN DELETE FROM pets; END"),)
    )

    def test_inserts_affect_nothing_through_foreign_keys(self) -> None:
        assert affected_names("owners", PETS) == {"owners"}

    def test_triggers_are_followed_and_foreign_keys_from_there(self) -> None:
        schema = replace(PETS, tables=(self.TRIGGERED, *PETS.tables[1:]))
        assert affected_names("owners", schema, SQLITE) == {"owners", "pets", "toys"}

    def test_partitions_and_inheriting_tables_are_followed_both_ways(self) -> None:
        part = replace(make_table("logs_1"), inherits=('public."logs"',))
        assert affected_names("logs_1", Snapshot(tables=(make_table("logs"), part, make_table("zoo")))) == {
            "logs",
            "logs_1",
        }

    def test_rules_and_views_are_followed(self) -> None:
        view = View(
            "public", "keepers", "SELECT id FROM owners", rules=(RewriteRule("r", "DO INSTEAD DELETE FROM zoo"),)
        )
        ruled = replace(make_table("doors"), rules=(RewriteRule("r", "DO ALSO UPDATE keepers SET id = 1"),))
        schema = replace(PETS, views=(view,), tables=(*PETS.tables, ruled))
        assert affected_names("doors", schema) == {"doors", "owners", "zoo", "pets", "toys"}

    def test_routines_are_followed_and_a_dynamic_one_affects_every_table(self) -> None:
        outer = Function("public", "tidy", "", "CREATE FUNCTION tidy() LANGUAGE sql AS $$ SELECT inner_one() $$")
        inner = Function("public", "inner_one", "", "CREATE FUNCTION f() LANGUAGE plpgsql AS $$ DELETE FROM zoo; $$")
        tidy = replace(make_table("doors"), triggers=(Trigger("t", "EXECUTE FUNCTION tidy()"),))
        schema = replace(PETS, functions=(outer, inner), tables=(*PETS.tables, tidy))
        assert affected_names("doors", schema) == {"doors", "zoo"}
        dynamic = replace(inner, definition=inner.definition.replace("DELETE FROM", "EXECUTE"))
        assert affected_names("doors", replace(schema, functions=(outer, dynamic))) is None
        foreign = replace(inner, definition="CREATE FUNCTION f() LANGUAGE c AS 'lib', 'f'")
        assert affected_names("doors", replace(schema, functions=(outer, foreign))) is None

    def test_a_default_that_calls_a_routine_is_followed(self) -> None:
        numbered = replace(make_table("owners"), columns=(Column("id", "integer", default="next_number()"),))
        next_number = Function("public", "next_number", "", "CREATE FUNCTION n() LANGUAGE sql AS $$ UPDATE zoo $$")
        schema = Snapshot(tables=(numbered, make_table("zoo")), functions=(next_number,))
        assert affected_names("owners", schema) == {"owners", "zoo"}
