"""Any two small SQLite structures can be turned into each other, with the rows."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.sqlite.alter import alter_statements
from tests.backends.sqlite.test_alter import database, fill, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.schema.alteration import ColumnId
    from dormatory.schema.snapshot import Snapshot


class Definition(NamedTuple):
    """A column: its name in quotes, and what it says."""

    name: str
    text: str


TYPES = st.sampled_from(["INTEGER", "VARCHAR(9)", "ANY"])
DEFAULTS = st.sampled_from(["", " DEFAULT 3", " DEFAULT -1", " DEFAULT '4'", " DEFAULT (1 + 1)", " DEFAULT (abs(-2))"])
NULLS = st.sampled_from(["", " NOT NULL", " NOT NULL ON CONFLICT REPLACE"])
COLLATIONS = st.sampled_from(["", " COLLATE NOCASE", " COLLATE RTRIM"])
NAMES = ['"n"', '"Cap"', '"group"', '"room"', '"e a"']
TABLES = ['"room"', '"Bed"', '"order"']


@st.composite
def columns(draw: st.DrawFn) -> list[Definition]:
    found: list[Definition] = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=4)):
        plain = [it.name for it in found if "AS (" not in it.text]
        if plain and draw(st.integers(0, 4)) == 0:
            kept = draw(st.sampled_from(["", " VIRTUAL", " STORED"]))
            found.append(Definition(name, f"ANY AS (coalesce({draw(st.sampled_from(plain))}, 1) || 'Cap'){kept}"))
        else:
            parts = draw(TYPES), draw(DEFAULTS), draw(NULLS), draw(COLLATIONS)
            found.append(Definition(name, "".join(parts)))
    return found


@st.composite
def tables(draw: st.DrawFn, name: str) -> list[str]:
    its = draw(columns())
    keys = ["", "", "id INTEGER PRIMARY KEY", "id INTEGER PRIMARY KEY AUTOINCREMENT", "id INTEGER PRIMARY KEY DESC"]
    key = draw(st.sampled_from([*keys, "id TEXT CONSTRAINT pk PRIMARY KEY ON CONFLICT IGNORE"]))
    some = st.sampled_from([it.name for it in its])
    parts = [key] * bool(key) + [f"{it.name} {it.text}" for it in its]
    constraints: list[Callable[[], str]] = [
        lambda: f"CONSTRAINT \"Ck\" CHECK ({draw(some)} <> 'Cap')",
        lambda: f"CHECK ({draw(some)} IS NOT 'n' OR {name}.{draw(some)} > 0)",
        lambda: (
            f"CONSTRAINT fk FOREIGN KEY ({draw(some)}) REFERENCES {draw(st.sampled_from(TABLES))} (id)"
            f"{draw(st.sampled_from(['', ' ON DELETE CASCADE', ' ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED']))}"
        ),
        lambda: f"UNIQUE (id, {draw(some)} COLLATE NOCASE)" if key else f"CHECK ({draw(some)} NOT NULL OR 1)",
    ]
    parts += [make() for make in draw(st.lists(st.sampled_from(constraints), max_size=3))]
    options = ["", "", *[" WITHOUT ROWID"] * (bool(key) and "AUTO" not in key)]
    statements = [f"CREATE TABLE {name} ({', '.join(parts)}){draw(st.sampled_from(options))}"]
    index, other = draw(some), draw(some)
    others: list[Callable[[], str]] = [
        lambda: f'CREATE INDEX "Ix{name[1:-1]}" ON {name} ({index} DESC, lower({other}))',
        lambda: f"CREATE INDEX ix_{name[1:-1]} ON {name} ({index} COLLATE NOCASE) WHERE {other} > 1",
        lambda: f"CREATE TRIGGER tr_{name[1:-1]} AFTER UPDATE OF {index} ON {name} BEGIN SELECT new.{other}; END",
        lambda: f"CREATE VIEW v_{name[1:-1]} AS SELECT {index} AS Cap, 'Cap' FROM {name} WHERE {other} > 0",
        lambda: f"CREATE VIEW w_{name[1:-1]} AS SELECT * FROM v_{name[1:-1]}" if "v_" in statements[-1] else "",
    ]
    statements += [it for make in others if draw(st.booleans()) and (it := make())]
    return statements


@st.composite
def structures(draw: st.DrawFn) -> list[str]:
    """Return the statements of a structure."""
    names = draw(st.lists(st.sampled_from(TABLES), unique=True, min_size=1, max_size=3))
    return [statement for name in names for statement in draw(tables(name))]


def conversions(before: Snapshot, after: Snapshot) -> dict[ColumnId, str]:
    """Return values for the columns that want one."""
    old = {table.id: {it.name for it in table.columns} for table in before.tables}
    return {
        (table.id, column.name): "rowid" if column.name == "id" else "7"
        for table in after.tables
        for column in table.columns
        if table.id in old and column.name not in old[table.id]
        if column.name == "id" or (not column.nullable and column.default is None)
    }


@settings(max_examples=12)
@given(structures(), structures())
def test_any_structure_becomes_any_other_with_its_rows(old: list[str], new: list[str]) -> None:
    with database(*new) as other:
        after = read_snapshot(other)
    with database(*old) as connection:
        fill(connection)
        before = read_snapshot(connection)
        expected = rows(connection, before, after)
        with closing(connection.connection.cursor()) as cursor:
            for statement in alter_statements(before, after, conversions(before, after)):
                cursor.execute(statement.sql)
        assert read_snapshot(connection) == after
        assert rows(connection, before, after) == expected
