"""What means the same on one backend has one spelling after alignment, and what differs stays different."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.schema.alignment import Equivalence, align_spelling
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.schema.changes import Change


class Pair(NamedTuple):
    """Two ways of writing a table, or two tables, as scripts."""

    name: str
    one: str
    other: str


def columns(name: str, one: str, other: str) -> Pair:
    """Return two tables with one column each."""
    return Pair(name, f"CREATE TABLE r (a {one})", f"CREATE TABLE r (a {other})")


def widened(declared: str, wider: str, default: str, new_default: str = "") -> Pair:
    """Return a column whose type was changed later, and one that had the type from the beginning."""
    before = f"CREATE TABLE r (a {declared} DEFAULT {default}); ALTER TABLE r ALTER a TYPE {wider}"
    return Pair(f"{declared} to {wider}", before, f"CREATE TABLE r (a {wider} DEFAULT {new_default or default})")


SAME_ON_BOTH = [
    columns("number in quotes", "integer DEFAULT 7", "integer DEFAULT '7'"),
    columns("trailing zeros", "numeric(8, 3) DEFAULT 1.5", "numeric(8, 3) DEFAULT 1.500"),
    columns("sign", "integer DEFAULT -1", "integer DEFAULT '-1'"),
    columns("null", "varchar(9) DEFAULT NULL", "varchar(9)"),
    columns("order of values", "text CHECK (a IN ('x', 'y'))", "text CHECK (a IN ('y', 'x'))"),
    columns("null in a check", "integer CHECK (a > 0)", "integer CHECK (a IS NULL OR a > 0)"),
    columns("name of a check", "integer CONSTRAINT ck CHECK (a > 0)", "integer CHECK (a > 0)"),
    columns("name of a primary key", "integer CONSTRAINT pk PRIMARY KEY", "integer PRIMARY KEY"),
    columns("name of a unique constraint", "integer CONSTRAINT u UNIQUE", "integer UNIQUE"),
    Pair(
        "name of a foreign key",
        "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE r (a integer CONSTRAINT fk REFERENCES p (id))",
        "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE r (a integer REFERENCES p (id))",
    ),
    Pair(
        "name of an index",
        "CREATE TABLE r (a integer); CREATE INDEX one ON r (a)",
        "CREATE TABLE r (a integer); CREATE INDEX other ON r (a)",
    ),
]
SAME_ON_SQLITE = [
    columns("float", "FLOAT", "DOUBLE"),
    columns("moment", "DATETIME", "TIMESTAMP"),
    columns("decimal", "NUMERIC(8, 2)", "DECIMAL(8, 2)"),
    columns("integer", "INTEGER", "BIGINT"),
    columns("no length", "VARCHAR", "VARCHAR(7)"),
    columns("now", "DATETIME DEFAULT CURRENT_TIMESTAMP", "DATETIME DEFAULT (datetime('now'))"),
    columns("parentheses", "INTEGER DEFAULT 3", "INTEGER DEFAULT (3)"),
    columns("boolean", "BOOLEAN DEFAULT 0", "BOOLEAN DEFAULT false"),
]
SAME_ON_POSTGRESQL = [
    columns("now", "timestamptz DEFAULT now()", "timestamptz DEFAULT CURRENT_TIMESTAMP"),
    columns("boolean", "boolean DEFAULT true", "boolean DEFAULT 't'"),
    columns("empty array", "text[] DEFAULT '{}'", "text[] DEFAULT ARRAY[]::text[]"),
    columns("array", "text[] DEFAULT '{a,b}'", "text[] DEFAULT ARRAY['a', 'b']"),
    columns("json", """jsonb DEFAULT '{"a": [1]}'""", """jsonb DEFAULT '{ "a":[1] }'"""),
    columns("computed", "integer DEFAULT 86400", "integer DEFAULT 60 * 60 * 24"),
    columns("interval", "interval DEFAULT '90 minutes'", "interval DEFAULT '1:30'"),
    columns("computed text", "text DEFAULT 'nn'", "text DEFAULT repeat('n', 2)"),
    widened("integer", "bigint", "0"),
    widened("smallint", "numeric(9, 2)", "1", "1.00"),
    widened("varchar(9)", "text", "'new'"),
    widened("varchar(9)", "varchar(20)", "'new'"),
    widened("date", "timestamp", "'2020-01-01'"),
    widened("real", "double precision", "1.5"),
    Pair(
        "check of a widened column",
        "CREATE TABLE r (a varchar(9) CHECK (a IN ('x', 'y') AND a <> 'z')); ALTER TABLE r ALTER a TYPE text",
        "CREATE TABLE r (a text CHECK (a IN ('x', 'y') AND a <> 'z'))",
    ),
    Pair(
        "index of a widened column",
        "CREATE TABLE r (a varchar(9)); CREATE INDEX i ON r (lower(a)) WHERE a IN ('x', 'y');"
        " ALTER TABLE r ALTER a TYPE text",
        "CREATE TABLE r (a text); CREATE INDEX i ON r (lower(a)) WHERE a IN ('x', 'y')",
    ),
    Pair(
        "sequence of a renamed table",
        "CREATE TABLE old (id serial PRIMARY KEY); ALTER TABLE old RENAME TO r",
        "CREATE TABLE r (id serial PRIMARY KEY)",
    ),
]
DIFFERENT_ON_BOTH = [
    columns("number", "integer DEFAULT 1", "integer DEFAULT 10"),
    columns("text", "text DEFAULT '1'", "text DEFAULT '1.0'"),
    columns("length", "varchar(50)", "varchar(100)"),
    columns("scale", "numeric(8, 2)", "numeric(8, 3)"),
    columns("null", "integer DEFAULT 0", "integer"),
    columns("check", "integer CHECK (a > 0)", "integer CHECK (a >= 0)"),
    columns("columns of an unnamed constraint", "integer, b integer, UNIQUE (a)", "integer, b integer, UNIQUE (a, b)"),
    columns("boolean or number", "boolean", "integer"),
]
DIFFERENT_ON_SQLITE = [
    columns("word in a boolean", "BOOLEAN DEFAULT 1", "BOOLEAN DEFAULT 'true'"),
    columns("affinity", "BOOLEAN", "DATETIME"),
    columns("date and moment", "DATETIME DEFAULT CURRENT_TIMESTAMP", "DATETIME DEFAULT CURRENT_DATE"),
]
DIFFERENT_ON_POSTGRESQL = [
    columns("zone", "timestamp DEFAULT now()", "timestamp DEFAULT timezone('utc', now())"),
    columns("clock", "timestamptz DEFAULT now()", "timestamptz DEFAULT clock_timestamp()"),
    columns("date of a moment", "timestamp DEFAULT '2020-01-01 10:00'", "timestamp DEFAULT '2020-01-01 10:00'::date"),
    columns("random", "uuid DEFAULT gen_random_uuid()", "uuid DEFAULT uuid_in('00000000-0000-0000-0000-000000000000')"),
    columns("float", "real", "double precision"),
    columns("integer", "integer", "bigint"),
    columns("cut off", "text DEFAULT 'abc'", "text DEFAULT 'abc'::varchar(2)"),
    columns("integer division", "integer CHECK (a / 2 > 0)", "integer CHECK (a::numeric / 2 > 0)"),
]


def differences(pair: Pair, one: Target, other: Target) -> tuple[Change, ...]:
    """Create both sides on real databases, align the other one with the first, and compare; no name was chosen."""
    backend = backend_for(one)
    with backend.engine(one, writing=True).connect() as first, backend.engine(other, writing=True).connect() as second:
        for connection, script in ((first, pair.one), (second, pair.other)):
            for statement in script.split(";"):
                connection.exec_driver_sql(statement)
        reference, given = read_snapshot(first), read_snapshot(second)
        server = partial(backend.is_same_value, second)
        equivalence = Equivalence(dialect_by_name(one.backend_name), names=(), is_same_value=server)
        return diff(reference, align_spelling(given, reference, equivalence))


def named(pair: Pair) -> str:
    """Return the name of a pair, as pytest shows it."""
    return pair.name


@pytest.mark.parametrize("pair", SAME_ON_BOTH + SAME_ON_SQLITE, ids=named)
def test_two_spellings_are_one_on_sqlite(pair: Pair) -> None:
    with scratch_sqlite() as one, scratch_sqlite() as other:
        assert differences(pair, one, other) == ()
        with scratch_sqlite() as third, scratch_sqlite() as fourth:
            assert differences(Pair("", pair.other, pair.one), third, fourth) == ()


@pytest.mark.parametrize("pair", SAME_ON_BOTH + SAME_ON_POSTGRESQL, ids=named)
def test_two_spellings_are_one_on_postgresql(pair: Pair, postgres_server: throwaway.Server) -> None:
    with throwaway.scratch_postgresql(postgres_server) as one, throwaway.scratch_postgresql(postgres_server) as other:
        assert differences(pair, one, other) == ()


@pytest.mark.parametrize("pair", DIFFERENT_ON_BOTH + DIFFERENT_ON_SQLITE, ids=named)
def test_two_meanings_stay_different_on_sqlite(pair: Pair) -> None:
    with scratch_sqlite() as one, scratch_sqlite() as other:
        assert differences(pair, one, other) != ()


@pytest.mark.parametrize("pair", DIFFERENT_ON_BOTH + DIFFERENT_ON_POSTGRESQL, ids=named)
def test_two_meanings_stay_different_on_postgresql(pair: Pair, postgres_server: throwaway.Server) -> None:
    with throwaway.scratch_postgresql(postgres_server) as one, throwaway.scratch_postgresql(postgres_server) as other:
        assert differences(pair, one, other) != ()
