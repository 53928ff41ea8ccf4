"""Find out what a statement does to the tables of a PostgreSQL database: locks, rewritten files, scans."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psycopg2.extensions import STATUS_BEGIN

from dormatory.backends import driver
from dormatory.backends.postgresql.relations import (
    Relation,
    RelationCache,
    RelationSurvey,
    milliseconds,
    relation_name,
    survey_relations,
)
from dormatory.backends.tracer import StatementEffects
from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

# One row for the transaction itself, and one for each lock it holds.  What goes through pg_locks or pg_class instead
# takes longer to plan than to run; the names are known already.
_HELD_LOCKS = """
SELECT l.virtualtransaction, pg_catalog.current_setting('lock_timeout'), pg_catalog.pg_stat_force_next_flush(),
    l.relation::bigint, l.mode, pg_catalog.pg_relation_filenode(l.relation)::bigint,
    pg_catalog.pg_stat_get_xact_numscans(l.relation)
FROM pg_catalog.pg_lock_status() AS l
WHERE l.pid = pg_catalog.pg_backend_pid() AND (l.relation >= 16384 OR l.locktype = 'virtualxid')"""
_SCAN_COUNTS = """
SELECT c.oid::bigint, pg_catalog.pg_stat_get_xact_numscans(c.oid) FROM pg_catalog.pg_class AS c
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'm') AND pg_catalog.pg_stat_get_xact_numscans(c.oid) > 0"""
_INDEXES = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, i.indrelid::bigint,
    pg_catalog.pg_relation_filenode(c.oid)::bigint
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE i.indrelid IN ({})"""

MIN_SERVER_VERSION = (15,)  # the first with pg_stat_force_next_flush(); 14 reached its end of life in November 2026

_LOCK_RANKS = {mode.title().replace(" ", "") + "Lock": rank for rank, mode in enumerate(LOCK_MODES)}
_LEADING_COMMENTS = r"(?>\s+|--[^\n]*\n|/\*.*?\*/)*+"
# SET TRANSACTION must come before any query of its transaction, so nothing may be asked after these.
_SESSION_STATEMENT = re.compile(
    _LEADING_COMMENTS
    + r"(?:ABORT|BEGIN|COMMIT|DISCARD|END|RELEASE|RESET|ROLLBACK|SAVEPOINT|SET|SHOW|START)\b[^;]*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_ROLLBACK = re.compile(_LEADING_COMMENTS + r"ROLLBACK\b", re.IGNORECASE | re.DOTALL)
_TRUNCATE = re.compile(_LEADING_COMMENTS + r"TRUNCATE\b", re.IGNORECASE | re.DOTALL)
_CREATE = re.compile(_LEADING_COMMENTS + r"CREATE\b", re.IGNORECASE | re.DOTALL)
_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)


def statement_tracer(connection: Connection) -> PostgreSQLStatementTracer | None:
    """Return a tracer for this connection, None for a server that is too old."""
    version = connection.dialect.server_version_info or ()
    return PostgreSQLStatementTracer(connection) if version >= MIN_SERVER_VERSION else None


def collect_written_tables(_connection: Connection) -> AbstractContextManager[None]:
    """Give None: the server reports the tables when the transaction ends (PostgreSQLSchemaTracker)."""
    return nullcontext()


def total_rows_written(_cursor: Any) -> int:
    """Return 0: the cursor's own row count is complete."""
    return 0


def is_transaction_open(connection: Connection) -> bool:
    """Return whether a transaction is open, as the driver knows it without a query."""
    driver: Any = connection.connection.driver_connection
    if hasattr(driver, "info"):  # psycopg and psycopg2; 0 is libpq's PQTRANS_IDLE
        return bool(driver.info.transaction_status)
    return bool(driver.is_in_transaction() if hasattr(driver, "is_in_transaction") else connection.in_transaction())


class PostgreSQLStatementTracer:
    """Queries the server after each statement, on the statement's own connection, for what it did.

    This costs one short query per statement, sent to the driver directly: SQLAlchemy's events do not see it. A
    statement in autocommit has released its locks by then, so they are derived as far as possible: see
    `_autocommit_effects`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._relations = RelationCache()
        self._is_provisional = False
        self._relations_before: dict[int, Relation] = {}
        self._seen_files: dict[int, set[int]] = {}
        self._dropped_indexes: set[int] = set()
        self._transaction = ""
        self._held_ranks: dict[int, int] = {}
        self._scan_counts: dict[int, int] = {}
        self._lock_timeout = 0
        self._is_prepared = self._has_settings = False
        self._autocommit_survey: RelationSurvey | None = None

    def prepare(self, connection: Connection) -> None:
        """Learn what is there already now, at the end of a transaction behind which nothing comes before the leg.

        Another session cannot tell the settings of this one, which have to be known then.
        """
        if connection is not self._connection and not self._has_settings:
            return
        self._relations_before, lock_timeout = self._relations.refresh(
            lambda sql: driver.fetch_rows(driver.open_cursor(connection), sql)
        )
        if connection is self._connection:
            self._lock_timeout = lock_timeout
        self._is_prepared = True

    def start(self) -> None:
        """Learn what is there before a leg. No transaction is left open that was not open before."""
        is_known, self._is_prepared = self._is_prepared, False
        self._is_provisional = self._connection.in_transaction()
        if not is_known or self._is_provisional:
            self._relations_before, self._lock_timeout = self._relations.refresh(self._query)
            self._has_settings = True
        self._seen_files, self._dropped_indexes, self._autocommit_survey = {}, set(), None
        self._transaction, self._held_ranks, self._scan_counts = "", {}, {}
        if self._is_provisional:
            self._measure()
            self._scan_counts = {row[0]: row[1] for row in self._query(_SCAN_COUNTS)}
        elif not is_known:
            self._dbapi.rollback()

    def forget_transaction(self) -> None:
        """Forget what was learned inside a transaction that was taken back."""
        self._is_prepared = False
        if self._is_provisional:
            self._relations, self._is_provisional = RelationCache(), False

    def before_statement(self) -> None:
        """Look at the database before a statement that will be a transaction of its own."""
        if not self._is_autocommit:
            self._autocommit_survey = None
        elif self._autocommit_survey is None:
            self._autocommit_survey = survey_relations(self._query)

    def after_statement(self, sql: str, *, is_open: bool) -> StatementEffects:
        """Return what the statement did that has just ended; `is_open` tells that its transaction has not."""
        if _SESSION_STATEMENT.match(sql):
            self._has_settings = False
            if is_open and _ROLLBACK.match(sql):  # to a savepoint: it gave locks back
                self._measure()
            return self.unknown_effects()
        if is_open:
            effects = self._measure()
        elif self._autocommit_survey:
            effects = self._autocommit_effects(sql, self._autocommit_survey)
        else:
            return self.unknown_effects()
        return replace(effects, rewritten=(), scanned=()) if _TRUNCATE.match(sql) else effects

    def unknown_effects(self) -> StatementEffects:
        """Return what is known of a statement after which nothing could be asked, such as one that failed."""
        return StatementEffects(lock_timeout=self._lock_timeout)

    def _measure(self) -> StatementEffects:
        rows = self._query(_HELD_LOCKS)
        transaction, timeout = rows[0][:2]
        self._lock_timeout = milliseconds(timeout)
        if transaction != self._transaction:
            self._transaction, self._held_ranks, self._scan_counts = transaction, {}, {}
        held: dict[int, int] = {}
        files: dict[int, int] = {}
        scanned = list[str]()
        for *_, oid, mode, file, scans in rows:
            known = self._relations_before.get(oid)
            if known is None:
                continue
            files[oid] = file or 0
            if known.is_table:
                held[oid] = max(held.get(oid, 0), _LOCK_RANKS.get(mode, 0))
                if scans > self._scan_counts.get(oid, 0):
                    self._scan_counts[oid] = scans
                    scanned.append(known.name)
        stronger = {oid: rank for oid, rank in held.items() if rank > self._held_ranks.get(oid, 0)}
        self._held_ranks = held
        rewritten = [*self._newly_rewritten(files), *self._rebuilt_indexes(files)]
        return StatementEffects(
            self._locks(stronger), _sorted_unique(rewritten), _sorted_unique(scanned), self._lock_timeout
        )

    def _locks(self, ranks: dict[int, int]) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((self._relations_before[oid].name, LOCK_MODES[rank]) for oid, rank in ranks.items()))

    def _newly_rewritten(self, files: dict[int, int]) -> list[str]:
        """Return the names of those that lie in a file they never lay in: a rollback gives an old one back."""
        new = list[str]()
        for oid, file in files.items():
            known = self._relations_before[oid]
            seen = self._seen_files.setdefault(oid, {known.file})
            if file and file not in seen:
                seen.add(file)
                new.append(known.name)
        return new

    def _rebuilt_indexes(self, files: dict[int, int]) -> list[str]:
        """Return the indexes that ALTER TYPE dropped and made again, unless they kept their file."""
        gone = {
            oid for oid, file in files.items() if not file and self._relations_before[oid].file
        } - self._dropped_indexes
        self._dropped_indexes |= gone
        indexes = {
            oid: self._relations_before[oid]
            for oid in gone
            if self._relations_before[oid].table not in {0, *self._dropped_indexes}
        }
        if not indexes:
            return []
        again = list[str]()
        tables = ", ".join(str(table) for table in {index.table for index in indexes.values()})
        olds = {(index.table, index.name): oid for oid, index in indexes.items()}
        for oid, namespace, name, table, file in self._query(_INDEXES.format(tables)):
            old = olds.get((table, relation_name(namespace, name)))
            if old is None:
                continue
            seen = self._seen_files[oid] = self._seen_files.pop(old)
            self._relations_before[oid] = self._relations_before[old]
            if file not in seen:
                seen.add(file)
                again.append(self._relations_before[oid].name)
        return again

    def _autocommit_effects(self, sql: str, before: RelationSurvey) -> StatementEffects:
        """Return what became of the catalogs while a statement ran that was a transaction of its own.

        The lock follows from that for indexes made, dropped or rebuilt and for tables dropped or rewritten. It stays
        unknown for other forms of ALTER TABLE, for rows changed and for VACUUM.
        """
        after = self._autocommit_survey = survey_relations(self._query)
        self._lock_timeout = after.lock_timeout
        ranks: dict[int, int] = {}
        rewritten = list[str]()
        for oid in before.relations.keys() | after.relations.keys():
            was, now = before.relations.get(oid), after.relations.get(oid)
            if was and now and was.file == now.file:
                continue
            if was and now and oid in self._relations_before:
                rewritten.append(self._relations_before[oid].name)
            table = (was.table if was else now.table if now else 0) or oid
            if table in self._relations_before:
                ranks[table] = max(ranks.get(table, 0), LOCK_MODES.index(_lock_mode(sql, was, now)))
        if _CONCURRENTLY.search(sql):  # REINDEX CONCURRENTLY makes another index and gives it the name
            rewritten += _replaced_indexes(before.relations, after.relations)
        scanned = [
            known.name
            for oid, count in after.scans.items()
            if count > before.scans.get(oid, 0) and (known := self._relations_before.get(oid)) and known.is_table
        ]
        return StatementEffects(
            self._locks(ranks), _sorted_unique(rewritten), _sorted_unique(scanned), self._lock_timeout
        )

    @property
    def _is_autocommit(self) -> bool:
        """Whether the driver sends the next statement without a transaction around it."""
        if getattr(self._dbapi, "autocommit", False) is True:
            return True
        # After a COMMIT that was sent as text psycopg2 takes its transaction for open, and begins no other.
        driver: Any = self._connection.connection.driver_connection
        return getattr(driver, "status", None) == STATUS_BEGIN and not driver.info.transaction_status

    @property
    def _dbapi(self) -> Any:
        return self._connection.connection.dbapi_connection

    def _query(self, sql: str) -> Sequence[Sequence[Any]]:
        return driver.fetch_rows(self._dbapi.cursor(), sql)


def _lock_mode(sql: str, was: Relation | None, now: Relation | None) -> str:
    """Return the lock on its table that a relation needed to be made, dropped or rewritten by itself."""
    if _CONCURRENTLY.search(sql):
        return "SHARE UPDATE EXCLUSIVE"
    is_index_build = _CREATE.match(sql) if was is None else now and was.table
    return "SHARE" if is_index_build else "ACCESS EXCLUSIVE"  # ALTER TABLE ADD UNIQUE makes an index, too


def _replaced_indexes(old: dict[int, Relation], new: dict[int, Relation]) -> list[str]:
    """Return the names of indexes that another one of the same table took over."""
    before = {(index.table, index.name) for oid, index in old.items() if index.table and oid not in new}
    after = {(index.table, index.name) for oid, index in new.items() if index.table and oid not in old}
    return [name for _, name in before & after]


def _sorted_unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
