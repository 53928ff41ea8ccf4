"""Find out what a statement does to the tables of a PostgreSQL database: locks, rewritten files, scans."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psycopg2.extensions import STATUS_BEGIN

from dormatory.backends import driver
from dormatory.backends.postgresql.autocommit import LEADING_COMMENTS, autocommit_effects
from dormatory.backends.postgresql.owner_trial import OwnerTrial, OwnerTrials
from dormatory.backends.postgresql.relations import (
    Relation,
    RelationCache,
    RelationSurvey,
    milliseconds,
    named_locks,
    relation_name,
    sorted_unique,
    survey_relations,
)
from dormatory.backends.tracer import StatementEffects
from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

# One row for the transaction itself, and one for each lock it holds.  A query of pg_locks or pg_class takes longer to
# plan than this takes to run; the names are known already.
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
# SET TRANSACTION must come before any query of its transaction, so no query may follow these.
_SESSION_STATEMENT = re.compile(
    LEADING_COMMENTS
    + r"(?:ABORT|BEGIN|COMMIT|DISCARD|END|RELEASE|RESET|ROLLBACK|SAVEPOINT|SET|SHOW|START)\b[^;]*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_ROLLBACK = re.compile(LEADING_COMMENTS + r"ROLLBACK\b", re.IGNORECASE | re.DOTALL)
_TRUNCATE = re.compile(LEADING_COMMENTS + r"TRUNCATE\b", re.IGNORECASE | re.DOTALL)


def statement_tracer(connection: Connection, *, is_scratch: bool) -> PostgreSQLStatementTracer | None:
    """Return a tracer for this connection, None for a server that is too old."""
    version = connection.dialect.server_version_info or ()
    if version < MIN_SERVER_VERSION:
        return None
    return PostgreSQLStatementTracer(connection, OwnerTrials(connection) if is_scratch else None)


def collect_written_tables(_connection: Connection) -> AbstractContextManager[None]:
    """Provide None: the server reports the tables when the transaction ends (PostgreSQLSchemaTracker)."""
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
    `autocommit_effects`.
    """

    def __init__(self, connection: Connection, trials: OwnerTrials | None = None) -> None:
        self._connection, self._trials = connection, trials
        self._trial: OwnerTrial | None = None
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
        """Read which tables exist, at the end of a transaction after which nothing happens before the leg.

        Another session does not know the settings of this one, so `connection` may be another one only when they are
        known.
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
        """Read which tables exist before a leg. No transaction is left open that was not open before."""
        is_known, self._is_prepared = self._is_prepared, False
        if self._trials:
            self._trials.start_leg()
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
        """Forget what was read inside a transaction that was rolled back."""
        self._is_prepared = False
        if self._is_provisional:
            self._relations, self._is_provisional = RelationCache(), False

    def before_statement(self, sql: str, parameters: Any) -> None:
        """Try the statement as the owner, and survey the tables before a statement in autocommit."""
        if self._trials:
            is_open = is_transaction_open(self._connection) or not self._is_autocommit
            self._trial = self._trials.try_statement(sql, parameters, is_open=is_open)
        if not self._is_autocommit:
            self._autocommit_survey = None
        elif self._autocommit_survey is None:
            self._autocommit_survey = survey_relations(self._query)

    def after_statement(self, sql: str, *, is_open: bool) -> StatementEffects:
        """Return the effects of the statement that has just ended; `is_open`: its transaction has not ended."""
        if _SESSION_STATEMENT.match(sql):
            self._has_settings = False
            if is_open and _ROLLBACK.match(sql):  # to a savepoint: it released locks
                self._measure()
            return self.unknown_effects()
        if is_open:
            effects = self._measure()
        elif self._autocommit_survey:
            before, self._autocommit_survey = self._autocommit_survey, survey_relations(self._query)
            self._lock_timeout = self._autocommit_survey.lock_timeout
            effects = autocommit_effects(sql, before, self._autocommit_survey, self._relations_before)
        else:
            return self.unknown_effects()
        if _TRUNCATE.match(sql):
            effects = replace(effects, rewritten=(), scanned=())
        return replace(effects, **self._trial_effects())

    def unknown_effects(self) -> StatementEffects:
        """Return what is known of a statement after which nothing can be queried, such as one that failed."""
        return replace(StatementEffects(lock_timeout=self._lock_timeout), **self._trial_effects())

    def _trial_effects(self) -> dict[str, Any]:
        return {"owner_refusal": self._trial.refusal, "owner_rows": self._trial.rows} if self._trial else {}

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
        locks = named_locks(self._relations_before, stronger)
        return StatementEffects(locks, sorted_unique(rewritten), sorted_unique(scanned), self._lock_timeout)

    def _newly_rewritten(self, files: dict[int, int]) -> list[str]:
        """Return the names of relations in a file that is new to them: a rollback returns to an old file."""
        new = list[str]()
        for oid, file in files.items():
            known = self._relations_before[oid]
            seen = self._seen_files.setdefault(oid, {known.file})
            if file and file not in seen:
                seen.add(file)
                new.append(known.name)
        return new

    def _rebuilt_indexes(self, files: dict[int, int]) -> list[str]:
        """Return the indexes that ALTER TYPE dropped and created again, unless they kept their file."""
        dropped = {
            oid for oid, file in files.items() if not file and self._relations_before[oid].file
        } - self._dropped_indexes
        self._dropped_indexes |= dropped
        indexes = {
            oid: self._relations_before[oid]
            for oid in dropped
            if self._relations_before[oid].table not in {0, *self._dropped_indexes}
        }
        if not indexes:
            return []
        rebuilt = list[str]()
        tables = ", ".join(str(table) for table in {index.table for index in indexes.values()})
        old_oids = {(index.table, index.name): oid for oid, index in indexes.items()}
        for oid, namespace, name, table, file in self._query(_INDEXES.format(tables)):
            old = old_oids.get((table, relation_name(namespace, name)))
            if old is None:
                continue
            seen = self._seen_files[oid] = self._seen_files.pop(old)
            self._relations_before[oid] = self._relations_before[old]
            if file not in seen:
                seen.add(file)
                rebuilt.append(self._relations_before[oid].name)
        return rebuilt

    @property
    def _is_autocommit(self) -> bool:
        """Whether the driver sends the next statement without a transaction around it."""
        if getattr(self._dbapi, "autocommit", False) is True:
            return True
        # After a COMMIT that was sent as text, psycopg2 regards its transaction as open, and begins no other.
        driver: Any = self._connection.connection.driver_connection
        return getattr(driver, "status", None) == STATUS_BEGIN and not driver.info.transaction_status

    @property
    def _dbapi(self) -> Any:
        return self._connection.connection.dbapi_connection

    def _query(self, sql: str) -> Sequence[Sequence[Any]]:
        return driver.fetch_rows(self._dbapi.cursor(), sql)
