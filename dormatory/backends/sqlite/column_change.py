"""Which changes of a table SQLite makes without a rebuild: https://sqlite.org/lang_altertable.html."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.definitions import add_column, is_constant
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.sql.lexer import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.schema.snapshot import Column, Constraint, Table

_quote = DIALECT.quote_identifier


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """Columns that are dropped from a table, and columns that are added at its end with their constraints."""

    dropped: tuple[Column, ...] = ()
    added: tuple[tuple[Column, tuple[Constraint, ...]], ...] = ()

    def statements(self, table: Table) -> Iterator[str]:
        """Yield the statements; `table` is the new structure. A table is never without a column."""
        for column, constraints in self.added:
            yield add_column(table, column, constraints)
        for column in self.dropped:
            yield f"ALTER TABLE {_quote(table.name)} DROP COLUMN {_quote(column.name)}"


def without_parts(table: Table) -> Table:
    """Return a table without its indexes and triggers, which are changed on their own."""
    return replace(table, indexes=(), triggers=())


def find_column_change(before: Table, after: Table) -> ColumnChange | None:
    """Return the columns to drop and to add that make exactly one table of the other, None if there is no such way."""
    kept = set(before.columns) & set(after.columns)
    dropped = tuple(column for column in before.columns if column not in kept)
    added = tuple(column for column in after.columns if column not in kept)
    columns = (*(column for column in before.columns if column in kept), *added)
    new = [it for it in after.constraints if it not in before.constraints]
    owners = {it: _owner(it, added) for it in new}
    with_constraints = tuple((column, tuple(it for it in new if owners[it] == column.name)) for column in added)
    is_possible = (
        without_parts(replace(after, columns=before.columns, constraints=before.constraints)) == without_parts(before)
        and set(before.constraints) <= set(after.constraints)
        and columns == after.columns
        and all(owners.values())
        and all(_can_be_added(column, constraints) for column, constraints in with_constraints)
        and _can_be_dropped(dropped, after)
    )
    return ColumnChange(dropped, with_constraints) if is_possible else None


def _owner(constraint: Constraint, added: tuple[Column, ...]) -> str | None:
    """Return the new column at which a new constraint can stand, None if there is none."""
    names = [column.name for column in added]
    if constraint.kind == "FOREIGN KEY":
        return constraint.columns[0] if len(constraint.columns) == 1 and constraint.columns[0] in names else None
    words = {token.text.lower() for token in tokenize(constraint.expression or "", DIALECT)}
    # The last of them: a column can be mentioned only after it was added.
    return next((name for name in reversed(names) if name.lower() in words), None)


def _can_be_added(column: Column, constraints: tuple[Constraint, ...]) -> bool:
    if column.generated:
        return column.storage == "VIRTUAL"
    has_default = column.default is not None
    has_reference = any(it.kind == "FOREIGN KEY" for it in constraints)
    return (column.nullable or has_default) and (
        not has_default or (is_constant(column.default or "") and not has_reference)
    )


def _can_be_dropped(dropped: tuple[Column, ...], after: Table) -> bool:
    """Return whether columns can go one by one; none of them is in a constraint, or constraints would go with it."""
    names = {column.name.lower() for column in after.columns}
    return all(column.name.lower() not in names for column in dropped) and not (
        len(dropped) > 1 and any(column.generated for column in dropped)
    )
