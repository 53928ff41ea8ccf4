"""The tables of a synthetic history: what each holds at one moment, as the source code of a revision or of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INTEGER, BIG_INTEGER, UUID = "sa.Integer()", "sa.BigInteger()", "sa.Uuid()"
BOOLEAN, TEXT, SHORT_TEXT = "sa.Boolean()", "sa.Text()", "sa.String(length=80)"


@dataclass(slots=True)
class Column:
    """A column; `type` and `default` are source code."""

    name: str
    type: str
    nullable: bool = True
    default: str = ""

    def source(self, *, nullable: bool | None = None) -> str:
        """Return the column as a call, if asked for with another nullability than its own."""
        required = "" if (self.nullable if nullable is None else nullable) else ", nullable=False"
        default = f", server_default={self.default}" if self.default else ""
        return f'sa.Column("{self.name}", {self.type}{required}{default})'

    @property
    def is_enum(self) -> bool:
        """Whether its type is one that PostgreSQL keeps by name."""
        return self.type.startswith("sa.Enum(")

    @property
    def enum_name(self) -> str:
        """The name of that type."""
        return self.type.split('name="')[1].split('"')[0]


@dataclass(slots=True)
class Reference:
    """A foreign key of one column."""

    name: str
    column: str
    table: Table
    on_delete: str = ""

    def source(self) -> str:
        """Return the constraint as a part of a table."""
        rule = f', ondelete="{self.on_delete}"' if self.on_delete else ""
        target = f"{self.table.name}.{self.table.key[0]}"
        return f'sa.ForeignKeyConstraint(["{self.column}"], ["{target}"], name="{self.name}"{rule})'

    def batch_source(self) -> str:
        """Return the constraint as it is added to a table that exists."""
        rule = f', ondelete="{self.on_delete}"' if self.on_delete else ""
        target = f'"{self.table.name}", ["{self.column}"], ["{self.table.key[0]}"]'
        return f'batch.create_foreign_key("{self.name}", {target}{rule})'


@dataclass(slots=True)
class Index:
    """An index that forbids nothing; `where` is SQL."""

    name: str
    columns: tuple[str, ...]
    where: str = ""

    def source(self, table: str | None) -> str:
        """Return the call that creates it, or for no table the part of a model."""
        columns = ", ".join(f'"{name}"' for name in self.columns)
        where = f'sa.text("{self.where}")'
        partial = f", postgresql_where={where}, sqlite_where={where}" if self.where else ""
        if table is None:
            return f'sa.Index("{self.name}", {columns}{partial})'
        return f'op.create_index("{self.name}", "{table}", [{columns}]{partial})'


@dataclass(slots=True, eq=False)
class Table:
    """A table at one moment of the history; its constraints keep their names when it is renamed."""

    name: str
    columns: list[Column]
    key: tuple[str, ...] = ("id",)
    references: list[Reference] = field(default_factory=list)
    uniques: dict[str, tuple[str, ...]] = field(default_factory=dict)
    checks: dict[str, tuple[str, str]] = field(default_factory=dict)  # name: the column, and SQL
    indexes: list[Index] = field(default_factory=list)
    key_name: str = ""
    area: int = 0

    def __post_init__(self) -> None:
        """Name the key after the table that it was made with."""
        self.key_name = self.key_name or f"pk_{self.name}"

    @property
    def last_column(self) -> Column:
        """The only column that can be dropped and comes back where it was."""
        return self.columns[-1]

    def column(self, name: str) -> Column:
        """Return a column by its name."""
        return next(column for column in self.columns if column.name == name)

    def unreferenced_columns(self) -> list[Column]:
        """Return the columns that no key, constraint or index names."""
        named = {*self.key, *(it.column for it in self.references), *(column for column, _ in self.checks.values())}
        named |= {name for columns in self.uniques.values() for name in columns}
        named |= {name for index in self.indexes for name in (*index.columns, *index.where.split()[:1])}
        return [column for column in self.columns if column.name not in named]

    def arguments(self) -> Iterator[str]:
        """Yield the arguments behind the name: what a revision and a model have in common."""
        yield from (column.source() for column in self.columns)
        yield from (reference.source() for reference in self.references)
        keys = ", ".join(f'"{name}"' for name in self.key)
        yield f'sa.PrimaryKeyConstraint({keys}, name="{self.key_name}")'
        for name, columns in self.uniques.items():
            listed = ", ".join(f'"{column}"' for column in columns)
            yield f'sa.UniqueConstraint({listed}, name="{name}")'
        yield from (f'sa.CheckConstraint("{sql}", name="{name}")' for name, (_, sql) in self.checks.items())

    def create_lines(self) -> list[str]:
        """Return the lines that create the table with its types and indexes."""
        lines = [line for column in self.columns if column.is_enum for line in create_type_lines(column)]
        lines += [f'op.create_table("{self.name}",', *(f"    {part}," for part in self.arguments()), ")"]
        return lines + [index.source(self.name) for index in self.indexes]

    def drop_lines(self) -> list[str]:
        """Return the lines that drop the table with its types and indexes."""
        lines = [f'op.drop_index("{index.name}", table_name="{self.name}")' for index in reversed(self.indexes)]
        lines.append(f'op.drop_table("{self.name}")')
        return lines + [drop_type_line(column) for column in self.columns if column.is_enum]

    def model_source(self) -> str:
        """Return the table as models.py holds it."""
        parts = [*self.arguments(), *(index.source(None) for index in self.indexes)]
        return "\n".join([f'sa.Table("{self.name}", metadata,', *(f"    {part}," for part in parts), ")", ""])


def create_type_lines(column: Column) -> list[str]:
    """Return the line that makes an enum type where the database has such types."""
    return [f"{_without_variant(column)}.create(op.get_bind(), checkfirst=True)"]


def drop_type_line(column: Column) -> str:
    """Return the line that removes it."""
    return f"{_without_variant(column)}.drop(op.get_bind(), checkfirst=True)"


def enum_source(name: str, words: tuple[str, ...]) -> str:
    """Return the source of an enum that the revision itself creates: create_table would create it once more."""
    listed = ", ".join(f'"{word}"' for word in words)
    variant = f'postgresql.ENUM({listed}, name="{name}", create_type=False)'
    return f'sa.Enum({listed}, name="{name}").with_variant({variant}, "postgresql")'


def _without_variant(column: Column) -> str:
    return column.type.partition(".with_variant(")[0]
