"""Watches connections of this process: says what a statement waits for, and closes one that passes nothing on."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE

from dormatory.backends.postgresql.blockers import shorten_query
from dormatory.backends.postgresql.session_wait import STALLED, find_session_wait
from dormatory.errors import StalledConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.session_wait import SessionWait
    from dormatory.backends.url import Target

_LOOK_SECONDS = 0.5
_SILENT_SECONDS = 10.0  # how long a statement may take before the server is asked
_PAUSE_SECONDS = 5.0  # between two questions
_LOG = logging.getLogger("dormatory")


@dataclass(slots=True)
class _Watched:
    """A connection, since when it has been waiting for an answer, and what the server said last about its session."""

    connection: Any
    waiting_since: float | None = None
    ask_at: float = 0.0
    last: SessionWait | None = None
    has_warned: bool = False


class StallWatch:
    """Connections of psycopg2 to one server; `reason` says why they were closed, "" while they are not."""

    def __init__(self, target: Target, wait_seconds: float) -> None:
        self._target, self._wait_seconds = target, wait_seconds
        self._watched: list[_Watched] = []
        self.reason = ""

    def add(self, connection: Any) -> None:
        """Watch one more connection of psycopg2; one of another driver is left alone."""
        if hasattr(getattr(connection, "info", None), "transaction_status"):
            self._watched.append(_Watched(connection))

    def look(self) -> None:
        """Ask the server about the connections that have been waiting for some seconds."""
        for one in self._watched:
            if one.connection.closed or one.connection.info.transaction_status != TRANSACTION_STATUS_ACTIVE:
                one.waiting_since, one.last, one.has_warned = None, None, False
                continue
            now = monotonic()
            one.waiting_since = one.waiting_since or now
            if now - one.waiting_since >= min(_SILENT_SECONDS, self._wait_seconds) and now >= one.ask_at:
                self._ask_server(one, now - one.waiting_since)

    def _ask_server(self, one: _Watched, waited_seconds: float) -> None:
        info = one.connection.info
        before = one.last
        one.last = wait = find_session_wait(self._target.with_database(info.dbname), "pid", info.backend_pid)
        reason = wait.silence or (STALLED if wait.waits_for_client and wait.is_idle else "")
        # A statement that has just ended, with its answer on the way, looks the same once.
        is_sure = before is not None and (before.silence, before.since, before.is_idle) == (
            wait.silence, wait.since, wait.is_idle
        )  # fmt: skip
        one.ask_at = monotonic() + (_LOOK_SECONDS if reason and not is_sure else _PAUSE_SECONDS)
        if reason and is_sure and waited_seconds >= self._wait_seconds:
            self.reason = reason
            for other in self._watched:
                _shut_down(other.connection)
        elif not one.has_warned and (wait.lock or (reason and is_sure)):
            limit = f"; at most {self._wait_seconds:g} s" if reason else ""
            statement = shorten_query(wait.statement) or "a statement"
            _LOG.warning("%s: %s waits (%s)%s", self._target, statement, wait.lock or reason, limit)
            one.has_warned = True


@contextlib.contextmanager
def watched_connections(target: Target, wait_seconds: float, *connections: Any) -> Iterator[StallWatch]:
    """Watch connections during the block; raises StalledConnectionError for one that passes nothing on for too long.

    libpq waits for an answer without end, and keep-alive packets are answered by whatever stands between.
    """
    watch, ended = StallWatch(target, wait_seconds), Event()
    for connection in connections:
        watch.add(connection)

    def poll() -> None:
        while not ended.wait(_LOOK_SECONDS) and not watch.reason:
            watch.look()

    Thread(target=poll, daemon=True).start()
    try:
        yield watch
    except Exception as error:
        if watch.reason:
            raise StalledConnectionError(str(target), watch.reason, wait_seconds) from error
        raise
    finally:
        ended.set()


def _shut_down(connection: Any) -> None:
    """Let the connection end for whoever waits for it, in C code, in another thread."""
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
