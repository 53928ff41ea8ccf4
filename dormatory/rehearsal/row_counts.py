"""How many rows a revision wrote in each table, and how many rows tables hold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.dataloss.contents import has_own_rows
from dormatory.rehearsal.model import WrittenRows
from dormatory.sql import clauses
from dormatory.sql.lexer import TokenKind, tokenize_statement
from dormatory.sql.literals import string_value
from dormatory.sql.names import BATCH_TABLE_PREFIX
from dormatory.sql.nesting import nesting_depths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from dormatory.backends.parts import WriteCounters
    from dormatory.backends.url import Target
    from dormatory.recording.leg import Statement
    from dormatory.schema.snapshot import Snapshot, Table, TableId
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.lexer import Token

_WRITE_VERBS = frozenset({"insert", "replace", "delete", "update"})


def written_rows(
    counters: WriteCounters | None, connection: Connection, statements: Iterable[Statement]
) -> tuple[WrittenRows, ...]:
    """Return the rows that a revision wrote: as the database counted them, or else as its statements show."""
    if counters is None:
        return tuple(_rows_by_statements(statements, dialect_by_name(connection.dialect.name)))
    found = [
        WrittenRows(name if namespace == "public" else f"{namespace}.{name}", *counts)
        for (namespace, name), counts in counters.written_rows(connection)
    ]
    return tuple(sorted(found, key=lambda it: it.table))


def _rows_by_statements(statements: Iterable[Statement], dialect: Dialect) -> Iterator[WrittenRows]:
    """Yield what the driver counted for each statement, without the copying of a batch rebuild."""
    counts: dict[str, Counter[str]] = {}
    for statement in statements:
        if not statement.line or statement.rows <= 0:
            continue
        verb, table = _verb_and_table(tokenize_statement(statement.sql, dialect))
        if table and not table.startswith(BATCH_TABLE_PREFIX):
            counts.setdefault(table, Counter())["insert" if verb == "replace" else verb] += statement.rows
    for table in sorted(counts):
        yield WrittenRows(table, counts[table]["insert"], counts[table]["update"], counts[table]["delete"])


def _verb_and_table(tokens: Sequence[Token]) -> tuple[str, str]:
    """Return the verb of a statement that writes rows, and its table; both are empty for any other statement."""
    words = [token.word for token in tokens]
    for at, depth in enumerate(nesting_depths(tokens)):  # after a WITH, whose parts are in parentheses
        word = words[at]
        if depth or word not in _WRITE_VERBS or tokens[at].kind is not TokenKind.WORD:
            continue
        if word == "update":  # OR IGNORE or the like may follow
            place = at + (3 if words[at + 1 : at + 2] == ["or"] else 1)
        else:
            place = clauses.position_after(words, at, "from" if word == "delete" else "into")
        end = place + clauses.table_name_token_count(tokens, place)
        return word, string_value(tokens[end - 1].text) if place and end <= len(tokens) else ""
    return "", ""


def largest_table_rows(target: Target, schema: Snapshot, ids: Collection[TableId] | None = None) -> int:
    """Return the number of rows in the largest of these tables, or of all if `ids` is None; 0 where there are none."""
    tables = [table for table in schema.tables if ids is None or table.id in ids]
    return max(count_rows(target, tables).values(), default=0)


def count_rows(target: Target, tables: Iterable[Table]) -> dict[TableId, int]:
    """Return how many rows each of these tables holds, without those whose rows are read with another table."""
    dialect = dialect_by_name(target.backend_name)
    found: dict[TableId, int] = {}
    with backend_for(target).driver_connection(target, writing=False) as connection:
        cursor = connection.cursor()
        for table in filter(has_own_rows, tables):
            name = dialect.qualified_name(*table.id)
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608  # quoted
            found[table.id] = cursor.fetchone()[0]
    return found
