"""What the errors of the server and of libpq mean to the user, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.driver import sql_state
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.errors import (
    DatabaseFailedError,
    HalfDroppedDatabaseError,
    MalformedURLError,
    MissingDatabaseError,
)

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

CONNECT_TIMEOUT_SECONDS = 10
NO_ANSWER = f"no answer in {CONNECT_TIMEOUT_SECONDS} s"
_MISSING_DATABASE_TEXTS = ("does not exist", "3D000")
_INVALID_DATABASE_TEXT = "cannot connect to invalid database"  # of a DROP DATABASE that was interrupted

INVALID_CONNECTION_LIMIT = -2  # of a database whose DROP DATABASE was interrupted
_LIMIT_REACHED = "the database or the user has as many sessions as its CONNECTION LIMIT allows"

# What libpq's messages mean, and what to do: (part of the message, why, what next).
_EXPLANATIONS = (
    ("password authentication failed", "the server refused the password", "correct the password in DATABASE_URL"),
    ("no password supplied", "the server wants a password", "put one into DATABASE_URL or ~/.pgpass"),
    ("no pg_hba.conf entry", "the server does not let this user in from here", "ask its administrator"),
    ("could not translate host name", "its host name is not known", "correct the host in DATABASE_URL"),
    ("Connection refused", "nothing listens there", "start the server, or correct host and port"),
    ("failed: No such file or directory", "no server has its socket there", "start the server, or correct the host"),
    ("failed: Permission denied", "its socket may not be opened", "ask its administrator, or correct the host"),
    ("invalid response to SSL negotiation", "what listens there is no PostgreSQL", "correct host and port"),
    ('FATAL:  role "', "the server knows no such user", "correct the user in DATABASE_URL, or create it"),
    ("the database system is", "the server is starting or stopping", "wait a moment, then try again"),
    ("timeout expired", NO_ANSWER, "see that host, port and network are right"),
    ("too many connections for", _LIMIT_REACHED, "wait, end some sessions, or raise that limit"),
    ("too many clients", "the server takes no more connections", "wait, or end some sessions"),
    ("connection slots are reserved", "the server takes no more connections", "wait, or end some sessions"),
    ("server does not support SSL", "sslmode asks for what it cannot do", "correct sslmode in DATABASE_URL"),
)

# What to do about an error that contains its own reason, by SQLSTATE: its text depends on the server's language.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_MISSING_RIGHT_FIX = "connect as the owner, or have the right granted"
_ENDED_SESSION_FIX = "somebody ended the session, or the server was stopped; try again"
_IDLE_FIX = "{} of the role or the database ended the session; raise it there"
_STATE_FIXES = {
    "42501": _MISSING_RIGHT_FIX,  # insufficient_privilege
    "57014": "statement_timeout of the role or the database is too short: raise it there; if it is not set, somebody "
    "canceled the statement: run the command again",  # query_canceled
    "57P01": _ENDED_SESSION_FIX,  # admin_shutdown
    "57P02": "the server crashed; try again when it has recovered",  # crash_shutdown
    "57P03": "wait until the server lets sessions in, then try again",  # cannot_connect_now
    "57P05": _IDLE_FIX.format("idle_session_timeout"),
    "25P03": _IDLE_FIX.format("idle_in_transaction_session_timeout"),
    "25P04": _IDLE_FIX.format("transaction_timeout"),
    "55P03": "another session keeps a lock; try again when it has ended",  # lock_not_available
    "53100": "free some space on the server, then try again",  # disk_full
    "53200": "the server has no memory left; see its log, then try again",  # out_of_memory
    "58030": "the server's disk failed; see its log",  # io_error
}
# The same by a part of the text, where the driver or a program keeps no SQLSTATE, or it does not say enough.
_FIXES = (
    ("row-level security", "connect as the owner, or as a user with BYPASSRLS: all rows are wanted"),
    ("due to idle-session timeout", _STATE_FIXES["57P05"]),
    ("due to idle-in-transaction timeout", _STATE_FIXES["25P03"]),
    ("due to transaction timeout", _STATE_FIXES["25P04"]),
    ("terminating connection", _ENDED_SESSION_FIX),
    ("server closed the connection", "see the server's log: it ended, or somebody ended the session"),
    ("connection already closed", "see the server's log: it ended, or somebody ended the session"),
    ("must be owner", "connect as the owner"),
    ("permission denied", _MISSING_RIGHT_FIX),
    ("already exists", "see whether another tool has made it"),
    ("No space left on device", _STATE_FIXES["53100"]),
)
_READ_ONLY_FIX = "it is a standby, or default_transaction_read_only is on: name a server and a role that may write"

_READ_ONLY_STATE = "25006"  # read_only_sql_transaction
# Classes and codes of failures that no revision can avoid: the connection, resources, an operator, the system.
_SYSTEM_CLASSES = ("08", "53", "57P", "58")
_SYSTEM_STATES = frozenset({_READ_ONLY_STATE, "25P03", "25P04"})
_SYSTEM_TEXTS = (
    "server closed the connection",
    "terminating connection",
    "connection already closed",
    "connection has been closed unexpectedly",
    "could not receive data from server",
    "could not send data to server",
    "SSL SYSCALL error",
)


def explain_postgresql_error(error: BaseException, target: Target) -> DormatoryError:
    """Return what the server or libpq reported, and what to do.

    It is recognised in the original text: a user, a password and a database may have one name, which is then masked.
    """
    cause = getattr(error, "orig", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    message = lines[0]
    if f'database "{target.database}"' in message:
        if any(part in message for part in _MISSING_DATABASE_TEXTS):
            return MissingDatabaseError(str(target))
        if _INVALID_DATABASE_TEXT in message:
            return HalfDroppedDatabaseError(str(target))
    for part, why, fix in _EXPLANATIONS:
        if any(part in line for line in lines):
            return DatabaseFailedError(f"cannot reach {target}", why=why, fix=fix)
    if message.startswith("invalid "):
        return MalformedURLError(target.mask(message), fix="correct that value")
    fix = failure_fix(error) or "see the server's log, then try again"
    return DatabaseFailedError(f"{target} failed", why=target.mask(message), fix=fix)


def is_recognized(error: BaseException) -> bool:
    """Return whether the text of an error in connecting is one that is known."""
    text = str(getattr(error, "orig", None) or error)
    known = (*_MISSING_DATABASE_TEXTS, _INVALID_DATABASE_TEXT, *(part for part, *_ in _EXPLANATIONS))
    return any(part in text for part in known)


def refusal_error(row: tuple[int, bool, bool, str] | None, target: Target) -> DormatoryError | None:
    """Return why a user was not let into a database: its limit, whether it is open, whether the user may, the user."""
    if row is None:
        return MissingDatabaseError(str(target))
    limit, is_open, may_connect, user = row
    if limit == INVALID_CONNECTION_LIMIT:
        return HalfDroppedDatabaseError(str(target))
    name = DIALECT.quote_identifier(target.database)
    if not is_open:
        why, fix = "it is closed to everybody", f"if that is not meant: ALTER DATABASE {name} ALLOW_CONNECTIONS true"
    elif not may_connect:
        why = "this user may not connect to it"
        fix = f"ask its owner: GRANT CONNECT ON DATABASE {name} TO {DIALECT.quote_identifier(user)}"
    else:
        return None
    return DatabaseFailedError(f"cannot reach {target}", why=why, fix=fix)


def failure_fix(error: BaseException) -> str:
    """Return what to do about an error that contains its own reason; "" if that is not known."""
    cause = getattr(error, "orig", None) or error
    if sql_state(cause) == _READ_ONLY_STATE:
        return _READ_ONLY_FIX
    by_text = next((fix for part, fix in _FIXES if part in str(cause)), "")
    return by_text or _STATE_FIXES.get(sql_state(cause), "")


def is_unexplained(error: BaseException) -> bool:
    """Return whether a new session can tell more: why nothing can be written, or that the server is still there."""
    cause = getattr(error, "orig", None) or error
    return sql_state(cause) == _READ_ONLY_STATE or "server closed the connection" in str(cause)


def ended_session_error(target: Target) -> DatabaseFailedError:
    """Return the error for a session that has ended on a server that goes on."""
    why = "its session was ended, by somebody or by a time-out of the role; the server goes on"
    return DatabaseFailedError(f"{target} failed", why=why, fix="see who did it in the server's log, then try again")


def is_system_failure(error: BaseException) -> bool:
    """Return whether a failure is one of the server, the connection or a setting, whatever was executed."""
    cause = getattr(error, "orig", None) or error
    state = sql_state(cause)
    return (
        state.startswith(_SYSTEM_CLASSES)
        or state in _SYSTEM_STATES
        or any(part in str(cause) for part in _SYSTEM_TEXTS)
    )


def is_missing_right(error: BaseException) -> bool:
    """Return whether the role may not do something, or not for so long."""
    cause = getattr(error, "orig", None) or error
    return sql_state(cause) in {"42501", "57014"}
