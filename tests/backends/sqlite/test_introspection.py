"""What makes two SQLite structures equal, and what makes them differ."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from dormatory.backends.introspection import read_snapshot
from dormatory.schema.diff import diff
from dormatory.schema.snapshot import Column, Constraint, Index, Reference
from tests.schema.inverse import inverse_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.schema.snapshot import Snapshot


def snapshot_of(*statements: str, ignore: tuple[str, ...] = ()) -> Snapshot:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        found = read_snapshot(connection, ignore=ignore)
    engine.dispose()
    return found


PARENT = "create table parent (id integer primary key, code text unique)"

EQUAL_CASES: dict[str, tuple[list[str], list[str]]] = {
    "white space and comments": (
        ["create table t (a int, b text check (b <> ''))"],
        ["create  table t\n(\n\ta int, -- first, (really)\n b text /* ) */ check\n(b\n<>\n''))"],
    ),
    "case of keywords and types": (
        ["create table t (a varchar(3) not null)"],
        ["CREATE TABLE t (a VARCHAR (3) NOT NULL)"],
    ),
    "quotes that are not needed": (
        ["create table t (a int, b int check (a > b))", "create index i on t (a, b)"],
        ['create table [t] ("a" int, `b` int check ("a" > [b]))', "create index 'i' on \"t\" (`a`, [b])"],
    ),
    "quotes that are needed": (
        ['create table "odd t" ("a b" int, "select" text collate nocase)'],
        ["create table [odd t] (`a b` int, [select] text collate NoCase)"],
    ),
    "inline primary key": (["create table t (a text primary key, b)"], ["create table t (a text, b, primary key (a))"]),
    "inline rowid key": (
        ["create table t (id integer primary key)"],
        ["create table t (id integer not null, primary key (id asc))"],
    ),
    "inline AUTOINCREMENT": (
        ["create table t (id integer primary key autoincrement)"],
        ["create table t (id integer, primary key (id autoincrement))"],
    ),
    "inline UNIQUE, CHECK and REFERENCES": (
        [PARENT, "create table t (a int unique check (a > 0) references parent (id) on delete cascade)"],
        [PARENT, "create table t (a int, foreign key (a) references parent on delete cascade, unique (a) check (a>0))"],
    ),
    "inline names": (
        [
            PARENT,
            "create table t (a int constraint u unique constraint c check (a > 0) constraint f references parent)",
        ],
        [
            PARENT,
            (
                "create table t (a int, constraint f foreign key (a) references parent (id),"
                " constraint\nc\ncheck (a > 0),"
                " constraint u unique (a))"
            ),
        ],
    ),
    "what holds anyway": (
        [PARENT, "create table t (a int references parent)"],
        [
            PARENT,
            (
                "create table t (a int null default null collate binary references parent (id) on delete no action"
                " on update no action match simple not deferrable initially deferred)"
            ),
        ],
    ),
    "DEFERRABLE with nothing deferred": (
        [PARENT, "create table t (a int references parent)"],
        [PARENT, "create table t (a int references parent deferrable initially immediate)"],
    ),
    "forms of a default": (
        ["create table t (a int default 1, b text default 'x', c default (1 + 2))"],
        ['create table t (a int default (1), b text default "x", c default ((1+2)))'],
    ),
    "a double-quoted string in an expression": (
        ["create table t (a text check (a <> 'Abc'))"],
        ['create table t (a text check ("a" <> "Abc"))'],
    ),
    "index collation that is the column's": (
        ["create table t (a text collate nocase, b)", "create index i on t (a, b)"],
        ["create table t (a text collate nocase, b)", "create index i on t (a collate nocase asc, b collate binary)"],
    ),
    "parentheses around all": (
        ["create table t (a, check (a > 0))", "create index i on t (lower(a)) where a > 0"],
        ["create table t (a, check ((a > 0)))", "create index i on t ((lower(a))) where (a > 0)"],
    ),
    "ADD COLUMN": (
        ["create table t (a int, b text not null default 'x' check (b <> ''))"],
        ["create table t (a int)", "alter table t add column b text not null default 'x' check (b <> '')"],
    ),
    "ADD COLUMN to a table with constraints": (
        ["create table t (a int, b int, primary key (a))"],
        ["create table t (a int, primary key (a))", "alter table t add b int"],
    ),
    "RENAME COLUMN": (
        ["create table t (a int, c int check (c > 0))", "create index i on t (c) where c > 1"],
        [
            "create table t (a int, b int check (b > 0))",
            "create index i on t (b) where b > 1",
            "alter table t rename b to c",
        ],
    ),
    "RENAME TABLE": (
        ["create table parent2 (id integer primary key)", "create table t (a references parent2)"],
        [
            "create table p (id integer primary key)",
            "create table t (a references p)",
            "alter table p rename to parent2",
        ],
    ),
    "RENAME TABLE with a trigger and a view": (
        [
            "create table u (a int)",
            "create view v as select a from u",
            "create trigger g after insert on u begin update u set a = 1; end",
        ],
        [
            "create table t (a int)",
            "create view v as select a from t",
            "create trigger g after insert on t begin update t set a = 1; end",
            "alter table t rename to u",
        ],
    ),
    "DROP COLUMN": (
        ["create table t (a int, c int)"],
        ["create table t (a int, b int, c int)", "alter table t drop column b"],
    ),
    "order of constraints and statements": (
        ["create table t (a, b, unique (a), check (b > 0))", "create index i on t (a)", "create index h on t (b)"],
        ["create table t (a, b, check (b > 0), unique (a))", "create index h on t (b)", "create index i on t (a)"],
    ),
    "a constraint written twice": (["create table t (a unique)"], ["create table t (a unique, unique (a))"]),
    "IF NOT EXISTS and main.": (
        ["create table t (a)", "create index i on t (a)"],
        ["create table if not exists main.t (a)", "create index if not exists main.i on t (a)"],
    ),
    "WITHOUT ROWID says NOT NULL": (
        ["create table t (a text primary key) without rowid"],
        ["create table t (a text not null primary key) WITHOUT  ROWID"],
    ),
    "statistics and sequences": (
        ["create table t (id integer primary key autoincrement)"],
        ["create table t (id integer primary key autoincrement)", "insert into t values (7)", "analyze"],
    ),
    "temporary objects": (
        ["create table t (a)"],
        ["create table t (a)", "create temp table t (b)", "create temp table u (c)"],
    ),
    "constraints without commas": (
        ["create table t (a, b, check (a > 0), unique (b))"],
        ["create table t (a, b, check (a > 0) unique (b))"],
    ),
    "names that are keywords": (
        ["create table t (key int, action int, check (key > action))"],
        ['create table t ("key" int, [action] int, check ("key" > `action`))'],
    ),
    "a generated column": (
        ["create table t (a int, b int generated always as (a * 2) stored)"],
        ["create table t (a int, b int as (a*2) stored)"],
    ),
}

TABLE = "create table t (id integer primary key, a text, b int)"
DIFFERENT_CASES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "column": ([TABLE], ["create table t (id integer primary key, a text)"], ["column t.b: removed (INT, NULL)"]),
    "type": ([TABLE], ["create table t (id integer primary key, a text, b bigint)"], ["column t.b: type INT → BIGINT"]),
    "nullability": (
        [TABLE],
        ["create table t (id integer primary key, a text not null, b int)"],
        ["column t.a: NULL → NOT NULL"],
    ),
    "default": (
        ["create table object (version int default 1)"],
        ["create table object (version int)"],
        ["column object.version: default 1 → none"],
    ),
    "case in a default": (
        ["create table t (a text default 'X')"],
        ["create table t (a text default 'x')"],
        ["column t.a: default 'X' → 'x'"],
    ),
    "collation": (
        ["create table t (a text)"],
        ["create table t (a text collate nocase)"],
        ["column t.a: collation none → NOCASE"],
    ),
    "NOT NULL ON CONFLICT": (
        ["create table t (a text not null)"],
        ["create table t (a text not null on conflict ignore)"],
        ["column t.a: NOT NULL none → ON CONFLICT IGNORE"],
    ),
    "order": (["create table t (a, b)"], ["create table t (b, a)"], ["table t: order of columns a, b → b, a"]),
    "generated expression": (
        ["create table t (a, b as (a + 1))"],
        ["create table t (a, b as (a + 2))"],
        ["column t.b: generated as a + 1 → a + 2"],
    ),
    "generated storage": (
        ["create table t (a, b as (a + 1))"],
        ["create table t (a, b as (a + 1) stored)"],
        ["column t.b: generated value VIRTUAL → STORED"],
    ),
    "unnamed CHECK": (
        ["create table t (a check (a > 0))"],
        ["create table t (a check (a > 1))"],
        ["constraint CHECK (a > 0) on t: CHECK (a > 0) → CHECK (a > 1)"],
    ),
    "named CHECK": (
        ["create table t (a constraint ck check (a > 0))"],
        ["create table t (a constraint ck check (a > 1))"],
        ["constraint ck on t: CHECK (a > 0) → CHECK (a > 1)"],
    ),
    "case in a CHECK": (
        ["create table t (a constraint ck check (a = 'X'))"],
        ["create table t (a constraint ck check (a = 'x'))"],
        ["constraint ck on t: CHECK (a = 'X') → CHECK (a = 'x')"],
    ),
    "case in a double-quoted string": (
        ['create table t (a constraint ck check (a = "X"))'],
        ['create table t (a constraint ck check (a = "x"))'],
        ["constraint ck on t: CHECK (a = 'X') → CHECK (a = 'x')"],
    ),
    "CHECK gone": (
        ["create table t (a constraint ck check (a > 0))"],
        ["create table t (a)"],
        ["constraint ck on t: removed (CHECK (a > 0))"],
    ),
    "name of a constraint": (
        ["create table t (a unique)"],
        ["create table t (a, constraint u unique (a))"],
        ["constraint UNIQUE (a) on t: name none → u"],
    ),
    "columns of the primary key": (
        ["create table t (a not null, b not null, primary key (a, b))"],
        ["create table t (a not null, b not null, primary key (b, a))"],
        ["constraint PRIMARY KEY (a, b) on t: PRIMARY KEY (a, b) → PRIMARY KEY (b, a)"],
    ),
    "AUTOINCREMENT": (
        ["create table t (id integer primary key)"],
        ["create table t (id integer primary key autoincrement)"],
        ["constraint PRIMARY KEY (id) on t: PRIMARY KEY (id) → PRIMARY KEY (id) AUTOINCREMENT"],
    ),
    "UNIQUE ON CONFLICT": (
        ["create table t (a constraint u unique)"],
        ["create table t (a constraint u unique on conflict replace)"],
        ["constraint u on t: UNIQUE (a) → UNIQUE (a) ON CONFLICT REPLACE"],
    ),
    "the one primary key that is no rowid": (
        ["create table t (id integer not null, constraint k primary key (id desc))"],
        ["create table t (id integer not null constraint k primary key desc)"],
        ["constraint k on t: PRIMARY KEY (id DESC) → PRIMARY KEY (id DESC) not the rowid"],
    ),
    "ON DELETE": (
        [PARENT, "create table t (a constraint f references parent)"],
        [PARENT, "create table t (a constraint f references parent on delete set null)"],
        [
            (
                "constraint f on t: FOREIGN KEY (a) REFERENCES parent (id)"
                " → FOREIGN KEY (a) REFERENCES parent (id) ON DELETE SET NULL"
            )
        ],
    ),
    "DEFERRABLE": (
        [PARENT, "create table t (a constraint f references parent)"],
        [PARENT, "create table t (a constraint f references parent deferrable initially deferred)"],
        ["constraint f on t: … parent (id) → … parent (id) DEFERRABLE INITIALLY DEFERRED"],
    ),
    "index": ([TABLE, "create index i on t (a)"], [TABLE], ["index i on t: removed ((a))"]),
    "index uniqueness": (
        [TABLE, "create index i on t (a)"],
        [TABLE, "create unique index i on t (a)"],
        ["index i on t: (a) → UNIQUE (a)"],
    ),
    "index direction": (
        [TABLE, "create index i on t (a)"],
        [TABLE, "create index i on t (a desc)"],
        ["index i on t: (a) → (a DESC)"],
    ),
    "index collation": (
        [TABLE, "create index i on t (a)"],
        [TABLE, "create index i on t (a collate nocase)"],
        ["index i on t: (a) → (a COLLATE NOCASE)"],
    ),
    "index predicate": (
        [TABLE, "create index i on t (a) where b > 1"],
        [TABLE, "create index i on t (a) where b > 2"],
        ["index i on t: (a) WHERE b > 1 → (a) WHERE b > 2"],
    ),
    "index expression": (
        [TABLE, "create index i on t (lower(a))"],
        [TABLE, "create index i on t (upper(a))"],
        ["index i on t: (lower(a)) → (upper(a))"],
    ),
    "index name": (
        [TABLE, "create index i on t (a)"],
        [TABLE, "create index j on t (a)"],
        ["index i on t: name i → j"],
    ),
    "STRICT": (["create table t (a text)"], ["create table t (a text) strict"], ["table t: options none → STRICT"]),
    "WITHOUT ROWID": (
        ["create table t (a text not null primary key)"],
        ["create table t (a text not null primary key) without rowid"],
        ["table t: options none → WITHOUT ROWID"],
    ),
    "trigger": (
        [TABLE, "create trigger g after insert on t begin select 1; end"],
        [TABLE, "create trigger g after insert on t begin select 2; end"],
        ["trigger g on t: after insert on t begin select 1; end → after insert on t begin select 2; end"],
    ),
    "trigger gone": (
        [TABLE, "create trigger g after insert on t begin select 1; end"],
        [TABLE],
        ["trigger g on t: removed"],
    ),
    "view": (
        [TABLE, "create view v as select a from t"],
        [TABLE, "create view v as select b from t"],
        ["view v: definition as select a from t → as select b from t"],
    ),
    "virtual table": (
        ["create virtual table f using fts5(a)"],
        ["create virtual table f using fts5(a, b)"],
        ["table f: definition using fts5(a) → using fts5(a, b)"],
    ),
    "table": ([TABLE], [TABLE, "create table u (x)"], ["table u: added"]),
}


@pytest.mark.parametrize("case", EQUAL_CASES)
def test_the_same_structure_spelled_differently_is_equal(case: str) -> None:
    one, other = EQUAL_CASES[case]

    changes = diff(snapshot_of(*one), snapshot_of(*other))

    assert [str(change) for change in changes] == []


@pytest.mark.parametrize("case", DIFFERENT_CASES)
def test_a_difference_is_reported_once_and_in_words(case: str) -> None:
    one, other, sentences = DIFFERENT_CASES[case]

    changes = diff(snapshot_of(*one), snapshot_of(*other))

    assert [str(change) for change in changes] == sentences


@pytest.mark.parametrize("case", DIFFERENT_CASES)
def test_the_diff_in_reverse_holds_the_inverse_changes(case: str) -> None:
    one, other, _ = DIFFERENT_CASES[case]
    before, after = snapshot_of(*one), snapshot_of(*other)

    mirrored = inverse_changes(diff(before, after))

    assert list(diff(after, before)) == mirrored


def test_a_table_is_read_into_this_value() -> None:
    found = snapshot_of(
        PARENT,
        """create table child (
            id integer primary key, "Odd Name" varchar(5) collate nocase not null default 'x',
            parent_id int constraint fk references parent on delete cascade, check ("Odd Name" in ('a', 'b')))""",
        "create unique index ix on child (parent_id desc) where \"Odd Name\" <> ''",
    ).table("child")

    assert found.columns == (
        Column("id", "INTEGER", nullable=False),
        Column("Odd Name", "VARCHAR(5)", nullable=False, default="'x'", collation="NOCASE"),
        Column("parent_id", "INT"),
    )
    assert found.constraints == (
        Constraint("CHECK", None, "CHECK (\"odd name\" in ('a', 'b'))", expression="\"odd name\" in ('a', 'b')"),
        Constraint(
            "FOREIGN KEY",
            "fk",
            "FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE",
            ("parent_id",),
            references=Reference(None, "parent", ("id",), on_delete="CASCADE"),
        ),
        Constraint("PRIMARY KEY", None, "PRIMARY KEY (id)", ("id",)),
    )
    assert found.indexes == (
        Index(
            "ix", "UNIQUE (parent_id DESC) WHERE \"odd name\" <> ''", True, ("parent_id DESC",), "\"odd name\" <> ''"
        ),
    )


def test_a_batch_rebuild_without_changes_gives_the_same_snapshot() -> None:
    statements = (
        PARENT,
        (
            "create table t (id integer not null, name varchar(50) default 'x' not null, parent_id integer,"
            " constraint pk primary key (id), constraint ck check (name in ('a', 'b') and\n\tid > 0),"
            " constraint fk foreign key(parent_id) references parent (id) on delete cascade,"
            " constraint uq unique (name))"
        ),
        "create index i on t (name) where id > 5",
    )
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("t", recreate="always"):
            pass
        rebuilt = read_snapshot(connection)
        text = connection.exec_driver_sql("select sql from sqlite_schema where name = 't'").scalar_one()
    engine.dispose()

    assert text != statements[1]
    assert diff(snapshot_of(*statements), rebuilt) == ()


def test_an_ignored_table_is_left_out_with_its_parts() -> None:
    rest = ("create table t (a)",)
    version = (
        "create table alembic_version (n text primary key)",
        "create index v on alembic_version (n)",
        "create trigger g after insert on alembic_version begin select 1; end",
    )

    assert snapshot_of(*rest, *version, ignore=("alembic_version",)) == snapshot_of(*rest)
    assert snapshot_of(*rest, *version, ignore=("main.alembic_version",)) == snapshot_of(*rest)
    assert snapshot_of(*rest, *version) != snapshot_of(*rest)


def test_shadow_tables_belong_to_their_virtual_table() -> None:
    found = snapshot_of("create virtual table f using fts5(a)", "create table f_mine (x)")

    assert [table.name for table in found.tables] == ["f", "f_mine"]


def test_a_view_on_a_missing_table_does_not_stop_the_reading() -> None:
    found = snapshot_of("create table t (a)", "create view v as select * from missing")

    assert [view.name for view in found.views] == ["v"]


def test_an_unreadable_statement_is_compared_as_text_and_reported() -> None:
    def unreadable_table(check: str) -> Snapshot:
        engine = sa.create_engine("sqlite://")
        with engine.connect() as connection:
            connection.exec_driver_sql("create table t (a int)")
            connection.exec_driver_sql("pragma writable_schema = on")
            # Valid for SQLite, which does not parse it again here; not a CREATE TABLE for our parser.
            connection.exec_driver_sql(f"update sqlite_schema set sql = 'create table t (a int check {check})'")
            found = read_snapshot(connection)
        engine.dispose()
        return found

    assert unreadable_table("a > 0") == unreadable_table("a  >  0")
    assert [str(change) for change in diff(unreadable_table("a > 0"), unreadable_table("a > 1"))] == [
        "table t: definition create table t(a int check a > 0) → create table t(a int check a > 1)"
    ]
    assert any("table t" in name for name in unreadable_table("a > 0").not_compared)


def test_reading_changes_nothing() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("create table t (a)")
        with closing(sqlite3.connect(":memory:")) as copy:
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, sqlite3.Connection)
            before = raw.total_changes
            read_snapshot(connection)
            raw.backup(copy)

            assert raw.total_changes == before
            assert copy.execute("select count(*) from sqlite_schema").fetchone() == (1,)
    engine.dispose()


def test_the_number_of_statements_does_not_grow_with_the_tables() -> None:
    def count_statements(tables: int) -> int:
        engine = sa.create_engine("sqlite://")
        seen: list[str] = []
        note: Callable[..., None] = lambda *event: seen.append(event[2])  # noqa: E731  # the third argument is the SQL
        with engine.connect() as connection:
            for number in range(tables):
                connection.exec_driver_sql(f"create table t{number} (a unique, b references t0)")
            sa.event.listen(engine, "before_cursor_execute", note)
            read_snapshot(connection)
        engine.dispose()
        return len(seen)

    assert count_statements(1) == count_statements(30) <= 3
