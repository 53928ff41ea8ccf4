"""Random schemas on real databases: one modification gives one change, other spelling gives none."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from dormatory.backends.introspection import read_snapshot
from dormatory.schema.changes import (
    Change,
    ColumnAdded,
    ColumnAltered,
    ColumnRemoved,
    ColumnRenamed,
    ColumnsReordered,
    ObjectAdded,
    ObjectAltered,
    ObjectRemoved,
    PartAdded,
    PartAltered,
    PartRemoved,
    PartRenamed,
    TableRenamed,
)
from dormatory.schema.diff import diff
from tests.schema.inverse import inverse_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.schema.snapshot import Snapshot

TABLES = ("alpha", "Beta two", "order")
COLUMNS = ("a", "b", "Odd name", "key", "select", "e")
TYPES = {"integer": "7", "text": "'Seven'", "numeric(5,2)": "7.5", "varchar(9)": "'x y'"}


@dataclass(frozen=True)
class ColumnSpec:
    name: str
    type: str
    required: bool = False
    default: bool = False
    floor: int | None = None  # CHECK (length of it > floor)


@dataclass(frozen=True)
class TableSpec:
    """A table: a key column `id`, plain columns, and parts that name columns by their place."""

    name: str
    columns: tuple[ColumnSpec, ...]
    unique: int | None = None
    index: int | None = None
    index_is_unique: bool = False
    index_is_partial: bool = False
    index_name: str = "ix"
    link: str | None = None  # ON DELETE action of a foreign key to itself
    view: int | None = None  # a view that reads one column


SchemaSpec = tuple[TableSpec, ...]


@st.composite
def tables(draw: st.DrawFn, name: str) -> TableSpec:
    names = draw(st.lists(st.sampled_from(COLUMNS), min_size=2, max_size=4, unique=True))
    columns = tuple(
        ColumnSpec(
            column,
            draw(st.sampled_from(sorted(TYPES))),
            draw(st.booleans()),
            draw(st.booleans()),
            draw(st.none() | st.integers(0, 3)),
        )
        for column in names
    )
    place = st.none() | st.integers(0, len(columns) - 1)
    return TableSpec(
        name,
        columns,
        unique=draw(place),
        index=draw(place),
        index_is_unique=draw(st.booleans()),
        index_is_partial=draw(st.booleans()),
        link=draw(st.sampled_from([None, "CASCADE", "SET NULL"])),
        view=draw(place),
    )


@st.composite
def schemas(draw: st.DrawFn) -> SchemaSpec:
    names = draw(st.lists(st.sampled_from(TABLES), min_size=1, max_size=2, unique=True))
    return tuple(draw(tables(name)) for name in names)


def quote(name: str) -> str:
    return f'"{name}"'


def statements(schema: SchemaSpec, style: random.Random) -> Iterator[str]:
    """Yield the DDL of a schema, in a random one of the spellings that mean the same."""
    for place, table in enumerate(schema):
        inline = [f"id integer{style.choice([' not null', ''])} constraint pk{place} primary key"]
        apart = [f"constraint fk foreign key (id) references {quote(table.name)} (id) on delete {table.link}"]
        apart *= table.link is not None
        for number, column in enumerate(table.columns):
            words = [quote(column.name), style.choice([column.type, column.type.upper()])]
            words += ["NOT NULL"] * column.required
            words += [f"default {style.choice(['{}', '({})'])}".format(TYPES[column.type])] * column.default
            if column.floor is not None:
                check = f"constraint ck{number} check (length(cast({quote(column.name)} as text))"
                style.choice([words, apart]).append(f"{check}{style.choice(['>', chr(10) + ' > '])}{column.floor})")
            inline.append(" ".join(words))
        if table.unique is not None:
            key = quote(table.columns[table.unique].name)
            apart.append(f"constraint uq{place}{style.choice([' ', chr(10)])}unique({key})")
        style.shuffle(apart)
        comment = style.choice(["", "/* , ) ' */", "-- it's\n"])
        yield f"create table {quote(table.name)} ({comment} {', '.join([*inline, *apart])})"
        if table.index is not None:
            key = quote(table.columns[table.index].name)
            unique, where = "unique" * table.index_is_unique, f"where {key} is  not null" * table.index_is_partial
            direction = style.choice(["", "asc"])
            yield f"create {unique} index {table.index_name}{place} on {quote(table.name)} ({key} {direction}) {where}"
        if table.view is not None:
            key = quote(table.columns[table.view].name)
            yield f"create view view{place} as select  {key} as v from {quote(table.name)}"


def build_snapshot(connection: sa.Connection, schema: SchemaSpec, seed: int) -> Snapshot:
    """Build a schema, return its structure, and remove it again."""
    nested = connection.begin_nested()
    try:
        for statement in statements(schema, random.Random(seed)):  # noqa: S311  # no secret
            connection.exec_driver_sql(statement)
        return read_snapshot(connection)
    finally:
        nested.rollback()


# Each takes a table and returns it with one modification, and the expected change: its class, and where
# there is more to say, its attribute.  None: the table has nothing of the kind.
Mutation = tuple[TableSpec, type[Change], str | None]


def _with_column(table: TableSpec, place: int, **facts: object) -> TableSpec:
    columns = list(table.columns)
    columns[place] = replace(columns[place], **facts)  # type: ignore[arg-type]
    return replace(table, columns=tuple(columns))


def _is_in_parts(table: TableSpec, place: int) -> bool:
    return place in {table.unique, table.index, table.view} or table.columns[place].floor is not None


def add_column(table: TableSpec, _: int) -> Mutation | None:
    return replace(table, columns=(*table.columns, ColumnSpec("new", "text"))), ColumnAdded, None


def remove_column(table: TableSpec, _: int) -> Mutation | None:
    last = len(table.columns) - 1
    if _is_in_parts(table, last):
        return None
    return replace(table, columns=table.columns[:last]), ColumnRemoved, None


def rename_column(table: TableSpec, place: int) -> Mutation | None:
    return _with_column(table, place, name="renamed"), ColumnRenamed, None


def swap_columns(table: TableSpec, _: int) -> Mutation | None:
    if any(_is_in_parts(table, place) for place in (0, 1)):
        return None
    first, second, *rest = table.columns
    return replace(table, columns=(second, first, *rest)), ColumnsReordered, None


def change_type(table: TableSpec, place: int) -> Mutation | None:
    column = table.columns[place]
    if column.default or _is_in_parts(table, place):
        return None
    return _with_column(table, place, type="text" if column.type != "text" else "integer"), ColumnAltered, "type"


def change_nullability(table: TableSpec, place: int) -> Mutation | None:
    return _with_column(table, place, required=not table.columns[place].required), ColumnAltered, "nullable"


def change_default(table: TableSpec, place: int) -> Mutation | None:
    return _with_column(table, place, default=not table.columns[place].default), ColumnAltered, "default"


def change_check(table: TableSpec, place: int) -> Mutation | None:
    floor = table.columns[place].floor
    return None if floor is None else (_with_column(table, place, floor=floor + 1), PartAltered, None)


def drop_check(table: TableSpec, place: int) -> Mutation | None:
    return None if table.columns[place].floor is None else (_with_column(table, place, floor=None), PartRemoved, None)


def toggle_unique(table: TableSpec, place: int) -> Mutation | None:
    if table.unique is None:
        return replace(table, unique=place), PartAdded, None
    return replace(table, unique=None), PartRemoved, None


def move_unique(table: TableSpec, place: int) -> Mutation | None:
    return None if table.unique in {None, place} else (replace(table, unique=place), PartAltered, None)


def toggle_index(table: TableSpec, place: int) -> Mutation | None:
    if table.index is None:
        return replace(table, index=place), PartAdded, None
    return replace(table, index=None), PartRemoved, None


def change_index(table: TableSpec, place: int) -> Mutation | None:
    if table.index is None:
        return None
    if place == table.index:
        return replace(table, index_is_unique=not table.index_is_unique), PartAltered, None
    return replace(table, index_is_partial=not table.index_is_partial), PartAltered, None


def rename_index(table: TableSpec, _: int) -> Mutation | None:
    return None if table.index is None else (replace(table, index_name="xi"), PartRenamed, None)


def change_foreign_key(table: TableSpec, _: int) -> Mutation | None:
    if table.link is None:
        return replace(table, link="CASCADE"), PartAdded, None
    return replace(table, link="CASCADE" if table.link == "SET NULL" else "SET NULL"), PartAltered, None


def change_view(table: TableSpec, place: int) -> Mutation | None:
    if table.view is None:
        return replace(table, view=place), ObjectAdded, None
    if table.view == place:
        return replace(table, view=None), ObjectRemoved, None
    return replace(table, view=place), ObjectAltered, "definition"


def rename_table(table: TableSpec, _: int) -> Mutation | None:
    return replace(table, name="renamed"), TableRenamed, None


MUTATIONS: tuple[Callable[[TableSpec, int], Mutation | None], ...] = (
    add_column,
    remove_column,
    rename_column,
    swap_columns,
    change_type,
    change_nullability,
    change_default,
    change_check,
    drop_check,
    toggle_unique,
    move_unique,
    toggle_index,
    change_index,
    rename_index,
    change_foreign_key,
    change_view,
    rename_table,
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Iterator[sa.Connection]:
    if request.param == "sqlite":
        engine = sa.create_engine("sqlite://", isolation_level="AUTOCOMMIT")
    else:
        server: Server = request.getfixturevalue("postgres_server")
        engine = sa.create_engine(server.create_database().sqlalchemy_url())
    with engine.connect() as connection:
        if request.param == "sqlite":
            connection.exec_driver_sql("begin")
        yield connection
    engine.dispose()


bounded = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
@given(data=st.data())
@bounded
def test_one_change_is_reported_once(
    connection: sa.Connection, mutation: Callable[[TableSpec, int], Mutation | None], data: st.DataObject
) -> None:
    schema = data.draw(schemas())
    which = data.draw(st.integers(0, len(schema) - 1))
    place = data.draw(st.integers(0, len(schema[which].columns) - 1))
    changed = mutation(schema[which], place)
    assume(changed is not None)
    assert changed is not None
    table, kind, attribute = changed

    before = build_snapshot(connection, schema, seed=1)
    after = build_snapshot(connection, (*schema[:which], table, *schema[which + 1 :]), seed=2)
    changes = diff(before, after)

    assert [type(change) for change in changes] == [kind], [str(change) for change in changes]
    assert getattr(changes[0], "attribute", None) == attribute
    assert diff(after, before) == tuple(inverse_changes(changes))


@given(schema=schemas(), seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)))
@bounded
def test_different_spelling_is_no_change(connection: sa.Connection, schema: SchemaSpec, seeds: tuple[int, int]) -> None:
    one, other = (build_snapshot(connection, schema, seed) for seed in seeds)

    assert [str(change) for change in diff(one, other)] == []
    assert one == other


@given(pair=st.tuples(schemas(), schemas()))
@bounded
def test_the_diff_in_reverse_holds_the_inverse_changes(
    connection: sa.Connection, pair: tuple[SchemaSpec, SchemaSpec]
) -> None:
    before, after = (build_snapshot(connection, schema, seed=3) for schema in pair)

    there, back = diff(before, after), diff(after, before)

    assert list(back) == inverse_changes(there)
    assert (there == ()) == (before == after)
