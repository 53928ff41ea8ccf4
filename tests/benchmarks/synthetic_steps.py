"""What the revisions of a synthetic history do: each kind of change that projects make, with a correct downgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.synthetic_tables import (
    BIG_INTEGER,
    INTEGER,
    SHORT_TEXT,
    TEXT,
    UUID,
    Column,
    Index,
    Reference,
    Table,
    create_type_lines,
    drop_type_line,
    enum_source,
)
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

_WORDS = ("open", "waiting", "accepted", "refused", "closed")


def create_table(schema: SyntheticSchema) -> Change:
    """Create a table with keys to others, constraints, indexes and sometimes an enum."""
    rng, name = schema.rng, schema.new_table_name()
    table = Table(name, [Column("id", rng.choice((INTEGER,) * 7 + (BIG_INTEGER, UUID)), nullable=False)])
    parents = schema.parent_candidates(schema.area)
    for parent in rng.sample(parents, min(len(parents), rng.choice((0, 1, 1, 2)))):
        _add_foreign_key(schema, table, parent)
    table.columns.append(Column("name", SHORT_TEXT, nullable=False))
    if rng.random() < 0.6:
        now = Column("created_at", "sa.DateTime(timezone=True)", nullable=False, default="sa.func.now()")
        table.columns.append(now)
    if rng.random() < 0.25:
        table.columns.append(Column("state", enum_source(f"{name}_state", _WORDS[: rng.randint(2, 5)]), nullable=False))
    for _ in range(rng.randint(1, 6)):
        table.columns.append(schema.new_column(table))
    if rng.random() < 0.4:
        table.uniques[f"uq_{name}_name"] = ("name",)
    if rng.random() < 0.3:
        table.columns.append(Column("rank", INTEGER, nullable=False, default='sa.text("1")'))
        table.checks[f"ck_{name}_rank"] = ("rank", "rank >= 0")
    if rng.random() < 0.15:
        table.columns.append(Column("parent_id", table.column("id").type))
        table.references.append(Reference(f"fk_{name}_parent", "parent_id", table))
    schema.add(table)
    return Change(f"create {name}", table.create_lines(), table.drop_lines())


def _add_foreign_key(schema: SyntheticSchema, table: Table, parent: Table) -> Column:
    """Give a new table a column with a key to another one, and an index."""
    rng, short = schema.rng, f"{parent.name}_id"
    kind = parent.column(parent.key[0]).type
    rule = rng.choice(("", "", "CASCADE", "SET NULL"))
    column = Column(short, kind, nullable=rule == "SET NULL" or rng.random() < 0.4)
    table.columns.append(column)
    table.references.append(Reference(f"fk_{table.name}_{parent.name}", short, parent, rule))
    if rng.random() < 0.7:
        table.indexes.append(Index(f"ix_{table.name}_{short}", (short,)))
    return column


def create_link_table(schema: SyntheticSchema) -> Change | None:
    """Create a table that links two others, its key made of both."""
    parents = schema.parent_candidates(schema.area)
    if len(parents) < 2:
        return None
    name, pair = schema.new_table_name(), schema.rng.sample(parents, 2)
    columns = [Column(f"{it.name}_id", it.column(it.key[0]).type, nullable=False) for it in pair]
    table = Table(name, columns, key=(columns[0].name, columns[1].name))
    table.references = [
        Reference(f"fk_{name}_{it.name}", column.name, it, "CASCADE") for it, column in zip(pair, columns, strict=True)
    ]
    table.indexes.append(Index(f"ix_{name}_{columns[1].name}", (columns[1].name,)))
    schema.add(table)
    return Change(f"link {pair[0].name} and {pair[1].name}", table.create_lines(), table.drop_lines())


def create_lookup_table(schema: SyntheticSchema) -> Change:
    """Create a small table with the rows that belong to it."""
    name = schema.new_table_name()
    table = Table(name, [Column("code", "sa.String(length=20)", nullable=False), Column("title", TEXT)], key=("code",))
    schema.add(table)
    rows = ", ".join(f'{{"code": "{word}", "title": "{word.title()}"}}' for word in _WORDS)
    lines = [f"{name} = {table.create_lines()[0]}", *table.create_lines()[1:], f"op.bulk_insert({name}, [{rows}])"]
    return Change(f"create {name} with its rows", lines, table.drop_lines())


def add_columns(schema: SyntheticSchema) -> Change | None:
    """Add one to three columns."""
    table = schema.random_table()
    if table is None:
        return None
    columns = []
    for _ in range(schema.rng.randint(1, 3)):
        columns.append(schema.new_column(table))
        table.columns.append(columns[-1])
    return Change(
        f"add {columns[0].name} to {table.name}", add_column_lines(table, *columns), drop_column_lines(table, *columns)
    )


def add_required_column(schema: SyntheticSchema) -> Change | None:
    """Add a column, fill it for the rows that are there, and require it."""
    table = schema.random_table()
    if table is None:
        return None
    column = Column(schema.new_column_name(table), SHORT_TEXT, nullable=False)
    table.columns.append(column)
    name = column.name
    return Change(
        f"require {name} of {table.name}",
        [
            *add_column_lines(table, column, nullable=True),
            core_table_line(table, name),
            f'op.execute({table.name}.update().values({name}="unknown"))',
            *batch_lines(table, f'batch.alter_column("{name}", existing_type={SHORT_TEXT}, nullable=False)'),
        ],
        drop_column_lines(table, column),
    )


def add_foreign_key_column(schema: SyntheticSchema) -> Change | None:
    """Add a foreign key in a column of its own, with its index."""
    table = schema.random_table()
    if table is None:
        return None
    parent = schema.rng.choice(schema.parent_candidates(table.area))
    if any(f"{parent.name}_id" in it.name for it in table.columns):
        return None
    name = f"{parent.name}_id"
    column = Column(name, parent.column(parent.key[0]).type)
    reference = Reference(f"fk_{table.name}_{parent.name}", name, parent, schema.rng.choice(("", "SET NULL")))
    if any(it.name == reference.name for it in table.references):
        return None
    index = Index(f"ix_{table.name}_{name}", (name,))
    up = batch_lines(table, f"batch.add_column({column.source()})", reference.batch_source())
    down = batch_lines(
        table, f'batch.drop_constraint("{reference.name}", type_="foreignkey")', f'batch.drop_column("{name}")'
    )
    table.columns.append(column)
    table.references.append(reference)
    table.indexes.append(index)
    return Change(
        f"let {table.name} name its {parent.name}",
        [*up, index.source(table.name)],
        [f'op.drop_index("{index.name}", table_name="{table.name}")', *down],
    )


def create_index(schema: SyntheticSchema) -> Change | None:
    """Create an index on one or two columns, sometimes on a part of the rows only."""
    table = schema.random_table()
    kinds = {SHORT_TEXT, INTEGER, BIG_INTEGER, "sa.Date()", "sa.DateTime()"}
    columns = [column.name for column in table.unreferenced_columns() if column.type in kinds] if table else []
    if table is None or not columns:
        return None
    chosen = tuple(schema.rng.sample(columns, min(len(columns), schema.rng.choice((1, 1, 2)))))
    where = f"{chosen[0]} IS NOT NULL" if schema.rng.random() < 0.2 else ""
    index = Index(f"ix_{table.name}_{chosen[0]}", chosen, where)
    if any(it.name == index.name for it in table.indexes):
        return None
    table.indexes.append(index)
    down = [f'op.drop_index("{index.name}", table_name="{table.name}")']
    return Change(f"index {chosen[0]} of {table.name}", [index.source(table.name)], down)


def drop_index(schema: SyntheticSchema) -> Change | None:
    """Drop an index that nobody needs."""
    found = [(table, index) for table in schema.tables for index in table.indexes if not index.name.endswith("_id")]
    if not found:
        return None
    table, index = schema.rng.choice(found)
    table.indexes.remove(index)
    up = [f'op.drop_index("{index.name}", table_name="{table.name}")']
    return Change(f"drop {index.name}", up, [index.source(table.name)])


def number_rows(schema: SyntheticSchema) -> Change | None:
    """Give each row a number and forbid that two have the same."""
    table = schema.random_table(key=INTEGER)
    if table is None or any("serial" in column.name for column in table.columns):
        return None
    column, unique = Column("serial_number", INTEGER), f"uq_{table.name}_serial"
    table.columns.append(column)
    table.uniques[unique] = (column.name,)
    return Change(
        f"number the rows of {table.name}",
        [
            *batch_lines(table, f"batch.add_column({column.source()})"),
            f'op.execute("UPDATE {table.name} SET serial_number = {table.key[0]}")',
            *batch_lines(table, f'batch.create_unique_constraint("{unique}", ["serial_number"])'),
        ],
        batch_lines(table, f'batch.drop_constraint("{unique}", type_="unique")', 'batch.drop_column("serial_number")'),
    )


def add_column_with_check(schema: SyntheticSchema) -> Change | None:
    """Add a column and a condition on it."""
    table = schema.random_table()
    if table is None:
        return None
    column = Column(schema.new_column_name(table), INTEGER, nullable=False, default='sa.text("1")')
    check, condition = f"ck_{table.name}_{column.name}", f"{column.name} > 0"
    table.columns.append(column)
    table.checks[check] = (column.name, condition)
    return Change(
        f"count {column.name} of {table.name}",
        batch_lines(
            table, f"batch.add_column({column.source()})", f'batch.create_check_constraint("{check}", "{condition}")'
        ),
        batch_lines(table, f'batch.drop_constraint("{check}", type_="check")', f'batch.drop_column("{column.name}")'),
    )


def add_enum_column(schema: SyntheticSchema) -> Change | None:
    """Add a column of an enum type of its own."""
    table = schema.random_table()
    if table is None or any(column.name == "state" for column in table.columns):
        return None
    column = Column("state", enum_source(f"{table.name}_state", _WORDS), nullable=False, default='"open"')
    table.columns.append(column)
    return Change(
        f"let {table.name} have a state",
        [*create_type_lines(column), *add_column_lines(table, column)],
        [*drop_column_lines(table, column), drop_type_line(column)],
    )


# The mix is the same from the first revision to the last, about two live tables to ten revisions: what grows is then
# the history, not the work in it.
STRUCTURE: tuple[tuple[int, Callable[[SyntheticSchema], Change | None]], ...] = (
    (14, create_table),
    (3, create_link_table),
    (2, create_lookup_table),
    (17, add_columns),
    (6, add_required_column),
    (6, add_foreign_key_column),
    (9, create_index),
    (3, drop_index),
    (3, number_rows),
    (4, add_column_with_check),
    (3, add_enum_column),
)
