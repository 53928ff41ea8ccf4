"""What a session of ours waits for, as the server says it in another session."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.blockers import find_blocker
from dormatory.backends.postgresql.connection import postgresql_connection
from dormatory.backends.postgresql.explanations import CONNECT_TIMEOUT_SECONDS, NO_ANSWER
from dormatory.errors import DatabaseFailedError

if TYPE_CHECKING:
    from dormatory.backends.url import Target

STALLED = "the connection passes nothing on"
_SESSION_QUERY = """
SELECT pid, wait_event_type = 'Client', state <> 'active', state_change::text, pg_database_size(datid), query
  FROM pg_stat_activity WHERE {} = %s
"""


@dataclass(frozen=True, slots=True)
class SessionWait:
    """What a session waits for: a lock, an answer of the server at all, or its client.

    `lock` and `silence` are "" or say the reason. One that `is_idle` has executed all that it got, `since` then. A
    session that the server does not have waits for its client and is idle. `size_bytes` is that of its database.
    """

    lock: str = ""
    silence: str = ""
    waits_for_client: bool = False
    is_idle: bool = False
    since: str = ""
    size_bytes: int = 0
    statement: str = ""


def find_session_wait(target: Target, column: str, value: object) -> SessionWait:
    """Return what the session waits for whose `column` of pg_stat_activity has this value.

    The server is asked in a new session of the target, which may get no answer either.
    """
    found: list[SessionWait] = []
    thread = Thread(target=lambda: found.append(_ask_server(target, column, value)), daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_SECONDS + 1)
    return found[0] if found else SessionWait(silence=f"the server does not answer: {NO_ANSWER}")


def _ask_server(target: Target, column: str, value: object) -> SessionWait:
    try:
        with postgresql_connection(target) as connection, connection.cursor() as cursor:
            cursor.execute(_SESSION_QUERY.format(column), (value,))
            pid, *state = cursor.fetchone() or (0, True, True, "", 0, "")
            blocker = find_blocker(cursor, pid)
            return SessionWait(f"for a lock: {blocker}" if blocker else "", "", *state)
    except DatabaseFailedError as error:  # a full server, for example, says nothing about that session
        return SessionWait(silence=f"the server does not answer: {error.why}" if error.why == NO_ANSWER else "")
