"""Rebuilds a table on SQLite as Alembic does, but faster, and with the same text every time.

Alembic reflects a table before it rebuilds it, and with it every table that its foreign keys refer to. Nothing of those
gets into the new table, and reading them takes longer than the rebuild. Reflected constraints are in a set, whose order
changes from run to run. Alembic uses this class as soon as this module is imported: the last class that names a dialect
is used for that dialect.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint

from dormatory.backends import driver
from dormatory.backends.registry import dialect_by_name
from dormatory.sql.lexer import tokenize
from dormatory.sql.nesting import closing_parenthesis, split_at_commas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.operations.batch import ApplyBatchImpl, BatchOperationsImpl
    from sqlalchemy import Connection, Constraint, Table

    from dormatory.sql.lexer import Token

COPIES_NO_GENERATED_VALUES = "copies_no_generated_values"
"""The option of context.configure() with which a rebuild lets SQLite compute the values of generated columns again.

Without it a rebuild fails as it does in Alembic: so it does wherever a project's env.py runs without this workflow.
"""

# Whether all tables exist that the foreign keys of a table refer to, directly or not; reflecting a missing one fails.
_REFERENCED_TABLES_EXIST = """
    WITH RECURSIVE reached(name) AS (
        SELECT ? UNION SELECT key."table" FROM reached, pragma_foreign_key_list(reached.name) AS key
    )
    SELECT NOT EXISTS (
        SELECT 1 FROM reached WHERE lower(name) NOT IN (SELECT lower(name) FROM sqlite_master)
    )
"""

_WORDS = {ForeignKeyConstraint: "references", UniqueConstraint: "unique", CheckConstraint: "check"}
_LIST_WORDS = {"key", "(", ","}


class SQLiteBatchImpl(SQLiteImpl):
    """Alembic's SQLite, except for what it reflects, copies and orders."""

    __dialect__ = "sqlite"

    def requires_recreate_in_batch(self, batch_op: BatchOperationsImpl) -> bool:
        """Return whether ALTER TABLE is not enough; Alembic calls it for each batch, before it reflects the table."""
        is_needed = super().requires_recreate_in_batch(batch_op)
        is_plain = batch_op.schema is None and "resolve_fks" not in batch_op.reflect_kwargs
        if (
            is_needed
            and is_plain
            and self.connection is not None
            and not self.as_sql  # then there is no database to read
            and _has_referenced_tables(self.connection, batch_op.table_name)
        ):
            batch_op.reflect_kwargs = {**batch_op.reflect_kwargs, "resolve_fks": False}
        return is_needed

    def prep_table_for_batch(self, batch_impl: ApplyBatchImpl, table: Table) -> None:
        """Put the new table in order; Alembic calls it before it creates that table."""
        super().prep_table_for_batch(batch_impl, table)
        new_table: Any = batch_impl.new_table
        if self.context_opts.get(COPIES_NO_GENERATED_VALUES):
            for column in (column for column in new_table.columns if column.computed is not None):
                batch_impl.column_transfers[column.name].pop("expr", None)
        if self.connection is not None and not self.as_sql:
            definitions = _definitions(self.connection, table)
            for number, constraint in enumerate(sorted(new_table.constraints, key=lambda it: _place(it, definitions))):
                constraint._creation_order = number  # noqa: SLF001  # the order in which CREATE TABLE has them


def _definitions(connection: Connection, table: Table) -> list[list[Token]]:
    """Return the columns and constraints of a table in the order of its text; nothing for a table of another file."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)"
    found = driver.fetch_rows(driver.open_cursor(connection), query, (table.name,))
    tokens = tokenize(found[0][0] if found else "", dialect_by_name(connection.dialect.name))
    opening = next((place for place, token in enumerate(tokens) if token.word == "("), len(tokens))
    runs = split_at_commas(tokens[opening + 1 : closing_parenthesis(tokens, opening)])
    return [run for run in runs if run]


def _place(constraint: Constraint, definitions: Sequence[Sequence[Token]]) -> tuple[int, list[str], int]:
    """Return what constraints are sorted by: those of the old table in its order, then the others."""
    places = (place for place, tokens in enumerate(definitions) if _is_definition(tokens, constraint))
    order = constraint._creation_order  # noqa: SLF001  # by accident for those of the old table, which were in a set
    return next(places, len(definitions)), sorted(_columns(constraint)), order


def _is_definition(tokens: Sequence[Token], constraint: Constraint) -> bool:
    """Return whether the text of a column or of a constraint holds this constraint."""
    texts = [token.text.lower() for token in tokens]
    if isinstance(constraint.name, str):
        return ("constraint", constraint.name.lower()) in pairwise(texts)
    kind = next((word for kind, word in _WORDS.items() if isinstance(constraint, kind)), "primary")
    if not any(token.word == kind for token in tokens):
        return False
    is_column = tokens[0].word not in {"primary", "unique", "foreign"}
    named = {texts[0]} if is_column else {*texts[1 : texts.index(")")]}
    return _columns(constraint) | _LIST_WORDS == named | _LIST_WORDS


def _columns(constraint: Constraint) -> set[str]:
    return {column.name.lower() for column in getattr(constraint, "columns", ())}


def _has_referenced_tables(connection: Connection, table: str) -> bool:
    ((answer,),) = driver.fetch_rows(driver.open_cursor(connection), _REFERENCED_TABLES_EXIST, (table,))
    return bool(answer)
