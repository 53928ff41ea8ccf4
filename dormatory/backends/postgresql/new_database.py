"""Makes a PostgreSQL database under another name, fills it, and gives it its own name, or that of an existing one."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import errors, sql

from dormatory.backends.postgresql import properties
from dormatory.backends.postgresql.connection import explained_errors
from dormatory.backends.postgresql.maintenance import limit_lock_waits, maintenance_connection
from dormatory.backends.postgresql.markers import DEVELOPMENT_COMMENT
from dormatory.backends.postgresql.replaceable import check_replaceable, refuse_missing_creation_right
from dormatory.backends.postgresql.stall_watch import watched_connections
from dormatory.errors import DatabaseFailedError
from dormatory.system.signals import call_on_signals, defer_signals, stop_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.properties import DatabaseProperties
    from dormatory.backends.url import Target

_LOG = logging.getLogger("dormatory")
_WAIT_SECONDS = 60.0  # for another process that creates the same database, or a connection that has stalled
_PAUSE_SECONDS = 0.1
_ATTEMPTS = 5  # the server itself waits five seconds for the others to leave
_LEFTOVER_COMMENT = "dormatory: left over by a replacement of "
# By name, not by comment: a run can be killed before it comments.
_LEFTOVERS_QUERY = "SELECT datname FROM pg_database WHERE datname ~ %s AND pg_has_role(datdba, 'USAGE')"
# The kind of another role's session is hidden from those who may only end it.
_TERMINATE_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = {} AND pid <> pg_backend_pid() AND coalesce(backend_type, 'client backend') = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class NewDatabase:
    """A database that is going to replace the target.

    `properties` and `slots`, the logical replication slots, are those of the target; None if it does not exist.
    A connection that passes nothing on is waited for at most `wait_seconds`.
    """

    cursor: Any
    target: Target
    name: str
    properties: DatabaseProperties | None
    slots: tuple[str, ...] = ()
    wait_seconds: float = _WAIT_SECONDS

    @property
    def server_major(self) -> int:
        """The major version of the server."""
        return int(self.cursor.connection.server_version) // 10000

    @contextlib.contextmanager
    def exchange(self, *, comment: str | None) -> Iterator[None]:
        """Let the new database take the target's name once the block has filled it, and drop the old one.

        Without a target it gets the `comment`. Until it has the name, a failure changes nothing.
        """
        try:
            with explained_errors(self.target):
                yield
                stop_if_interrupted()
                with defer_signals():
                    self._swap_names(comment)
                    self._drop_replaced()
        except BaseException:
            with defer_signals(), contextlib.suppress(psycopg2.Error):  # the next replacement removes it
                self._drop()
            raise

    def create(self, *, is_empty: bool = False) -> None:
        """Create it; unless it stays empty, from template0: what an administrator put into template1 is in the backup.

        An earlier attempt is dropped.
        """
        self._drop()
        from_template1 = is_empty and (self.properties is None or self.properties.is_like_template)
        template = sql.SQL("TEMPLATE template1" if from_template1 else "TEMPLATE template0")
        options = self.properties.creation_options if self.properties else sql.SQL("")
        with call_on_signals(self.cursor.connection.cancel):
            self.cursor.execute(
                sql.SQL("CREATE DATABASE {} {} {}").format(sql.Identifier(self.name), template, options)
            )
        self.cursor.execute(_comment_statement(self.name, _LEFTOVER_COMMENT + self.target.database))

    def clear(self) -> None:
        """Let it take the target's name as it is created: empty, and a development database if there was no target."""
        with self.exchange(comment=DEVELOPMENT_COMMENT):
            self.create(is_empty=True)

    def _swap_names(self, comment: str | None) -> None:
        """Exchange names with the target in one transaction, so that this one's name is then the old one's.

        New sessions wait for its end, and existing ones are ended just before: all statements are sent at once. A
        session that connected in between is ended at the next attempt.
        """
        if self.properties and self.properties.is_half_dropped:  # it can be dropped, and nothing else
            self.cursor.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(self.target.database)))
        text = sql.SQL(";\n").join(self._swap_statements(comment))
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self.cursor.execute(text)
            except errors.ObjectInUse:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _drop(self) -> None:
        """Drop the database that has this name now: the one half restored, or the one replaced."""
        self.cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))

    def _drop_replaced(self) -> None:
        """Drop the old database; it has been replaced, so a failure is only reported."""
        try:
            self._drop()
        except psycopg2.Error as error:
            reason = self.target.mask(str(error).partition("\n")[0])
            text = "%s was replaced; the old one is left as %s (%s): drop it there, or leave it to the next db.restore"
            _LOG.warning(text, self.target, self.name, reason)

    def _swap_statements(self, comment: str | None) -> Iterator[sql.Composable]:
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        ours, wanted = sql.Identifier(self.name), sql.Identifier(self.target.database)
        if self.properties is None:
            yield rename.format(ours, wanted)
            yield _comment_statement(self.target.database, comment)
            return
        is_there = not self.properties.is_half_dropped
        interim = sql.Identifier(f"{self.name}_old")
        if is_there:
            yield sql.SQL(_TERMINATE_SESSIONS).format(sql.Literal(self.target.database))
        yield from properties.property_statements(self.name, self.properties)
        if is_there:
            yield rename.format(wanted, interim)
        yield rename.format(ours, wanted)
        if is_there:
            yield rename.format(interim, ours)
            yield _comment_statement(self.name, _LEFTOVER_COMMENT + self.target.database)
        yield _comment_statement(self.target.database, self.properties.comment)


@contextlib.contextmanager
def open_new_database(target: Target, *, wait_seconds: float = _WAIT_SECONDS) -> Iterator[NewDatabase]:
    """Check that the target can be replaced, keep other replacements of it away, and provide what can replace it.

    Raises DatabaseFailedError.
    """
    with (
        maintenance_connection(target) as connection,
        watched_connections(target, wait_seconds, connection),
        connection.cursor() as cursor,
    ):
        limit_lock_waits(cursor, wait_seconds)
        slots = check_replaceable(connection, target)
        keep_others_away(cursor, target)
        yield replace(_new_database(cursor, target), slots=slots, wait_seconds=wait_seconds)


def create_marked_database(target: Target) -> None:
    """Create an empty development database under another name, then rename it; one that exists stays as it is.

    So a database that has the target's name has its mark, too, wherever this process is killed. Another process that
    creates the same database is waited for. Raises DatabaseFailedError.
    """
    with (
        maintenance_connection(target) as connection,
        watched_connections(target, _WAIT_SECONDS, connection),
        connection.cursor() as cursor,
    ):
        keep_others_away(cursor, target, wait_seconds=_WAIT_SECONDS)
        new = _new_database(cursor, target)
        if new.properties is None:
            refuse_missing_creation_right(cursor, target)
            new.clear()


def keep_others_away(cursor: Any, target: Target, *, wait_seconds: float = 0) -> None:
    """Keep others from creating or replacing the database until the session ends.

    Raises DatabaseFailedError where somebody else is still doing that after so many seconds.
    """
    deadline = monotonic() + wait_seconds
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (_LEFTOVER_COMMENT + target.database,))
        if cursor.fetchone()[0]:
            return
        if monotonic() >= deadline:
            why = "another db.restore, db.undo, db.reset or db.create is under way"
            raise DatabaseFailedError(f"{target} is being replaced", why=why, fix="wait for that to end")
        sleep(_PAUSE_SECONDS)


def _new_database(cursor: Any, target: Target) -> NewDatabase:
    """Drop what a killed creation or replacement left, and return the database to create now."""
    pattern = f"^{_name_prefix(target)}[0-9a-f]{{8}}(_old)?$"
    cursor.execute(_LEFTOVERS_QUERY, (pattern,))
    for (leftover,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(leftover)))
    name = f"{_name_prefix(target)}{secrets.token_hex(4)}"
    return NewDatabase(cursor, target, name, properties.read_properties(cursor, target.database))


def _name_prefix(target: Target) -> str:
    """Return how the names begin that a database has before it takes the target's, and the target after that."""
    return f"dormatory_{hashlib.sha256(target.database.encode()).hexdigest()[:8]}_"


def _comment_statement(name: str, text: str | None) -> sql.Composable:
    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))
