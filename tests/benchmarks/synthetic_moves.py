"""What the revisions of a synthetic history do to existing tables: renames, drops, moved or changed rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.synthetic_tables import BOOLEAN, INTEGER, SHORT_TEXT, TEXT, Column, Reference, Table
from tests.benchmarks.synthetic_world import (
    Change,
    SyntheticSchema,
    add_column_lines,
    batch_lines,
    core_table_line,
    drop_column_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def rename_column(schema: SyntheticSchema) -> Change | None:
    """Give a column a better name."""
    table = schema.random_table()
    columns = [column for column in table.unreferenced_columns() if not column.is_enum] if table else []
    if table is None or not columns:
        return None
    column = schema.rng.choice(columns)
    old, new = column.name, schema.new_column_name(table)
    column.name = new
    return Change(
        f"call {old} of {table.name} {new}",
        [f'op.alter_column("{table.name}", "{old}", new_column_name="{new}")'],
        [f'op.alter_column("{table.name}", "{new}", new_column_name="{old}")'],
    )


def rename_table(schema: SyntheticSchema) -> Change | None:
    """Give a table a better name; its constraints keep theirs."""
    table = schema.random_table()
    if table is None:
        return None
    old, table.name = table.name, schema.new_table_name()
    return Change(
        f"call {old} {table.name}",
        [f'op.rename_table("{old}", "{table.name}")'],
        [f'op.rename_table("{table.name}", "{old}")'],
    )


def drop_column(schema: SyntheticSchema) -> Change | None:
    """Drop a column that is not used any more."""
    found = [
        it
        for it in schema.tables
        if it.last_column in it.unreferenced_columns() and it.last_column.nullable and len(it.columns) > 3
    ]
    if not found:
        return None
    table = schema.rng.choice(found)
    column = table.columns.pop()
    return Change(
        f"drop {column.name} of {table.name}",
        drop_column_lines(table, column),
        add_column_lines(table, column),
    )


def drop_table(schema: SyntheticSchema) -> Change | None:
    """Drop a table that no other one needs."""
    needed = {id(reference.table) for table in schema.tables for reference in table.references}
    found = [table for table in schema.tables if id(table) not in needed]
    if not found:
        return None
    table = schema.rng.choice(found)
    schema.tables.remove(table)
    return Change(f"drop {table.name}", table.drop_lines(), table.create_lines())


def change_default(schema: SyntheticSchema) -> Change | None:
    """Let new rows start with another value."""
    found = [(it, column) for it in schema.tables for column in it.columns if column.default == 'sa.text("0")']
    if not found:
        return None
    table, column = schema.rng.choice(found)
    change = f'batch.alter_column("{column.name}", existing_type={INTEGER}, server_default='
    column.default = 'sa.text("10")'
    return Change(
        f"let {column.name} of {table.name} start with ten",
        batch_lines(table, f'{change}sa.text("10"))'),
        batch_lines(table, f'{change}sa.text("0"))'),
    )


def invert_flag(schema: SyntheticSchema) -> Change | None:
    """Turn the meaning of a flag around, in all the rows."""
    found = [(it, column) for it in schema.tables for column in it.columns if column.type == BOOLEAN]
    if not found:
        return None
    table, column = schema.rng.choice(found)
    line = f'op.execute("UPDATE {table.name} SET {column.name} = NOT {column.name}")'
    return Change(f"turn {column.name} of {table.name} around", [line], [line])


def prefix_text(schema: SyntheticSchema) -> Change | None:
    """Mark all values of a text with where they come from."""
    found = [(it, column) for it in schema.tables for column in it.unreferenced_columns() if column.type == TEXT]
    if not found:
        return None
    table, column = schema.rng.choice(found)
    update = f'op.execute("UPDATE {table.name} SET {column.name} ='
    return Change(
        f"mark {column.name} of {table.name}",
        [f"{update} 'old:' || {column.name}\")"],
        [f'{update} substr({column.name}, 5)")'],
    )


def copy_from_parent(schema: SyntheticSchema) -> Change | None:
    """Keep a copy of the parent's name, filled for the rows that are there."""
    found = [
        (table, reference)
        for table in schema.tables
        for reference in table.references
        if reference.table is not table and any(column.name == "name" for column in reference.table.columns)
    ]
    if not found:
        return None
    table, reference = schema.rng.choice(found)
    parent, column = reference.table, Column(schema.new_column_name(table), SHORT_TEXT)
    table.columns.append(column)
    inner = (
        f"sa.select({parent.name}.c.name).where({parent.name}.c.{parent.key[0]} == {table.name}.c.{reference.column})"
    )
    return Change(
        f"keep the name of the {parent.name} with {table.name}",
        [
            *add_column_lines(table, column),
            core_table_line(parent, parent.key[0], "name"),
            core_table_line(table, reference.column, column.name),
            f"name = {inner}.scalar_subquery()",
            f"op.execute({table.name}.update().values({column.name}=name))",
        ],
        drop_column_lines(table, column),
    )


def compute_in_python(schema: SyntheticSchema) -> Change | None:
    """Compute a column in Python, row by row, as projects do where SQL cannot."""
    table = schema.random_table(key=INTEGER)
    if table is None or not any(column.name == "name" for column in table.columns):
        return None
    column = Column(schema.new_column_name(table), TEXT)
    table.columns.append(column)
    row = f"{table.name}.update().where({table.name}.c.id == number)"
    return Change(
        f"spell the name of {table.name} in small letters",
        [
            *add_column_lines(table, column),
            core_table_line(table, "id", "name", column.name),
            "connection = op.get_bind()",
            f"for number, name in connection.execute(sa.select({table.name}.c.id, {table.name}.c.name)).all():",
            f'    connection.execute({row}.values({column.name}=name.lower().replace(" ", "-")))',
        ],
        drop_column_lines(table, column),
    )


def split_table(schema: SyntheticSchema) -> Change | None:
    """Move a text that few rows have into a table of its own."""
    found = [
        table
        for table in schema.tables
        if len(table.key) == 1
        and table.last_column.type == TEXT
        and table.last_column.nullable
        and table.last_column in table.unreferenced_columns()
    ]
    if not found:
        return None
    table, name = schema.rng.choice(found), schema.new_table_name()
    column, key = table.columns.pop(), table.key[0]
    owner = Column(f"{table.name}_{key}", table.column(key).type, nullable=False)
    part = Table(name, [owner, Column(column.name, TEXT, nullable=False)], key=(owner.name,))
    part.references.append(Reference(f"fk_{name}_{table.name}", owner.name, table, "CASCADE"))
    schema.add(part, table.area)
    target = f"INSERT INTO {name} ({owner.name}, {column.name})"
    given = f"SELECT {column.name} FROM {name} WHERE {name}.{owner.name} = {table.name}.{key}"
    return Change(
        f"move {column.name} of {table.name} to {name}",
        [
            *part.create_lines(),
            f'op.execute("{target} SELECT {key}, {column.name} FROM {table.name} WHERE {column.name} IS NOT NULL")',
            *drop_column_lines(table, column),
        ],
        [
            *add_column_lines(table, column),
            f'op.execute("UPDATE {table.name} SET {column.name} = ({given})")',
            *part.drop_lines(),
        ],
    )


MOVES: tuple[tuple[int, Callable[[SyntheticSchema], Change | None]], ...] = (
    (4, rename_column),
    (2, rename_table),
    (4, drop_column),
    (2, drop_table),
    (2, change_default),
    (2, invert_flag),
    (2, prefix_text),
    (2, copy_from_parent),
    (2, compute_in_python),
    (2, split_table),
)
