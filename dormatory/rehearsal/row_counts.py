"""How many rows a revision wrote, table by table: as PostgreSQL counts, or as SQLite's statements tell."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dormatory.backends import driver
from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.dataloss.contents import has_own_rows
from dormatory.rehearsal.model import WrittenRows
from dormatory.sql import clauses
from dormatory.sql.lexer import TokenKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from dormatory.backends.url import Target
    from dormatory.recording.model import Statement
    from dormatory.schema.snapshot import Snapshot, TableId
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.lexer import Token


# What triggers, functions and actions of foreign keys write is counted, too; a TRUNCATE leaves another file.
_COUNTS = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, pg_catalog.pg_stat_get_tuples_inserted(c.oid),
    pg_catalog.pg_stat_get_tuples_updated(c.oid), pg_catalog.pg_stat_get_tuples_deleted(c.oid),
    pg_catalog.pg_relation_filenode(c.oid)::bigint
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_FLUSH = "SELECT pg_catalog.pg_stat_force_next_flush(), pg_catalog.pg_stat_clear_snapshot()"
_BATCH_TABLE_PREFIX = "_alembic_tmp_"
_WRITE_VERBS = frozenset({"insert", "replace", "delete", "update"})


class WriteCounters:
    """The counters of a database that nobody else uses, before a leg."""

    def __init__(self, connection: Connection) -> None:
        self._has_counters = connection.dialect.name == "postgresql"
        self._dialect = dialect_by_name(connection.dialect.name)
        self._before = _read_counters(connection) if self._has_counters else {}

    def written_rows(self, connection: Connection, statements: Iterable[Statement]) -> tuple[WrittenRows, ...]:
        """Return what was written since; call settle() in a transaction of its own before."""
        if not self._has_counters:
            return tuple(_rows_by_statements(statements, self._dialect))
        found = []
        for oid, (namespace, name, *now, _file) in _read_counters(connection).items():
            then = self._before.get(oid, (0,) * 6)[2:5]
            if any(written := [new - old for new, old in zip(now, then, strict=True)]):
                found.append(WrittenRows(name if namespace == "public" else f"{namespace}.{name}", *written))
        return tuple(sorted(found, key=lambda it: it.table))

    def written_tables(self, connection: Connection) -> frozenset[TableId] | None:
        """Return the tables in which rows were written, or that lie in another file; None where nobody counts."""
        if not self._has_counters:
            return None
        now = _read_counters(connection).items()
        return frozenset((row[0], row[1]) for oid, row in now if row[2:] != self._before.get(oid, ())[2:])


def flush_counters(connection: Connection) -> None:
    """Have the server add up what this session has written as soon as its transaction ends."""
    if connection.dialect.name == "postgresql":
        driver.fetch_rows(driver.open_cursor(connection), _FLUSH)


def _read_counters(connection: Connection) -> dict[int, tuple[Any, ...]]:
    return {row[0]: tuple(row[1:]) for row in driver.fetch_rows(driver.open_cursor(connection), _COUNTS)}


def _rows_by_statements(statements: Iterable[Statement], dialect: Dialect) -> Iterator[WrittenRows]:
    """Yield what the drivers counted, without the copying of a batch rebuild."""
    counts: dict[str, Counter[str]] = {}
    for statement in statements:
        if not statement.line or statement.rows <= 0:
            continue
        verb, table = _verb_and_table(clauses.tokenize_statement(statement.sql, dialect))
        if table and not table.startswith(_BATCH_TABLE_PREFIX):
            counts.setdefault(table, Counter())["insert" if verb == "replace" else verb] += statement.rows
    for table in sorted(counts):
        yield WrittenRows(table, counts[table]["insert"], counts[table]["update"], counts[table]["delete"])


def _verb_and_table(tokens: Sequence[Token]) -> tuple[str, str]:
    """Return what a statement does with rows, and of which table; empty for one that writes none."""
    words, depth = [token.word for token in tokens], 0
    for at, word in enumerate(words):  # behind a WITH, whose parts stand in parentheses
        depth += (word == "(") - (word == ")")
        if depth or word not in _WRITE_VERBS or tokens[at].kind is not TokenKind.WORD:
            continue
        if word == "update":  # OR IGNORE and its like may follow
            place = at + (3 if words[at + 1 : at + 2] == ["or"] else 1)
        else:
            place = clauses.position_after(words, at, "from" if word == "delete" else "into")
        end = place + clauses.table_name_token_count(tokens, place)
        return word, clauses.literal_text(tokens[end - 1]) if place and end <= len(tokens) else ""
    return "", ""


def largest_table_rows(target: Target, schema: Snapshot, ids: Collection[TableId] | None = None) -> int:
    """Return the number of rows in the largest of these tables, of all for None; 0 where there are none."""
    dialect = dialect_by_name(target.backend_name)
    names = [
        dialect.qualified_name(table.namespace, table.name)
        for table in schema.tables
        if has_own_rows(table) and (ids is None or table.id in ids)
    ]
    found = [0]
    with backend_for(target).driver_connection(target, writing=False) as connection:
        cursor = connection.cursor()
        for name in names:
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608  # quoted
            found.append(cursor.fetchone()[0])
    return max(found)
