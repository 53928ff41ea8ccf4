"""What the errors of the server and of libpq mean to the user, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors import DatabaseFailedError, MalformedURLError, MissingDatabaseError

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.errors import DormatoryError

CONNECT_TIMEOUT_SECONDS = 10
_MISSING_DATABASE_TEXTS = ("does not exist", "3D000")

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
    ("permission denied for database", "this user may not connect to it", "ask its owner"),
    ("the database system is", "the server is starting or stopping", "wait a moment, then try again"),
    ("timeout expired", f"no answer in {CONNECT_TIMEOUT_SECONDS} s", "see that host, port and network are right"),
    ("too many connections", "the server takes no more connections", "wait, or end some sessions"),
    ("server does not support SSL", "sslmode asks for what it cannot do", "correct sslmode in DATABASE_URL"),
)

# What to do about errors that contain their own reason: (part of the message, what next).
_FIXES = (
    ("permission denied", "connect as the owner, or have the right granted"),
    ("row-level security", "connect as the owner, or as a user with BYPASSRLS: all rows are wanted"),
    ("must be owner", "connect as the owner"),
    ("No space left on device", "free some space on the server, then try again"),
    ("already exists", "see whether another tool has made it"),
    ("server closed the connection", "see the server's log: it ended, or somebody ended the session"),
    ("due to lock timeout", "another session keeps a lock; try again when it has ended"),
    ("terminating connection", "somebody ended the session; try again"),
)


def explain_postgresql_error(error: BaseException, target: Target) -> DormatoryError:
    """Return what the server or libpq reported, and what to do."""
    cause = getattr(error, "orig", None) or error
    lines = [line.strip() for line in target.mask(str(cause)).splitlines() if line.strip()]
    message = lines[0] if lines else type(cause).__name__
    if any(part in message for part in _MISSING_DATABASE_TEXTS) and f'database "{target.database}"' in message:
        return MissingDatabaseError(str(target))
    for part, why, fix in _EXPLANATIONS:
        if any(part in line for line in lines):
            return DatabaseFailedError(f"cannot reach {target}", why=why, fix=fix)
    if message.startswith("invalid "):
        return MalformedURLError(message, fix="correct that value")
    fix = next((fix for part, fix in _FIXES if part in message), "see the server's log, then try again")
    return DatabaseFailedError(f"{target} failed", why=message, fix=fix)
