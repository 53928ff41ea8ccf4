"""Tables whose rows depend on each other are in one group, and each group comes after its parents."""

from __future__ import annotations

import pytest

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.dataloss.table_groups import table_groups
from dormatory.schema.snapshot import Column, Constraint, Function, Reference, Snapshot, Table, Trigger


def table(name: str, *parents: str, trigger: str = "", inherits: str = "") -> Table:
    """Return a table with a foreign key to each parent, and a trigger that calls a function."""
    return Table(
        "public",
        name,
        columns=(Column("id", "integer"),),
        constraints=tuple(
            Constraint("FOREIGN KEY", f"fk_{parent}", "", ("id",), references=Reference("public", parent, ("id",)))
            for parent in parents
        ),
        triggers=(Trigger("t", f"CREATE TRIGGER t AFTER INSERT ON {name} EXECUTE FUNCTION {trigger}()"),)
        * bool(trigger),
        inherits=(inherits,) if inherits else (),
    )


def function(name: str, body: str) -> Function:
    return Function("public", name, "", f"CREATE FUNCTION {name}() RETURNS trigger AS $$ BEGIN {body}; END $$")


def names(*tables: Table, functions: tuple[Function, ...] = ()) -> list[set[str]]:
    """Return the names of the tables in each group."""
    groups = table_groups(Snapshot(tables=tables, functions=functions), DIALECT)
    return [{it.name for it in group.tables} for group in groups]


CASES = {
    "parents first": ((table("a", "b"), table("b", "c"), table("c")), [{"c"}, {"b"}, {"a"}]),
    "unrelated by name": ((table("b"), table("a")), [{"a"}, {"b"}]),
    "itself": ((table("a", "a"),), [{"a"}]),
    "circle": ((table("a", "b"), table("b", "a"), table("c", "a"), table("d")), [{"d"}, {"a", "b"}, {"c"}]),
    "partition": ((table("a", inherits="b"), table("b"), table("c", "b")), [{"a", "b"}, {"c"}]),
}


@pytest.mark.parametrize(("tables", "expected"), CASES.values(), ids=list(CASES))
def test_groups(tables: tuple[Table, ...], expected: list[set[str]]) -> None:
    found = names(*tables)
    assert sorted(found, key=sorted) == sorted(expected, key=sorted)
    places = {name: place for place, group in enumerate(found) for name in group}
    for it in tables:
        for constraint in it.constraints:
            assert constraint.references
            assert places[constraint.references.table] <= places[it.name]


def test_a_table_that_a_trigger_writes_is_in_the_group_and_so_is_what_runs() -> None:
    note = function("note", "INSERT INTO log VALUES (1)")
    (plain, group) = table_groups(
        Snapshot(tables=(table("log"), table("lot", trigger="note"), table("other")), functions=(note,)), DIALECT
    )
    if plain.ids != (("public", "other"),):
        plain, group = group, plain
    assert plain.routines == ()
    assert group.ids == (("public", "log"), ("public", "lot"))
    assert group.routines == (note.definition,)


def test_all_tables_are_one_group_if_a_trigger_may_write_anywhere() -> None:
    anywhere = function("anywhere", "EXECUTE 'INSERT INTO ' || TG_ARGV[0]")
    assert names(table("a"), table("b", trigger="anywhere"), functions=(anywhere,)) == [{"a", "b"}]


def test_references_that_lead_out_of_a_group_are_named() -> None:
    *_, last = table_groups(Snapshot(tables=(table("a", "b", "c"), table("b", "a"), table("c"))), DIALECT)
    assert [it.table for it in last.references] == ["c"]


def test_a_long_chain_is_no_problem() -> None:
    tables = [table(f"t{number}", *([f"t{number + 1}"] if number < 2000 else [])) for number in range(2001)]
    assert names(*tables)[0] == {"t2000"}
