"""The difference of two snapshots, without a database."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from dormatory.schema import snapshot as values
from dormatory.schema.changes import ColumnAdded, ColumnRemoved, ColumnsReordered, ObjectAdded, ObjectRemoved
from dormatory.schema.diff import diff
from dormatory.schema.snapshot import (
    Column,
    Composite,
    Constraint,
    Domain,
    Enum,
    Extension,
    Function,
    Index,
    Namespace,
    Other,
    Policy,
    Range,
    Reference,
    RewriteRule,
    Sequence,
    Snapshot,
    Table,
    Trigger,
    View,
)
from tests.schema.inverse import inverse_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

INTEGER, TEXT = Column("n", "integer"), Column("t", "text")
FOREIGN_KEY = Constraint(
    "FOREIGN KEY", "fk", "FOREIGN KEY (n) REFERENCES u(id)", ("n",), None, Reference("public", "u", ("id",))
)
EVERYTHING = Snapshot(
    tables=(
        Table(
            "public",
            "t",
            columns=(INTEGER, TEXT),
            constraints=(FOREIGN_KEY, Constraint("CHECK", "ck", "CHECK (n > 0)", ("n",), "n > 0")),
            indexes=(Index("ix", "(n)", keys=("n",)),),
            triggers=(Trigger("g", "CREATE TRIGGER g"),),
            rules=(RewriteRule("r", "CREATE RULE r"),),
            policies=(Policy("p", "ALL"),),
        ),
    ),
    views=(
        View(
            "public",
            "v",
            "SELECT n FROM t",
            columns=(INTEGER,),
            indexes=(Index("vx", "(n)"),),
            triggers=(Trigger("vg", "CREATE TRIGGER vg"),),
            rules=(RewriteRule("vr", "CREATE RULE vr"),),
        ),
    ),
    sequences=(Sequence("public", "s"),),
    functions=(Function("public", "f", "a integer", "CREATE FUNCTION f"),),
    enums=(Enum("public", "e", ("a", "b")),),
    domains=(Domain("public", "d", "integer", constraints=(Constraint("CHECK", "c", "CHECK (VALUE > 0)"),)),),
    composites=(Composite("public", "c", (INTEGER,)),),
    ranges=(Range("public", "r", "subtype = integer"),),
    namespaces=(Namespace("public"),),
    extensions=(Extension("plpgsql", "pg_catalog"),),
    others=(Other("collation", "public.german"),),
    not_compared=("owners",),
)


def _variants(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a copy of the value for each of its leaves, with this leaf changed."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for where, changed in _variants(getattr(value, field.name), f"{path}.{field.name}"):
                yield where, replace(value, **{field.name: changed})
    elif isinstance(value, tuple) and value:
        for place, element in enumerate(value):
            for where, changed in _variants(element, f"{path}[{place}]"):
                yield where, (*value[:place], changed, *value[place + 1 :])
            yield f"{path}[{place}] removed", (*value[:place], *value[place + 1 :])
    elif isinstance(value, bool):
        yield path, not value
    elif isinstance(value, int):
        yield path, value + 1
    elif isinstance(value, tuple):
        yield path, ("new",)
    else:
        yield path, "new" if value is None else f"{value} new"


VARIANTS = dict(_variants(EVERYTHING))


def _only_table(*columns: Column, **facts: Any) -> Snapshot:
    return Snapshot(tables=(Table("public", "t", columns=columns, **facts),))


def sentences(before: Snapshot, after: Snapshot) -> list[str]:
    return [str(change) for change in diff(before, after)]


def test_everything_holds_every_kind_of_value() -> None:
    kinds = {name for name in vars(values) if is_dataclass(getattr(values, name))}
    seen: set[str] = set()

    def visit(value: Any) -> None:
        if is_dataclass(value):
            seen.add(type(value).__name__)
            for field in fields(value):
                visit(getattr(value, field.name))
        elif isinstance(value, tuple):
            for element in value:
                visit(element)

    visit(EVERYTHING)

    assert seen == kinds


@pytest.mark.parametrize("where", VARIANTS)
def test_a_change_of_any_field_is_reported(where: str) -> None:
    changed = VARIANTS[where]

    there, back = diff(EVERYTHING, changed), diff(changed, EVERYTHING)

    assert there
    assert list(back) == inverse_changes(there)
    assert all(str(change).startswith(f"{change.object}: ") for change in there)


def test_equal_snapshots_have_no_difference() -> None:
    assert diff(EVERYTHING, replace(EVERYTHING)) == ()


def test_a_changed_column_order_is_reported_last_and_is_minor() -> None:
    a, b, c = (Column(name, "text") for name in "abc")
    before = Snapshot(tables=(Table(None, "a", columns=(a, b)), Table(None, "z", columns=(a,))))
    after = Snapshot(tables=(Table(None, "a", columns=(b, a)), Table(None, "z", columns=(a, c))))

    changes = diff(before, after)

    assert [type(change) for change in changes] == [ColumnAdded, ColumnsReordered]
    assert [change.is_minor for change in changes] == [False, True]


def test_a_column_at_another_place_is_no_rename() -> None:
    a, b, c = (Column(name, "text") for name in "abc")

    changes = diff(_only_table(a, b), _only_table(b, c))

    assert [type(change) for change in changes] == [ColumnRemoved, ColumnAdded]


@pytest.mark.parametrize(
    "other",
    [Column("b", "integer"), Column("b", "text", nullable=False), Column("b", "text", default="1")],
    ids=["type", "nullability", "default"],
)
def test_a_column_of_another_kind_is_no_rename(other: Column) -> None:
    changes = diff(_only_table(Column("a", "text")), _only_table(other))

    assert [type(change) for change in changes] == [ColumnRemoved, ColumnAdded]


def test_a_column_that_lost_its_constraint_is_no_rename() -> None:
    unique = Constraint("UNIQUE", "u", "UNIQUE (a)", ("a",))

    changes = diff(_only_table(Column("a", "text"), constraints=(unique,)), _only_table(Column("b", "text")))

    assert {type(change) for change in changes} >= {ColumnRemoved, ColumnAdded}


def test_two_columns_renamed_side_by_side_are_two_renames() -> None:
    unique = Constraint("UNIQUE", "u", "UNIQUE (a, b)", ("a", "b"))
    before = _only_table(Column("a", "text"), Column("b", "text"), constraints=(unique,))
    after = _only_table(
        Column("x", "text"),
        Column("y", "text"),
        constraints=(replace(unique, definition="UNIQUE (x, y)", columns=("x", "y")),),
    )

    assert sentences(before, after) == [
        "column t.a: renamed to x, it seems (same place, type text and facts, also in 1 constraint or index)",
        "column t.b: renamed to y, it seems (same place, type text and facts, also in 1 constraint or index)",
    ]


def test_a_table_that_resembles_two_others_is_no_rename() -> None:
    column = Column("a", "text")
    before = Snapshot(tables=(Table("public", "one", columns=(column,)),))
    after = Snapshot(tables=(Table("public", "three", columns=(column,)), Table("public", "two", columns=(column,))))

    assert {type(change) for change in diff(before, after)} == {ObjectRemoved, ObjectAdded}


def test_a_renamed_table_is_followed_into_foreign_keys_and_views() -> None:
    def snapshot_with_table(name: str) -> Snapshot:
        link = replace(
            FOREIGN_KEY,
            definition=f"FOREIGN KEY (n) REFERENCES {name}(id)",
            references=Reference("public", name, ("id",)),
        )
        return Snapshot(
            tables=(
                Table("public", "t", columns=(INTEGER,), constraints=(link,)),
                Table("public", name, columns=(Column("id", "integer"), TEXT)),
            ),
            views=(View("public", "v", f"SELECT id FROM {name}"),),
        )

    assert sentences(snapshot_with_table("u"), snapshot_with_table("w")) == [
        "table u: renamed to w, it seems (same 2 columns and constraints)"
    ]


def test_a_string_is_never_taken_for_a_renamed_name() -> None:
    def snapshot_with_column(name: str) -> Snapshot:
        check = Constraint("CHECK", "ck", f"CHECK ({name} <> '{name}')", (name,), f"{name} <> '{name}'")
        return _only_table(Column(name, "text"), constraints=(check,))

    assert [type(change) for change in diff(snapshot_with_column("a"), snapshot_with_column("b"))][:2] == [
        ColumnRemoved,
        ColumnAdded,
    ]


def test_names_have_their_namespace_unless_it_is_public() -> None:
    after = Snapshot(tables=(Table("audit", "t"), Table("public", "t")))

    assert sentences(Snapshot(), after) == ["table audit.t: added", "table t: added"]


def test_a_long_text_is_shortened_to_where_it_differs() -> None:
    def snapshot_with_view(number: int) -> Snapshot:
        return Snapshot(
            views=(View("public", "v", f"SELECT {'a, ' * 40}b FROM t WHERE (b > {number}) ORDER BY b LIMIT 7"),)
        )

    assert sentences(snapshot_with_view(1), snapshot_with_view(2)) == [
        "view v: definition … > 1) ORDER BY … → … > 2) ORDER BY …".replace("… > ", "… (b > ")
    ]
