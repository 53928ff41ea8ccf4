"""What a diagram shows of a snapshot, without a database."""

from __future__ import annotations

import pytest

from dormatory.schema.diagram import Diagram, diagram
from dormatory.schema.snapshot import Column, Constraint, Index, Reference, Snapshot, Table

PARENT = Table(
    None, "parent", columns=(Column("id", "integer", nullable=False),),
    constraints=(Constraint("PRIMARY KEY", None, "PRIMARY KEY (id)", ("id",)),),
)  # fmt: skip


def child(
    *parts: Constraint, nullable: bool = False, match: str = "SIMPLE", note: str = "", index: Index | None = None
) -> Diagram:
    """Return the diagram of a table that refers with its columns a and b, of which b is never NULL."""
    foreign = Constraint(
        "FOREIGN KEY", "fk", f"FOREIGN KEY ... {note}", ("a", "b"),
        references=Reference(None, "parent", ("id", "n"), match=match),
    )  # fmt: skip
    columns = (Column("a", "text", nullable=nullable), Column("b", "text", nullable=False), Column("c", "text"))
    indexes = (index,) if index else ()
    return diagram(Snapshot((Table(None, "child", columns=columns, constraints=(foreign, *parts), indexes=indexes),)))


@pytest.mark.parametrize(
    ("parts", "index", "is_unique"),
    [
        ((), None, False),
        ((Constraint("UNIQUE", "u", "UNIQUE (a, b)", ("a", "b")),), None, True),
        ((Constraint("UNIQUE", "u", "UNIQUE (a)", ("a",)),), None, True),
        ((Constraint("UNIQUE", "u", "UNIQUE (a, c)", ("a", "c")),), None, False),
        ((), Index("i", "...", unique=True, keys=("a",)), True),
        ((), Index("i", "...", unique=True, keys=("a",), predicate="b = 1"), False),
        ((), Index("i", "...", unique=True, keys=("a",), valid=False), False),
        ((), Index("i", "...", unique=True, keys=("lower(a)",)), False),
        ((), Index("i", "...", unique=False, keys=("a",)), False),
    ],
)
def test_one_row_at_most_refers_where_a_key_is_part_of_the_columns(
    parts: tuple[Constraint, ...], index: Index | None, *, is_unique: bool
) -> None:
    assert child(*parts, index=index).relations[0].is_unique is is_unique


@pytest.mark.parametrize(
    ("nullable", "match", "note", "is_required"),
    [
        (False, "SIMPLE", "", True),
        (True, "SIMPLE", "", False),
        (True, "FULL", "", True),
        (False, "SIMPLE", "NOT VALID", False),
    ],
)
def test_every_row_refers_where_no_null_frees_it(match: str, note: str, *, nullable: bool, is_required: bool) -> None:
    assert child(nullable=nullable, match=match, note=note).relations[0].is_required is is_required


def test_keys_are_marked() -> None:
    fields = child(Constraint("UNIQUE", None, "UNIQUE (c)", ("c",))).entities[0].fields
    assert [it.keys for it in fields] == [("FK",), ("FK",), ("UK",)]
    assert diagram(Snapshot((PARENT,))).entities[0].fields[0].keys == ("PK",)


def test_tables_come_with_their_neighbours_but_not_with_those_of_their_neighbours() -> None:
    def refers(name: str, to: str) -> Table:
        foreign = Constraint("FOREIGN KEY", None, "...", ("n",), references=Reference("s", to, ("n",)))
        return Table("s", name, columns=(Column("n", "integer"),), constraints=(foreign,))

    whole = diagram(Snapshot((refers("d", "c"), refers("c", "b"), refers("b", "a"), refers("a", "a"))))
    near = whole.neighbourhood(whole.names_like("b"))
    assert [it.name for it in near.entities] == ["s.a", "s.b", "s.c"]
    assert [(it.child, it.parent) for it in near.relations] == [("s.a", "s.a"), ("s.b", "s.a"), ("s.c", "s.b")]
    assert whole.names_like("[ab]") == whole.names_like("s.[ab]") == ("s.a", "s.b")
    assert whole.names_like("e") == ()
