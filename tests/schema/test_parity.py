"""Parity of the backends, on schemas read from both: another spelling is no difference, another meaning is."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.dialect import DIALECT as POSTGRESQL
from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.schema.parity import parity_differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.schema.snapshot import Snapshot

    Compare = Callable[[Sequence[str], Sequence[str]], list[str]]
    Build = Callable[[sa.Connection], object]


@pytest.fixture(scope="module")
def engines(postgres_server: Server) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """Provide an empty database of each kind, in which nothing is committed."""
    both = sa.create_engine("sqlite://"), sa.create_engine(postgres_server.create_database().sqlalchemy_url())
    yield both
    for engine in both:
        engine.dispose()


def build_snapshot(engine: sa.Engine, build: Build) -> Snapshot:
    with engine.connect() as connection, connection.begin() as transaction:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        build(connection)
        found = read_snapshot(connection)
        transaction.rollback()
    return found


def differences(sqlite: Snapshot, postgresql: Snapshot) -> list[str]:
    """Return the differences between two schemas as sentences."""
    return [str(it) for it in parity_differences(sqlite, postgresql, (SQLITE, POSTGRESQL))]


@pytest.fixture
def compare(engines: tuple[sa.Engine, sa.Engine]) -> Compare:
    """Return a function that compares a script for SQLite with one for PostgreSQL."""

    def run(script: Sequence[str]) -> Build:
        return lambda connection: [connection.exec_driver_sql(sql) for sql in script]

    def sentences(sqlite: Sequence[str], postgresql_: Sequence[str]) -> list[str]:
        escaped = [sql.replace("%", "%%") for sql in postgresql_]  # the driver's own sign there
        return differences(*map(build_snapshot, engines, (run(sqlite), run(escaped))))

    return sentences


class Kind(enum.Enum):
    """An enumeration for a column."""

    plain = "plain"
    fancy = "fancy"


# As people write them; each says the same on both backends.
CHECKS = (
    "s <> ''",
    "length(s9) > 2",
    "n >= 0 AND n < 100",
    "small BETWEEN 1 AND 5",
    "s9 IN ('q', 'w')",
    "s9 NOT IN ('z', 'y')",
    "s9 IN ('only')",
    "s IS NULL OR txt IS NOT NULL",
    "(s IS NULL) <> (txt IS NULL)",
    "NOT (small = 3)",
    "trim(s) <> ''",
    "lower(s) = s",
    "CASE WHEN s IS NULL THEN 1 ELSE 0 END + CASE WHEN txt IS NULL THEN 1 ELSE 0 END = 1",
    "s LIKE '%@%'",
    "txt NOT LIKE '%!_%' ESCAPE '!'",
    "flag OR s IS NOT NULL",
    "small > 0 OR NOT flag",
    "coalesce(small, 0) + big * 2 > n",
    "day > '2020-01-01'",
    "s || txt <> 'x'",
    '"Mixed" > 0 AND ("Mixed" < 9 OR small = 1)',
    "CAST(small AS text) <> s",
    "f > 0.5 AND n <> 1.50",
    "small IN (1, 2) OR (big IS NOT NULL AND small % 2 = 0)",
    "abs(small) < 10 AND substr(s, 1, 1) = 'a'",
    "-small < 3",
    "n IS NULL OR n > 0",
)


def everything_portable() -> sa.MetaData:
    metadata = sa.MetaData()
    thing = sa.Table(
        "thing",
        metadata,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("key", sa.Uuid),
        sa.Column("key36", postgresql.UUID(as_uuid=True).with_variant(sa.String(36), "sqlite")),
        sa.Column("js", sa.JSON, server_default='{"a":1}'),
        sa.Column("jsb", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), server_default='{"b":1,"a":[1]}'),
        sa.Column("at", sa.DateTime, server_default=sa.func.now()),
        sa.Column("at_zone", sa.DateTime(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP")),
        sa.Column("day", sa.Date, server_default=sa.func.current_date()),
        sa.Column("clock", sa.Time),
        sa.Column("span", sa.Interval),
        sa.Column("flag", sa.Boolean(create_constraint=True, name="ck_flag"), server_default=sa.false()),
        sa.Column("flag_on", sa.Boolean, server_default=sa.text("'1'"), nullable=False),
        sa.Column("n", sa.Numeric(10, 2), server_default="0"),
        sa.Column("whole", sa.Numeric(10)),
        sa.Column("any", sa.Numeric),
        sa.Column("f", sa.Float, server_default=sa.text("-1.5")),
        sa.Column("f53", sa.Float(53)),
        sa.Column("double", sa.Double),
        sa.Column("big", sa.BigInteger),
        sa.Column("small", sa.SmallInteger, server_default=sa.text("-1")),
        sa.Column("s", sa.String),
        sa.Column("s9", sa.Unicode(9)),
        sa.Column("txt", sa.Text, server_default="it's"),
        sa.Column("three", sa.CHAR(3)),
        sa.Column("raw", sa.LargeBinary),
        sa.Column("kind", sa.Enum(Kind, name="kind", create_constraint=True), server_default="plain"),
        sa.Column("word", sa.Enum("x", "y", name="word", native_enum=False, create_constraint=True)),
        sa.Column("twice", sa.Integer, sa.Computed("small * 2 + 1", persisted=True)),
        sa.Column("Mixed", sa.Integer),
        *(sa.CheckConstraint(condition, name=f"ck_{number}") for number, condition in enumerate(CHECKS)),
        sa.CheckConstraint("txt <> ''"),
        sa.UniqueConstraint("s", "s9"),
    )
    column = thing.c
    sa.Index("ix_mixed_order", column.s, column.big.desc())
    sa.Index("ix_lower", sa.func.lower(column.s), unique=True)
    sa.Index("ix_coalesce", sa.text("coalesce(s, '') DESC"), column.Mixed, unique=True)
    sa.Index("ix_prefix", column.s, postgresql_ops={"s": "text_pattern_ops"}, postgresql_include=["small"])
    for name, where in (
        ("ix_is", sa.and_(column.flag.is_(True), column.kind == Kind.plain)),
        ("ix_equal", sa.and_(column.flag == sa.true(), column.s9.in_(["a", "b"]), column.s.is_not(None))),
        ("ix_text", sa.text("NOT flag AND at IS NULL")),
    ):
        sa.Index(name, column.small, postgresql_where=where, sqlite_where=where)
    sa.Table(
        "part",
        metadata,
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("thing", sa.ForeignKey("thing.id", ondelete="SET NULL", deferrable=True, initially="DEFERRED")),
        sa.Column("next", sa.ForeignKey("part.id", onupdate="CASCADE")),
    )
    sa.Table(
        "pair",
        metadata,
        sa.Column("a", sa.Integer, sa.ForeignKey("part.id"), primary_key=True, autoincrement=False),
        sa.Column("b", sa.Integer, primary_key=True),
        sa.Column("x", sa.Integer),
        sa.Column("y", sa.Integer),
        sa.ForeignKeyConstraint(["x", "y"], ["pair.a", "pair.b"]),
    )
    return metadata


def test_portable_models_create_equal_schemas_on_both_backends(engines: tuple[sa.Engine, sa.Engine]) -> None:
    sides = [build_snapshot(engine, everything_portable().create_all) for engine in engines]

    assert len(sides[0].table("thing").constraints) > len(CHECKS)
    assert differences(*sides) == []


class Case(NamedTuple):
    """A script for each backend, and the expected sentences."""

    name: str
    sqlite: Sequence[str]
    postgresql: Sequence[str]
    sentences: Sequence[str] = ()


def column(sqlite: str, postgresql_: str) -> tuple[list[str], list[str]]:
    return [f"CREATE TABLE t (c {sqlite})"], [f"CREATE TABLE t (c {postgresql_})"]


T, KEYED = "CREATE TABLE t (a integer, b text, c text)", "CREATE TABLE t (a integer NOT NULL PRIMARY KEY, b integer)"

EQUAL_CASES = [
    Case("moments", *column("datetime DEFAULT (datetime('now'))", "timestamptz DEFAULT (now() AT TIME ZONE 'utc')")),
    Case("formatted moments", *column("datetime DEFAULT (strftime('%Y-%m', 'now'))", "timestamp DEFAULT now()")),
    Case("random keys", *column("char(32) DEFAULT (lower(hex(randomblob(16))))", "uuid DEFAULT gen_random_uuid()")),
    Case("default null", *column("text DEFAULT NULL", "text DEFAULT NULL::text")),
    Case("text that is checked to be json", *column("text CHECK (json_valid(c))", "jsonb")),
    Case("length that is checked", *column("varchar(5) CHECK (c IS NULL OR length(c) <= 5)", "varchar(5)")),
    Case(
        "no case",
        *column("text COLLATE NOCASE", "text")[:1],
        ["CREATE DOMAIN citext AS text", "CREATE TABLE t (c citext)"],
    ),
    Case(
        "unique index or constraint", [T, "CREATE UNIQUE INDEX x ON t (b, c)"], [T, "ALTER TABLE t ADD UNIQUE (c, b)"]
    ),
    Case("unique as the primary key", [f"{KEYED[:-1]}, UNIQUE (a))"], [KEYED]),
    Case("the primary key as a unique index", [KEYED], [KEYED, "CREATE UNIQUE INDEX x ON t (a)"]),
    Case(
        "unique where it is not NULL",
        [T, "CREATE UNIQUE INDEX x ON t (b, c)"],
        [T, "CREATE UNIQUE INDEX x ON t (b, c) WHERE c IS NOT NULL"],
    ),
    Case("namespace", [T], ["CREATE SCHEMA app", T.replace("t (", "app.t (")]),
    Case(
        "partitions",
        [T],
        [f"{T} PARTITION BY LIST (a)", "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)"],
    ),
    Case("functions", [T], [T, "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'"]),
    Case("views by name", ["CREATE VIEW v AS SELECT 1 AS one"], ["CREATE MATERIALIZED VIEW v AS SELECT 2 AS two"]),
]
ENUM = "CREATE TYPE mood AS ENUM ('ok', 'sad')"
TOUCH_FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
TOUCH_TRIGGER = "CREATE TRIGGER touch BEFORE INSERT ON t FOR EACH ROW"
FOREIGN_KEYS = (
    "foreign key t_b_fkey on t: FOREIGN KEY (b) REFERENCES t (a) ON DELETE CASCADE on SQLite, "
    "FOREIGN KEY (b) REFERENCES t(a) on PostgreSQL"
)
DIFFERENT_CASES = [
    Case("type", *column("json", "text[]"), ["column t.c: type JSON on SQLite, text[] on PostgreSQL"]),
    Case("unchecked json", *column("text", "json"), ["column t.c: type TEXT on SQLite, json on PostgreSQL"]),
    Case(
        "length",
        *column("varchar(80)", "varchar(100)"),
        ["column t.c: type VARCHAR(80) on SQLite, character varying(100) on PostgreSQL"],
    ),
    Case(
        "scale",
        *column("numeric(8, 2)", "numeric(8, 3)"),
        ["column t.c: type NUMERIC(8, 2) on SQLite, numeric(8,3) on PostgreSQL"],
    ),
    Case(
        "nullability",
        *column("text", "text NOT NULL"),
        ["column t.c: nullability NULL on SQLite, NOT NULL on PostgreSQL"],
    ),
    Case(
        "default",
        *column("text DEFAULT 'a'", "text DEFAULT 'b'"),
        ["column t.c: default 'a' on SQLite, 'b'::text on PostgreSQL"],
    ),
    Case(
        "no default",
        *column("boolean", "boolean DEFAULT false"),
        ["column t.c: default none on SQLite, false on PostgreSQL"],
    ),
    Case(
        "a big key does not number itself",
        *column("bigint NOT NULL PRIMARY KEY", "bigserial PRIMARY KEY"),
        ["column t.c: numbering none on SQLite, by the database on PostgreSQL"],
    ),
    Case(
        "generated",
        *column("integer, d integer AS (c + 1)", "integer, d integer GENERATED ALWAYS AS (c + 2) STORED"),
        ["column t.d: generated as c + 1 on SQLite, (c + 2) on PostgreSQL"],
    ),
    Case(
        "collation",
        *column("text COLLATE NOCASE", "text"),
        ["column t.c: collation NOCASE on SQLite, the usual on PostgreSQL"],
    ),
    Case(
        "unchecked values",
        column("varchar(3)", "")[0],
        [ENUM, *column("", "mood")[1]],
        ["column t.c: values any on SQLite, ok, sad on PostgreSQL"],
    ),
    Case(
        "other values",
        column("varchar(3) CHECK (c IN ('ok', 'bad'))", "")[0],
        [ENUM, *column("", "mood")[1]],
        ["column t.c: values bad, ok on SQLite, ok, sad on PostgreSQL"],
    ),
    Case("column", [T], [T.replace(", c text", "")], ["column t.c: only on SQLite (TEXT, NULL)"]),
    Case("table", [], [T], ["table t: only on PostgreSQL"]),
    Case(
        "kind",
        ["CREATE VIRTUAL TABLE t USING fts5(a, b, c)"],
        [T],
        ["table t: kind virtual table on SQLite, table on PostgreSQL"],
    ),
    Case(
        "primary key",
        [KEYED],
        [T.replace("c text", "PRIMARY KEY (a, b)"), "ALTER TABLE t ALTER b TYPE integer USING 1"],
        [
            "table t: primary key a on SQLite, a, b on PostgreSQL",
            "column t.b: nullability NULL on SQLite, NOT NULL on PostgreSQL",
        ],
    ),
    Case(
        "check without names",
        *column("integer CHECK (c > 0)", "integer CHECK (c > 1)"),
        ["check t_c_check on t: CHECK (c > 0) on SQLite, CHECK (c > 1) on PostgreSQL"],
    ),
    Case("check", *column("integer CHECK (c > 0)", "integer"), ["table t: only on SQLite (CHECK (c > 0))"]),
    Case(
        "a condition that is NULL",
        *column("integer CHECK (c IS NULL OR coalesce(c, 0) = 1)", "integer CONSTRAINT k CHECK (coalesce(c, 0) = 1)"),
        ["check k on t: CHECK (c is null or coalesce(c, 0) = 1) on SQLite, CHECK (COALESCE(c, 0) = 1) on PostgreSQL"],
    ),
    Case(
        "case of letters",
        *column("text CONSTRAINT k CHECK (c LIKE 'a%')", "text CONSTRAINT k CHECK (c LIKE 'a%')"),
        ["check k on t: CHECK (c like 'a%') on SQLite, CHECK (c ~~ 'a%'::text) on PostgreSQL"],
    ),
    Case(
        "action of a foreign key",
        [KEYED.replace("b integer", "b integer REFERENCES t (a) ON DELETE CASCADE")],
        [KEYED.replace("b integer", "b integer REFERENCES t (a)")],
        [FOREIGN_KEYS],
    ),
    Case(
        "unique",
        [T],
        [T, "ALTER TABLE t ADD CONSTRAINT u UNIQUE (b)"],
        ["unique u on t: only on PostgreSQL (UNIQUE (b))"],
    ),
    Case(
        "distinct NULLs",
        [T, "CREATE UNIQUE INDEX u ON t (b)"],
        [T, "CREATE UNIQUE INDEX u ON t (b) NULLS NOT DISTINCT"],
        ["unique u on t: UNIQUE (b) on SQLite, UNIQUE (b) NULLS NOT DISTINCT on PostgreSQL"],
    ),
    Case(
        "unique where another column is not NULL",
        [T, "CREATE UNIQUE INDEX u ON t (b)"],
        [T, "CREATE UNIQUE INDEX u ON t (b) WHERE c IS NOT NULL"],
        ["unique u on t: UNIQUE (b) on SQLite, UNIQUE (b) WHERE c IS NOT NULL on PostgreSQL"],
    ),
    Case(
        "unique with more than the primary key",
        [f"{KEYED[:-1]}, UNIQUE (a, b))"],
        [KEYED],
        ["table t: only on SQLite (UNIQUE (a, b))"],
    ),
    Case(
        "uniqueness of an index",
        [T, "CREATE INDEX i ON t (b)"],
        [T, "CREATE UNIQUE INDEX i ON t (b)"],
        ["unique i on t: (b) on SQLite, UNIQUE (b) on PostgreSQL"],
    ),
    Case(
        "predicate",
        [T, "CREATE INDEX i ON t (b) WHERE a > 0"],
        [T, "CREATE INDEX i ON t (b) WHERE a > 1"],
        ["index i on t: (b) WHERE a > 0 on SQLite, (b) WHERE a > 1 on PostgreSQL"],
    ),
    Case(
        "order",
        [T, "CREATE INDEX i ON t (b)"],
        [T, "CREATE INDEX i ON t (b DESC)"],
        [
            "index i on t: (b) on SQLite, (b DESC) on PostgreSQL",
        ],
    ),
    Case(
        "method",
        [T, "CREATE INDEX i ON t (b)"],
        [T, "CREATE INDEX i ON t USING hash (b)"],
        ["index i on t: (b) on SQLite, USING hash (b) on PostgreSQL"],
    ),
    Case(
        "exclusion",
        [T],
        [T, "ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (int4range(a, a) WITH &&)"],
        ["exclusion e on t: only on PostgreSQL (EXCLUDE USING gist (int4range(a, a) WITH &&))"],
    ),
    Case("view", ["CREATE VIEW v AS SELECT 1 AS one"], [], ["view v: only on SQLite"]),
    Case(
        "trigger",
        [T],
        [T, TOUCH_FUNCTION, f"{TOUCH_TRIGGER} EXECUTE FUNCTION f()"],
        ["trigger touch on t: only on PostgreSQL"],
    ),
]


@pytest.mark.parametrize("case", EQUAL_CASES, ids=lambda case: case.name)
def test_equal_meaning_is_no_difference(compare: Compare, case: Case) -> None:
    assert compare(case.sqlite, case.postgresql) == []


@pytest.mark.parametrize("case", DIFFERENT_CASES, ids=lambda case: case.name)
def test_a_difference_in_meaning_is_reported_in_one_sentence(compare: Compare, case: Case) -> None:
    assert compare(case.sqlite, case.postgresql) == list(case.sentences)


def test_a_long_text_is_truncated(compare: Compare) -> None:
    condition = " AND ".join(f"c <> {number}" for number in range(40))

    (sentence,) = compare(*column("integer", f"integer CONSTRAINT many CHECK ({condition})"))

    assert sentence.startswith("check many on t: only on PostgreSQL (CHECK ((c <> 0) AND")
    assert sentence.endswith("…)")
    assert len(sentence) < 160
