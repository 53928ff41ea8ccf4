"""Rules about types of new columns that are regretted later: each is one note for the whole history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import full_name, schema_at_head
from dormatory.checks.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Upgrade
    from dormatory.schema.snapshot import Column, Table

JSON_COLUMN = Rule(
    "json-column",
    "locks",
    Severity.NOTE,
    meaning="a new column is json, not jsonb",
    why="""json has no equality: SELECT DISTINCT, GROUP BY and UNION fail on it. It cannot be indexed by its contents,
    and is parsed again each time it is read.""",
    recipe='sa.JSON().with_variant(postgresql.JSONB(), "postgresql")',
)

INTEGER_KEY = Rule(
    "integer-key",
    "locks",
    Severity.NOTE,
    meaning="the key of a new table is integer, not bigint",
    why="It ends at 2147483647, and to widen it rewrites the table and all that refer to it.",
    recipe='sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)',
)


@dataclass(frozen=True, slots=True)
class _NewColumn:
    """A column that an upgrade adds, with its table."""

    upgrade: Upgrade
    table: Table
    column: Column

    def __str__(self) -> str:
        """Return the table and the column."""
        return f"{full_name(self.table)}.{self.column.name}"


def regretted_types(upgrades: Sequence[Upgrade]) -> Iterator[Finding]:
    """Report new columns of json, and new keys that are counters of type integer, that are so at the head, too."""
    head = schema_at_head(upgrades)
    types_at_head = {(t.id, column.name): column.type for t in (head.tables if head else ()) for column in t.columns}
    new = [it for it in _new_columns(upgrades) if types_at_head.get((it.table.id, it.column.name)) == it.column.type]
    json = [it for it in new if it.column.type in {"json", "json[]"}]
    yield from _one_note_on_columns(JSON_COLUMN, json, "json, not jsonb", JSON_COLUMN.recipe)
    keys = [it for it in new if it.column.type in {"integer", "smallint"} and _is_counted_key(it)]
    yield from _one_note_on_columns(INTEGER_KEY, keys, "a counter that ends early", "sa.BigInteger()")


def _new_columns(upgrades: Sequence[Upgrade]) -> Iterator[_NewColumn]:
    for upgrade in upgrades:
        before = {(table.id, column.name) for table in upgrade.step.before.tables for column in table.columns}
        for table in upgrade.tables_after:
            for column in table.columns:
                if (table.id, column.name) not in before:
                    yield _NewColumn(upgrade, table, column)


def _is_counted_key(new: _NewColumn) -> bool:
    """Return whether a column is the whole key of its table, and the database counts it."""
    is_counted = new.column.identity is not None or "nextval" in (new.column.default or "")
    return is_counted and new.table.primary_key == (new.column.name,)


def _one_note_on_columns(rule: Rule, found: Sequence[_NewColumn], what: str, type_text: str) -> Iterator[Finding]:
    """Yield one note for all columns, at the statement of the first."""
    for first in found[:1]:
        executed = first.upgrade.ddl_naming(first.table.name, first.column.name)
        if executed is not None:
            message = f"{', '.join(map(str, found))}: {what} (type {first.column.type})"
            yield first.upgrade.finding(rule, executed, message, f"its type: {type_text}", str(first))
