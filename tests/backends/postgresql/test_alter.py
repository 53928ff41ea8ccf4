"""The statements that turn one structure into another lead there, keep the rows, and lead back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.alter import alter_statements
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.schema.alteration import AlterStatement, Conversions
    from dormatory.schema.snapshot import Snapshot

_TREE = "create table tree (id int primary key, k text, n int);"
_ROWS = "insert into tree values (1, 'ash', 4), (2, 'oak', 6);"


@dataclass(frozen=True)
class Case:
    """Two structures, as statements: what both have, and what only one has; rows for the first one."""

    before: str
    after: str
    both: str = _TREE
    rows: str = _ROWS
    kept: str = "select id, k, n from tree order by id"
    up: Conversions = field(default_factory=dict)
    down: Conversions = field(default_factory=dict)


def of(column: str, expression: str, table: str = "tree") -> Conversions:
    return {(("public", table), column): expression}


CASES: dict[str, Case] = {
    "table": Case("", "create table leaf (id int primary key, tree_id int references tree on delete cascade)"),
    "tables that refer to each other": Case(
        "",
        "create table a (id int primary key, b_id int); create table b (id int primary key, a_id int references a);"
        "alter table a add constraint a_b foreign key (b_id) references b deferrable initially deferred",
    ),
    "table that refers to itself": Case("", "create table a (id int primary key, up int references a)"),
    "table in another schema": Case("", "create schema wood; create table wood.a (id int primary key, t int "
        "references tree)"),
    "every property of a new table": Case(
        "",
        'create unlogged table a (id int generated always as identity (start 7 cycle) primary key, b text collate "C"'
        " not null default 'x', c int generated always as (id * 2) stored, d int[] unique nulls not distinct, check "
        "(id > 0),"
        " exclude using btree (id with =)) with (fillfactor = 70);"
        "create index on a (lower(b) desc nulls last) include (id) where id > 3;"
        "alter table a alter b set storage external, alter b set statistics 7;"
        " alter table a enable row level security;"
        "alter table a replica identity full",
    ),
    "column": Case("", "alter table tree add height numeric(5, 2)"),
    "column with a name that needs quotes": Case("", 'alter table tree add "Height in m" int not null default 3'),
    "column that must not be null": Case(
        "alter table tree add height int not null default 0; alter table tree alter height drop default", "",
        rows="insert into tree values (1, 'ash', 4, 40)", down=of("height", "n * 10"),
    ),
    "column that must not be null, filled with a constant": Case(
        "", "alter table tree add height int not null", up=of("height", "7"),
    ),
    "column with a default, filled with an expression": Case(
        "", "alter table tree add height int not null default 3", up=of("height", "n + 1"),
    ),
    "NOT NULL": Case("", "alter table tree alter k set not null"),
    "NOT NULL with values for the rows that have none": Case(
        "", "alter table tree alter k set not null",
        rows="insert into tree values (1, null, 4)", kept="select id, n from tree", up=of("k", "coalesce(k, '?')"),
    ),
    "default": Case("alter table tree alter n set default 3", "alter table tree alter n set default 4"),
    "default removed": Case("alter table tree alter k set default 'x'", ""),
    "type that converts by itself": Case("", "alter table tree alter n type bigint"),
    "type with a cast": Case("", "alter table tree alter n type text"),
    "type with a default that cannot be cast": Case(
        "alter table tree add b boolean default false", "alter table tree add b int default 0 ",
        rows="insert into tree values (1, 'ash', 4, true)", kept="select id, b::int from tree",
    ),
    "type and collation under an index and a CHECK": Case(
        "create index ix on tree (k); alter table tree add check (k <> '')",
        'alter table tree alter k type varchar(9) collate "C"; create index ix on tree (k);'
        "alter table tree add check (k <> '')",
    ),
    "type on both sides of a foreign key": Case(
        "create table leaf (id int primary key, t int references tree)",
        "alter table tree alter id type bigint; create table leaf (id bigint primary key, t bigint references tree)",
        rows=_ROWS + "insert into leaf values (1, 2)", kept="select t from leaf",
    ),
    "type under views": Case(
        "create view v as select id, k from tree; create view w as select k from v; comment on view w is 'w';"
        "create materialized view m as select k from w; create unique index on m (k); grant select on v to public",
        "alter table tree alter k type varchar(9);"
        "create view v as select id, k from tree; create view w as select k from v; comment on view w is 'w';"
        "create materialized view m as select k from w; create unique index on m (k); grant select on v to public",
    ),
    "computed column": Case("", "alter table tree add g int generated always as (n * 2) stored"),
    "computed column changed": Case(
        "alter table tree add g int generated always as (n * 2) stored; create index ix on tree (g);"
        "comment on column tree.g is 'g'",
        "alter table tree add g int generated always as (n * 3) stored; create index ix on tree (g);"
        "comment on column tree.g is 'g'",
    ),
    "computed column under a changed type": Case(
        "alter table tree add g int generated always as (n * 2) stored; create view v as select g from tree",
        "alter table tree alter n type bigint; alter table tree add g int generated always as (n * 2) stored;"
        "create view v as select g from tree",
    ),
    "computed column becomes a plain one": Case(
        "alter table tree add g int generated always as (n * 2) stored", "alter table tree add g int",
        kept="select id, g from tree order by id", rows="insert into tree values (1, 'ash', 4)",
    ),
    "identity": Case("", "alter table tree alter id add generated always as identity"),
    "identity changed": Case(
        "alter table tree alter id add generated always as identity (increment 2 start 50 maxvalue 900)",
        "alter table tree alter id add generated by default as identity (cache 5)", rows="",
    ),
    "serial becomes an identity": Case(
        "create table a (id serial primary key)", "create table a (id int generated by default as identity primary "
        "key)",
        rows="insert into a default values; insert into a default values", kept="select id from a",
    ),
    "serial widened": Case("create table a (id serial primary key)", "create table a (id bigserial primary key)"),
    "sequence": Case("", "create sequence s increment by -3 maxvalue 90 minvalue 5 start 80 cache 4 cycle"),
    "sequence of a column under another name": Case(
        "create sequence s owned by tree.n; alter table tree alter n set default nextval('s')",
        "create sequence r owned by tree.n; alter table tree alter n set default nextval('r')",
    ),
    "sequence changed": Case("create sequence s", "create sequence s increment 5 maxvalue 900 cycle"),
    "primary key": Case("", "alter table tree drop constraint tree_pkey; alter table tree add primary key (k, id)"),
    "primary key under foreign keys": Case(
        "create table leaf (id int primary key, t int references tree)",
        "alter table tree drop constraint tree_pkey; alter table tree add primary key (n);"
        " alter table tree add unique (id);"
        "create table leaf (id int primary key, t int references tree (id))",
        rows=_ROWS + "insert into leaf values (1, 2)",
    ),
    "UNIQUE": Case("", "alter table tree add constraint u unique nulls not distinct (k) include (n) deferrable"),
    "CHECK": Case("alter table tree add constraint c check (n > 0)", "alter table tree add constraint c check (n > "
        "1)"),
    "CHECK not validated": Case("", "alter table tree add constraint c check (n > 90) not valid"),
    "CHECK validated": Case(
        "alter table tree add constraint c check (n > 0) not valid", "alter table tree add constraint c check (n > 0)",
    ),
    "foreign key": Case(
        "create table leaf (id int primary key, t int)",
        "create table leaf (id int primary key, t int references tree on update cascade on delete set null)",
    ),
    "foreign key checked later": Case(
        "create table leaf (id int primary key, t int references tree)",
        "create table leaf (id int primary key, t int references tree deferrable initially deferred)",
    ),
    "EXCLUDE": Case("", "alter table tree add constraint x exclude using gist (int4range(0, n) with &&) where (n > "
        "90)"),
    "constraint renamed": Case(
        "alter table tree add constraint c check (n > 0), add constraint u unique (k)",
        "alter table tree add constraint d check (n > 0), add constraint v unique (k)",
    ),
    "index": Case("", "create unique index ix on tree (k text_pattern_ops desc, lower(k)) include (n) where n > 3"),
    "index changed": Case("create index ix on tree (k)", "create index ix on tree using hash (k)"),
    "index renamed": Case("create index ix on tree (k)", "create index iy on tree (k)"),
    "label added": Case(
        "create type mood as enum ('a', 'b'); alter table tree add m mood default 'a'",
        "create type mood as enum ('z', 'a', 'y', 'b', 'c', 'd'); alter table tree add m mood default 'c'",
        rows="insert into tree values (1, 'ash', 4, 'b')", kept="select m::text from tree",
    ),
    "label added in front of none": Case("create type mood as enum ()", "create type mood as enum ('a', 'b')"),
    "label renamed, under all that can use it": Case(
        "create type mood as enum ('a', 'b'); alter table tree add m mood not null default 'a' check (m <> 'b'), "
        "add l mood[],"
        "add unique (m); create index ix on tree (k) where m = 'a'; create view v as select m from tree where m = 'a'",
        "create type mood as enum ('b', 'c'); alter table tree add m mood not null default 'c' check (m <> 'b'), "
        "add l mood[],"
        "add unique (m); create index ix on tree (k) where m = 'c'; create view v as select m from tree where m = 'c'",
        rows="insert into tree values (1, 'ash', 4, 'a', '{b}')", kept="select replace(m::text, 'a', 'c'), l::text "
        "from tree",
        up=of("m", "case m::text when 'a' then 'c' else m::text end"),
        down=of("m", "case m::text when 'c' then 'a' else m::text end"),
    ),
    "text becomes an enumeration": Case(
        "", "create type sort as enum ('ash', 'oak'); alter table tree alter k type sort using k::sort",
    ),
    "enumeration in another schema": Case("create schema s", "create schema s; create type s.mood as enum ('a');"
        " alter table tree add m s.mood default 'a'"),
    "domain": Case("", "create domain size as int default 3 not null check (value > 0); create table a (s size)"),
    "domain changed": Case(
        "create domain size as int constraint c check (value > 0); alter table tree alter n type size",
        "create domain size as int default 3 constraint c check (value > 1); alter table tree alter n type size",
    ),
    "domain over another type": Case(
        "create domain size as int check (value > 0); alter table tree alter n type size",
        "create domain size as bigint check (value > 0); alter table tree alter n type size",
    ),
    "composite type and range": Case("", "create type c as (a int, b text);"
        " create type r as range (subtype = float8)"),
    "comments": Case(
        "comment on table tree is 'a'; comment on column tree.k is 'k';"
        " comment on constraint tree_pkey on tree is 'p'",
        "comment on table tree is 'b''s'; comment on column tree.n is 'n'; create index ix on tree (k);"
        " comment on index ix is 'i'",
    ),
    "grants": Case(
        "grant select on tree to public; grant update (k) on tree to public",
        "grant select, insert on tree to public; grant update (n) on tree to public",
    ),
    "storage": Case(
        "alter table tree set (fillfactor = 60, toast.autovacuum_enabled = false);"
        " alter table tree alter k set storage plain",
        "alter table tree set (fillfactor = 70); alter table tree alter n set (n_distinct = 5)",
    ),
    "unlogged": Case("", "alter table tree set unlogged"),
    "row security": Case("", "alter table tree enable row level security, force row level security;"
        " create policy p on tree as"
                         " restrictive for update to public using (n > 0) with check (n > 1)"),
    "policy and rule under a changed type": Case(
        "create policy p on tree using (k = 'x'); create rule r as on delete to tree where old.k = 'y' do instead "
        "nothing",
        "alter table tree alter k type varchar(9); create policy p on tree using (k = 'x');"
        "create rule r as on delete to tree where old.k = 'y' do instead nothing",
    ),
    "trigger on a column with a changed type": Case(
        "create trigger g before update of k on tree for each row execute function "
        "suppress_redundant_updates_trigger();"
        "alter table tree disable trigger g; comment on trigger g on tree is 'g'",
        "alter table tree alter k type varchar(9);"
        "create trigger g before update of k on tree for each row execute function "
        "suppress_redundant_updates_trigger();"
        "alter table tree disable trigger g; comment on trigger g on tree is 'g'",
    ),
    "view": Case("create view v as select id from tree", "create view v with (security_barrier) as select k, n from "
        "tree"),
    "partitioned table": Case("", "create table p (id int, d date) partition by range (d); create index on p (id)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(postgres_server: Server) -> Iterator[sa.Engine]:
    url = postgres_server.create_database().sqlalchemy_url()
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()
    postgres_server.drop_database(url.database or "")


def structure(connection: sa.Connection, *scripts: str) -> Snapshot:
    """Create a structure in an empty database, and return it."""
    for name in ("wood", "s", "public"):
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    connection.exec_driver_sql("CREATE SCHEMA public")
    for script in scripts:
        if script:
            connection.exec_driver_sql(script)
    return read_snapshot(connection)


def apply(connection: sa.Connection, statements: Sequence[AlterStatement]) -> None:
    """Execute statements as a revision does: those next to each other that need no autocommit, in one transaction."""
    for is_online, group in groupby(statements, key=lambda it: it.is_online):
        texts = [it.sql for it in group]
        for text in texts if is_online else ["; ".join(texts)]:
            connection.exec_driver_sql(text.replace("%", "%%"))


def without_order(snapshot: Snapshot) -> Snapshot:
    """Return a structure whose tables have their columns by name: PostgreSQL can only append one."""
    by_name = [replace(it, columns=tuple(sorted(it.columns, key=lambda column: column.name))) for it in snapshot.tables]
    return replace(snapshot, tables=tuple(by_name))


@pytest.mark.parametrize("name", CASES)
def test_the_statements_lead_to_the_other_structure_with_all_rows_and_back(engine: sa.Engine, name: str) -> None:
    case = CASES[name]
    with engine.connect() as connection:
        after = structure(connection, case.both, case.after)
        before = structure(connection, case.both, case.before, case.rows)
        rows = connection.exec_driver_sql(case.kept).all()

        apply(connection, alter_statements(before, after, case.up))

        assert diff(without_order(read_snapshot(connection)), without_order(after)) == ()
        assert [tuple(map(str, it)) for it in connection.exec_driver_sql(case.kept)] == [
            tuple(map(str, it)) for it in rows
        ]

        apply(connection, alter_statements(after, before, case.down))

        assert diff(without_order(read_snapshot(connection)), without_order(before)) == ()
        assert connection.exec_driver_sql(case.kept).all() == rows


def test_equal_structures_need_no_statement(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        for case in CASES.values():
            snapshot = structure(connection, case.both, case.after)
            assert alter_statements(snapshot, snapshot) == ()
