"""The database that rows are generated for: what its tables hold, and inserting rows, all or none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dormatory.backends.registry import backend_by_name, dialect_by_name
from dormatory.backends.row_io import driver_message
from dormatory.rows.unique_values import FIRST_KEY
from dormatory.sql import evaluate
from dormatory.sql.lexer import tokenize
from dormatory.sql.names import token_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from dormatory.rows.plan import ForeignKeyPlan, TablePlan
    from dormatory.rows.row_factory import GeneratedRow
    from dormatory.rows.unique_values import GeneratedValue

_MAX_PARENT_KEYS = 200  # of many parents, these are enough


class RefusedRowError(Exception):
    """The database refused rows; `columns` are those it named, in lower case, or all of them if it named none."""

    def __init__(self, reason: str, columns: frozenset[str]) -> None:
        super().__init__(reason)
        self.reason, self.columns = reason, columns


class RowStore:
    """One connected database, in the transaction of the caller."""

    def __init__(self, connection: Connection) -> None:
        self._writer = backend_by_name(connection.dialect.name).row_io.row_writer(connection)
        self.dialect = dialect_by_name(connection.dialect.name)
        self.error = self._writer.error
        """What the driver raises."""

    def close(self) -> None:
        """Close the driver's cursor."""
        self._writer.close()

    def savepoint(self) -> AbstractContextManager[None]:
        """Roll back what was done in the block if it raises."""
        return self._writer.savepoint()

    def existing_rows(self, plan: TablePlan) -> tuple[int, list[dict[str, Any]]]:
        """Return how many rows a table holds, and of each the columns of unique keys and those with known values."""
        key_columns = {
            word for key in plan.unique_keys for word in key.columns | evaluate.referenced_columns(key.predicate)
        }
        columns = [column for column in plan.columns if column.lower_name in key_columns or column.known]
        if not columns:
            return self._writer.count(plan.id), []
        rows = self._writer.values(plan.id, [(column.name, column.column_type.family) for column in columns])
        names = [column.lower_name for column in columns]
        return len(rows), [dict(zip(names, row, strict=True)) for row in rows]

    def parent_keys(self, foreign_key: ForeignKeyPlan) -> list[tuple[GeneratedValue, ...]]:
        """Return keys that a foreign key may refer to, in order."""
        families = (column.column_type.family for column in foreign_key.columns)
        columns = list(zip(foreign_key.parent_columns, families, strict=True))
        return self._writer.distinct_values(foreign_key.parent, columns, _MAX_PARENT_KEYS)

    def insert(self, plan: TablePlan, rows: Sequence[GeneratedRow]) -> int:
        """Insert rows, and return how many were kept; raises RefusedRowError if none were."""
        names = {column.lower_name: column.name for column in plan.columns if not column.is_generated}
        given = [{name: row[word] for word, name in names.items() if word in row} for row in rows]
        try:
            with self._writer.savepoint():
                return self._writer.insert(plan.id, [column.name for column in plan.columns], given)
        except self.error as error:
            raise RefusedRowError(driver_message(error), self._columns_in_error(error, plan)) from error

    def advance_counters(self, plan: TablePlan) -> None:
        """Let the counters of a table go on behind its generated rows, as if they had numbered them."""
        defaults = {column.name: column.default for column in plan.table.columns}
        for column in plan.columns:
            if column.is_auto_numbered and not column.is_generated and column.column_type.family == "integer":
                self._writer.advance_counter(plan.id, column.name, defaults[column.name], FIRST_KEY)

    def defer(self, foreign_keys: Sequence[ForeignKeyPlan]) -> None:
        """Let these foreign keys wait, as far as they can."""
        self.defer_constraints(
            [(it.namespace, it.name) for it in foreign_keys if it.name and "DEFERRABLE" in it.definition]
        )

    def defer_constraints(self, constraints: Sequence[tuple[str | None, str]]) -> None:
        """Let constraints, given by namespace and name, wait."""
        self._writer.defer(constraints)

    def check_deferred(self) -> None:
        """Check the foreign keys that wait."""
        self._writer.check_deferred()

    def _columns_in_error(self, error: Exception, plan: TablePlan) -> frozenset[str]:
        """Return the columns that an error is about, or all that are not foreign keys if it names none."""
        text, words = driver_message(error), {column.lower_name for column in plan.columns if not column.is_generated}
        found = self._names_in(self._writer.names_in_error(text))
        for it in plan.table.constraints:
            if it.name and (f'"{it.name}"' in text or text.endswith(f": {it.name}")):
                found |= {word.lower() for word in it.columns} or self._names_in(it.definition)
        for index in plan.table.indexes:
            if f'"{index.name}"' in text or f"'{index.name}'" in text:
                found |= self._names_in(index.definition)
        if not found & words:
            found = {
                it.lower_name for it in plan.columns if it.column_type.checks and f" {it.column_type.name} " in text
            }
        foreign_key_columns = {it.lower_name for link in plan.foreign_keys for it in link.columns}
        return frozenset(found & words) or frozenset(words - foreign_key_columns) or frozenset(words)

    def _names_in(self, text: str) -> set[str]:
        return token_names(tokenize(text, self.dialect))
