"""Readers and writers that use tables repeatedly while a revision runs, and measure how long they wait."""

from __future__ import annotations

import contextlib
from threading import Event, Thread
from time import perf_counter
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.rehearsal.model import Wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.backends.parts import ProbeAttempt
    from dormatory.backends.url import Target
    from dormatory.recording.leg import Direction

_PAUSE_SECONDS = 0.002
_THREAD_TIMEOUT_SECONDS = 5.0


@contextlib.contextmanager
def probe_tables(
    target: Target, tables: Sequence[str], direction: Direction, waits: list[Wait], *, writing: bool = True
) -> Iterator[None]:
    """Probe tables for the length of the block, then add the longest wait of each reader and each writer to a list.

    The backend decides which of the tables are probed. Without `writing`, there are only readers.
    """
    probe = backend_for(target).probe
    users = (False, True) if writing else (False,)
    threads = [
        _ProbeThread(probe.open_probe(target, table, writes=writes), table, direction, writes=writes)
        for table in probe.split_by_limit(tables)[0]
        for writes in users
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.ready.wait(_THREAD_TIMEOUT_SECONDS)
        yield
    finally:
        for thread in threads:
            thread.stop_requested.set()
        for thread in threads:
            thread.join(_THREAD_TIMEOUT_SECONDS)
        waits += [wait for thread in threads if (wait := thread.longest_wait) is not None]


class _ProbeThread(Thread):
    """Uses one table repeatedly until `stop_requested` is set, and keeps the longest wait."""

    def __init__(
        self, probe: contextlib.AbstractContextManager[ProbeAttempt], table: str, direction: Direction, *, writes: bool
    ) -> None:
        super().__init__(daemon=True)
        self._probe, self._table, self._direction = probe, table, direction
        self._user = "writers" if writes else "readers"
        self.ready, self.stop_requested = Event(), Event()
        self.longest_wait: Wait | None = None

    def run(self) -> None:
        """Attempt, pause and attempt again; stop if the table cannot be used any more."""
        longest = 0.0
        try:
            with self._probe as attempt:
                attempt()
                self.ready.set()
                outcome: bool | None = True
                while outcome is not None and not self.stop_requested.wait(_PAUSE_SECONDS):
                    began = perf_counter()
                    while (outcome := attempt()) is False and not self.stop_requested.is_set():
                        pass
                    longest = max(longest, perf_counter() - began)
        except Exception:  # noqa: BLE001  # a probe that fails reports no wait, and does not end the rehearsal
            return
        finally:
            self.ready.set()
        self.longest_wait = Wait(self._table, self._user, self._direction, longest)
