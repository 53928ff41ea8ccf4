"""Whether a PostgreSQL database can be replaced now, found out before a backup is made and anything is dropped."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg2

from dormatory.backends.postgresql.connection import postgresql_connection
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.postgresql.maintenance import refuse_unwritable
from dormatory.backends.postgresql.properties import property_statements, read_properties
from dormatory.errors import (
    DatabaseFailedError,
    HalfDroppedDatabaseError,
    IrreplaceableDatabaseError,
    MissingDatabaseError,
)
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from dormatory.backends.url import Target

_quoted = DIALECT.quote_identifier

_MAX_SHOWN_SESSIONS = 3

# A new database can be in the default tablespace without a right on it.
_RIGHTS_QUERY = """
SELECT d.datistemplate, pg_get_userbyid(d.datdba), pg_has_role(d.datdba, 'USAGE'), r.rolname,
       r.rolsuper OR r.rolcreatedb, t.spcname,
       t.spcname = 'pg_default' OR has_tablespace_privilege(d.dattablespace, 'CREATE')
  FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace, pg_roles r
 WHERE d.datname = %s AND r.rolname = current_user
"""
_CREATION_RIGHT_QUERY = "SELECT rolname, rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
# What keeps a database from being renamed and dropped, in the order in which it is to be removed.
_SUBSCRIPTIONS_QUERY = """
SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = %s ORDER BY 1
"""
_PREPARED_QUERY = "SELECT gid, owner FROM pg_prepared_xacts WHERE database = %s ORDER BY prepared LIMIT 1"
_SLOTS_QUERY = "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s ORDER BY 1"
# Sessions without a user are the server's own, which makes room by itself.
_FOREIGN_SESSIONS_QUERY = """
SELECT a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'an unnamed program'), o.rolsuper, current_user
  FROM pg_stat_activity a JOIN pg_roles o ON o.oid = a.usesysid
 WHERE a.datname = %s AND a.pid <> pg_backend_pid() AND NOT pg_has_role(a.usesysid, 'USAGE')
   AND (o.rolsuper OR NOT pg_has_role('pg_signal_backend', 'USAGE'))
 ORDER BY o.rolsuper DESC, a.backend_start
"""


def check_replaceable(maintenance: Any, target: Target) -> tuple[str, ...]:
    """Return the logical replication slots that would go with the database; a missing database can be replaced.

    `maintenance` is a connection to another database. Raises IrreplaceableDatabaseError, PoolerError, StandbyError,
    ReadOnlyDefaultError.
    """
    with contextlib.suppress(MissingDatabaseError, HalfDroppedDatabaseError), postgresql_connection(target) as own:
        own.autocommit = True
        refuse_unwritable(own, target)
    with maintenance.cursor() as cursor:
        _refuse_missing_rights(cursor, target)
        slots = _refuse_users(cursor, target)
        _refuse_unrestorable_properties(maintenance, target)
    return tuple(slots)


def refuse_missing_creation_right(cursor: Any, target: Target) -> None:
    """Raise DatabaseFailedError for a user who may not create the database, which does not exist."""
    cursor.execute(_CREATION_RIGHT_QUERY)
    user, may_create = cursor.fetchone()
    if not may_create:
        grant = f"ALTER ROLE {_quoted(user)} CREATEDB"
        create = f"CREATE DATABASE {_quoted(target.database)} OWNER {_quoted(user)}"
        fix = f"let a superuser say: {grant}; or: {create}"
        raise DatabaseFailedError(f"{target} cannot be created", why=f"{user} may not create databases", fix=fix)


def _refuse_missing_rights(cursor: Any, target: Target) -> None:
    cursor.execute(_RIGHTS_QUERY, (target.database,))
    if (found := cursor.fetchone()) is None:
        refuse_missing_creation_right(cursor, target)
        return
    is_template, owner, is_ours, user, may_create, tablespace, may_use_tablespace = found
    if is_template:
        why = "it is a template for new databases"
        fix = f"if it is not meant to be one: ALTER DATABASE {_quoted(target.database)} IS_TEMPLATE false"
    elif not is_ours:
        why, fix = f"it belongs to {owner}", "connect as its owner"
    elif not may_create:
        why = f"{user} may not create the database that takes its place"
        fix = f"let a superuser say: ALTER ROLE {_quoted(user)} CREATEDB"
    elif not may_use_tablespace:
        why = f"{user} has no right on its tablespace {tablespace}"
        fix = f"let a superuser say: GRANT CREATE ON TABLESPACE {_quoted(tablespace)} TO {_quoted(user)}"
    else:
        return
    raise IrreplaceableDatabaseError(str(target), why, fix=fix)


def _refuse_users(cursor: Any, target: Target) -> list[str]:
    """Return the idle replication slots; raise for sessions and other users of the database that cannot be ended."""
    refused = partial(IrreplaceableDatabaseError, str(target))
    cursor.execute(_SUBSCRIPTIONS_QUERY, (target.database,))
    if found := cursor.fetchone():
        why = f"its subscription {found[0]} receives changes from another server"
        raise refused(why, fix=f"drop it there: DROP SUBSCRIPTION {_quoted(found[0])}")
    cursor.execute(_PREPARED_QUERY, (target.database,))
    if found := cursor.fetchone():
        why = f"the prepared transaction {found[0]} of {found[1]} is in it, and belongs to no session that can be ended"
        raise refused(why, fix=f"in inv db.shell: ROLLBACK PREPARED {quote_literal(found[0])}, or COMMIT PREPARED")
    cursor.execute(_SLOTS_QUERY, (target.database,))
    slots: list[tuple[str, int | None]] = cursor.fetchall()
    if active := next((slot for slot in slots if slot[1]), None):
        why = f"pid {active[1]} receives its changes through the replication slot {active[0]}"
        raise refused(why, fix="end that subscriber first")
    cursor.execute(_FOREIGN_SESSIONS_QUERY, (target.database,))
    if sessions := cursor.fetchall():
        shown = [f"pid {pid}, role {role}, {program}" for pid, role, program, *_ in sessions[:_MAX_SHOWN_SESSIONS]]
        more = [f"{len(sessions) - len(shown)} more"] if len(sessions) > len(shown) else []
        *_, needs_superuser, user = sessions[0]
        right = "only a superuser may end" if needs_superuser else f"{user} lacks the right to end"
        grant = "connect as a superuser" if needs_superuser else f"GRANT pg_signal_backend TO {_quoted(user)}"
        why = f"sessions are in it that {right}: {'; '.join(shown + more)}"
        raise refused(why, fix=f"end these programs, or: {grant}")
    return [name for name, _ in slots]


def _refuse_unrestorable_properties(connection: Any, target: Target) -> None:
    """Give the database its own settings and rights once more, and take that back: what fails would fail later."""
    with connection.cursor() as cursor:
        properties = read_properties(cursor, target.database)
        if properties is None or properties.is_half_dropped:
            return
        try:
            cursor.execute("BEGIN")
            for statement in property_statements(target.database, properties):
                shown = statement.as_string(connection)
                cursor.execute(statement)
        except psycopg2.Error as error:
            message = target.mask(str(error).partition("\n")[0])
            why = f"a new one could not be given what this one has, {shown}: {message}"
            fix = "connect as a superuser, or take that setting or right away from the database"
            raise IrreplaceableDatabaseError(str(target), why, fix=fix) from error
        finally:
            cursor.execute("ROLLBACK")
