"""How many rows were written in each table of a PostgreSQL database, from the server's own counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dormatory.backends.driver import fetch_rows, open_cursor

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dormatory.schema.snapshot import TableId

# They count rows written by triggers, functions and foreign key actions as well; TRUNCATE shows as another file.
_COUNTERS = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, pg_catalog.pg_stat_get_tuples_inserted(c.oid),
    pg_catalog.pg_stat_get_tuples_updated(c.oid), pg_catalog.pg_stat_get_tuples_deleted(c.oid),
    pg_catalog.pg_relation_filenode(c.oid)::bigint
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_FLUSH = "SELECT pg_catalog.pg_stat_force_next_flush(), pg_catalog.pg_stat_clear_snapshot()"


def write_counters(connection: Connection) -> PostgreSQLWriteCounters:
    """Return the counters as of now."""
    return PostgreSQLWriteCounters(connection)


class PostgreSQLWriteCounters:
    """The rows written in a database that nobody else uses, since this object was made."""

    def __init__(self, connection: Connection) -> None:
        self._before = _read_counters(connection)

    def flush(self, connection: Connection) -> None:
        """Make the server add up what this session has written as soon as its transaction ends."""
        _fetch(connection, _FLUSH)

    def written_rows(self, connection: Connection) -> list[tuple[TableId, tuple[int, int, int]]]:
        """Return the tables with how many rows were inserted, updated and deleted in them.

        Call flush() in a transaction of its own before.
        """
        found = []
        for oid, (namespace, name, *now, _file) in _read_counters(connection).items():
            before = self._before.get(oid, (0,) * 6)[2:5]
            inserted, updated, deleted = (new - old for new, old in zip(now, before, strict=True))
            if inserted or updated or deleted:
                found.append(((namespace, name), (inserted, updated, deleted)))
        return found

    def written_tables(self, connection: Connection) -> frozenset[TableId]:
        """Return the tables in which rows were written, or that lie in another file now; call flush() before."""
        now = _read_counters(connection).items()
        return frozenset((row[0], row[1]) for oid, row in now if row[2:] != self._before.get(oid, ())[2:])


def _read_counters(connection: Connection) -> dict[int, tuple[Any, ...]]:
    return {row[0]: tuple(row[1:]) for row in _fetch(connection, _COUNTERS)}


def _fetch(connection: Connection, query: str) -> Any:
    return fetch_rows(open_cursor(connection), query)
