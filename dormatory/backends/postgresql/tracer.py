"""What a statement does to the tables of a PostgreSQL database: locks, files written anew, tables read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from psycopg2.extensions import STATUS_BEGIN

from dormatory.backends import cursor
from dormatory.backends.postgresql.relations import Relation, Relations, Survey, milliseconds, named, survey
from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

# One row for the transaction itself, and one for each lock it holds.  What goes through pg_locks or pg_class instead
# takes longer to plan than to run; the names are known already.
_LOOK = """
SELECT l.virtualtransaction, pg_catalog.current_setting('lock_timeout'), pg_catalog.pg_stat_force_next_flush(),
    l.relation::bigint, l.mode, pg_catalog.pg_relation_filenode(l.relation)::bigint,
    pg_catalog.pg_stat_get_xact_numscans(l.relation)
FROM pg_catalog.pg_lock_status() AS l
WHERE l.pid = pg_catalog.pg_backend_pid() AND (l.relation >= 16384 OR l.locktype = 'virtualxid')"""
_SCANNED_BEFORE = """
SELECT c.oid::bigint, pg_catalog.pg_stat_get_xact_numscans(c.oid) FROM pg_catalog.pg_class AS c
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'm') AND pg_catalog.pg_stat_get_xact_numscans(c.oid) > 0"""
_INDEXES = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, i.indrelid::bigint,
    pg_catalog.pg_relation_filenode(c.oid)::bigint
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE i.indrelid IN ({})"""

_RANKS = {mode.title().replace(" ", "") + "Lock": rank for rank, mode in enumerate(LOCK_MODES)}
_START = r"(?>\s+|--[^\n]*\n|/\*.*?\*/)*+"
# SET TRANSACTION must come before any query of its transaction, so nothing may be asked after these.
_OF_SESSION = re.compile(
    _START + r"(?:ABORT|BEGIN|COMMIT|DISCARD|END|RELEASE|RESET|ROLLBACK|SAVEPOINT|SET|SHOW|START)\b[^;]*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_ROLLBACK = re.compile(_START + r"ROLLBACK\b", re.IGNORECASE | re.DOTALL)
_TRUNCATE = re.compile(_START + r"TRUNCATE\b", re.IGNORECASE | re.DOTALL)
_CREATE = re.compile(_START + r"CREATE\b", re.IGNORECASE | re.DOTALL)
_CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Effects:
    """What one statement did to tables that were there before the leg; the fields are those of a Statement.

    `locks` are pairs of a table and a mode. TRUNCATE rewrites and scans nothing, though it leaves an empty file.
    """

    locks: tuple[tuple[str, str], ...] = ()
    rewritten: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    lock_timeout: int = 0


NONE = Effects()


class Watch:
    """Asks the server, after each statement and on the statement's own connection, what it did.

    It costs one short query per statement, sent to the driver directly: SQLAlchemy's events do not see it. A statement
    in autocommit has given its locks back by then, so those are derived, as far as that goes: see `_alone`.
    """

    # pg_stat_force_next_flush() is that young; PostgreSQL 14 was given up in November 2026.
    SINCE: ClassVar = (15,)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._relations = Relations()
        self._is_provisional = False
        self._before: dict[int, Relation] = {}
        self._files: dict[int, set[int]] = {}
        self._dropped: set[int] = set()
        self._transaction = ""
        self._held: dict[int, int] = {}
        self._scans: dict[int, int] = {}
        self._lock_timeout = 0
        self._is_prepared = self._has_settings = False
        self._apart: Survey | None = None

    @classmethod
    def serves(cls, connection: Connection) -> bool:
        """Tell whether there is something to watch on this connection."""
        dialect = connection.dialect
        return dialect.name == "postgresql" and (dialect.server_version_info or ()) >= cls.SINCE

    def prepare(self, connection: Connection) -> None:
        """Learn what is there already now, at the end of a transaction behind which nothing comes before the leg.

        Another session cannot tell the settings of this one, which have to be known then.
        """
        if connection is not self._connection and not self._has_settings:
            return
        self._before, lock_timeout = self._relations.refreshed(lambda sql: cursor.asked(cursor.cursor(connection), sql))
        if connection is self._connection:
            self._lock_timeout = lock_timeout
        self._is_prepared = True

    def start(self) -> None:
        """Learn what is there before a leg. No transaction is left open that was not open before."""
        is_known, self._is_prepared = self._is_prepared, False
        self._is_provisional = self._connection.in_transaction()
        if not is_known or self._is_provisional:
            self._before, self._lock_timeout = self._relations.refreshed(self._ask)
            self._has_settings = True
        self._files, self._dropped, self._apart = {}, set(), None
        self._transaction, self._held, self._scans = "", {}, {}
        if self._is_provisional:
            self._look()
            self._scans = {row[0]: row[1] for row in self._ask(_SCANNED_BEFORE)}
        elif not is_known:
            self._dbapi.rollback()

    def rolled_back(self) -> None:
        """Forget what was learned inside a transaction that was taken back."""
        self._is_prepared = False
        if self._is_provisional:
            self._relations, self._is_provisional = Relations(), False

    def before(self) -> None:
        """Look at the database before a statement that will be a transaction of its own."""
        if not self._stands_alone:
            self._apart = None
        elif self._apart is None:
            self._apart = survey(self._ask)

    def after(self, sql: str, *, is_open: bool) -> Effects:
        """Return what the statement did that has just ended; `is_open` tells that its transaction has not."""
        if _OF_SESSION.match(sql):
            self._has_settings = False
            if is_open and _ROLLBACK.match(sql):  # to a savepoint: it gave locks back
                self._look()
            return self.unseen()
        if is_open:
            effects = self._look()
        elif self._apart:
            effects = self._alone(sql, self._apart)
        else:
            return self.unseen()
        return replace(effects, rewritten=(), scanned=()) if _TRUNCATE.match(sql) else effects

    def unseen(self) -> Effects:
        """Return what is known of a statement after which nothing could be asked, such as one that failed."""
        return Effects(lock_timeout=self._lock_timeout)

    def _look(self) -> Effects:
        rows = self._ask(_LOOK)
        transaction, timeout = rows[0][:2]
        self._lock_timeout = milliseconds(timeout)
        if transaction != self._transaction:
            self._transaction, self._held, self._scans = transaction, {}, {}
        held: dict[int, int] = {}
        files: dict[int, int] = {}
        scanned = list[str]()
        for *_, oid, mode, file, scans in rows:
            known = self._before.get(oid)
            if known is None:
                continue
            files[oid] = file or 0
            if known.is_table:
                held[oid] = max(held.get(oid, 0), _RANKS.get(mode, 0))
                if scans > self._scans.get(oid, 0):
                    self._scans[oid] = scans
                    scanned.append(known.name)
        stronger = {oid: rank for oid, rank in held.items() if rank > self._held.get(oid, 0)}
        self._held = held
        rewritten = [*self._rewritten(files), *self._made_again(files)]
        return Effects(self._locks(stronger), _sorted(rewritten), _sorted(scanned), self._lock_timeout)

    def _locks(self, ranks: dict[int, int]) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((self._before[oid].name, LOCK_MODES[rank]) for oid, rank in ranks.items()))

    def _rewritten(self, files: dict[int, int]) -> list[str]:
        """Return the names of those that lie in a file they never lay in: a rollback gives an old one back."""
        new = list[str]()
        for oid, file in files.items():
            known = self._before[oid]
            seen = self._files.setdefault(oid, {known.file})
            if file and file not in seen:
                seen.add(file)
                new.append(known.name)
        return new

    def _made_again(self, files: dict[int, int]) -> list[str]:
        """Return the indexes that ALTER TYPE dropped and made again, unless they kept their file."""
        gone = {oid for oid, file in files.items() if not file and self._before[oid].file} - self._dropped
        self._dropped |= gone
        indexes = {oid: self._before[oid] for oid in gone if self._before[oid].table not in {0, *self._dropped}}
        if not indexes:
            return []
        again = list[str]()
        tables = ", ".join(str(table) for table in {index.table for index in indexes.values()})
        olds = {(index.table, index.name): oid for oid, index in indexes.items()}
        for oid, namespace, name, table, file in self._ask(_INDEXES.format(tables)):
            old = olds.get((table, named(namespace, name)))
            if old is None:
                continue
            seen = self._files[oid] = self._files.pop(old)
            self._before[oid] = self._before[old]
            if file not in seen:
                seen.add(file)
                again.append(self._before[oid].name)
        return again

    def _alone(self, sql: str, before: Survey) -> Effects:
        """Return what became of the catalogs while a statement ran that was a transaction of its own.

        The lock follows from that for indexes made, dropped or rebuilt and for tables dropped or rewritten. It stays
        unknown for other forms of ALTER TABLE, for rows changed and for VACUUM.
        """
        after = self._apart = survey(self._ask)
        self._lock_timeout = after.lock_timeout
        ranks: dict[int, int] = {}
        rewritten = list[str]()
        for oid in before.relations.keys() | after.relations.keys():
            was, now = before.relations.get(oid), after.relations.get(oid)
            if was and now and was.file == now.file:
                continue
            if was and now and oid in self._before:
                rewritten.append(self._before[oid].name)
            table = (was.table if was else now.table if now else 0) or oid
            if table in self._before:
                ranks[table] = max(ranks.get(table, 0), LOCK_MODES.index(_mode(sql, was, now)))
        if _CONCURRENTLY.search(sql):  # REINDEX CONCURRENTLY makes another index and gives it the name
            rewritten += _replaced(before.relations, after.relations)
        scanned = [
            known.name
            for oid, count in after.scans.items()
            if count > before.scans.get(oid, 0) and (known := self._before.get(oid)) and known.is_table
        ]
        return Effects(self._locks(ranks), _sorted(rewritten), _sorted(scanned), self._lock_timeout)

    @property
    def _stands_alone(self) -> bool:
        """Whether the driver sends the next statement without a transaction around it."""
        if getattr(self._dbapi, "autocommit", False) is True:
            return True
        # After a COMMIT that was sent as text psycopg2 takes its transaction for open, and begins no other.
        driver: Any = self._connection.connection.driver_connection
        return getattr(driver, "status", None) == STATUS_BEGIN and not driver.info.transaction_status

    @property
    def _dbapi(self) -> Any:
        return self._connection.connection.dbapi_connection

    def _ask(self, sql: str) -> Sequence[Sequence[Any]]:
        return cursor.asked(self._dbapi.cursor(), sql)


def _mode(sql: str, was: Relation | None, now: Relation | None) -> str:
    """Return the lock on its table that a relation needed to be made, dropped or rewritten by itself."""
    if _CONCURRENTLY.search(sql):
        return "SHARE UPDATE EXCLUSIVE"
    is_index_build = _CREATE.match(sql) if was is None else now and was.table
    return "SHARE" if is_index_build else "ACCESS EXCLUSIVE"  # ALTER TABLE ADD UNIQUE makes an index, too


def _replaced(old: dict[int, Relation], new: dict[int, Relation]) -> list[str]:
    """Return the names of indexes that another one of the same table took over."""
    before = {(index.table, index.name) for oid, index in old.items() if index.table and oid not in new}
    after = {(index.table, index.name) for oid, index in new.items() if index.table and oid not in old}
    return [name for _, name in before & after]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
