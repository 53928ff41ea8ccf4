"""Signals that ask this process to end: turned into an exception, or kept until a step is done."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


_REPEAT_SECONDS = 1.0


class TerminatedError(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, it unwinds whatever is going on."""


def raise_on_signals() -> contextlib.AbstractContextManager[None]:
    """Let the first Ctrl-C, SIGTERM or SIGHUP raise in the block, so that `finally` clauses run, and ignore the rest.

    The first raises KeyboardInterrupt, the others TerminatedError. It is for commands, whose end is the block's: once
    one has arrived the process stays deaf, or the next would end it with another exit code while it is leaving.
    """
    return _raise_on("SIGINT", "SIGTERM", "SIGHUP", ignore_further=True)


def raise_on_termination() -> contextlib.AbstractContextManager[None]:
    """Let SIGTERM and SIGHUP raise TerminatedError in the block, so that `finally` clauses run."""
    return _raise_on("SIGTERM", "SIGHUP")


@contextlib.contextmanager
def _raise_on(*names: str, ignore_further: bool = False) -> Iterator[None]:
    """Outside the main thread, or where the program has handlers of its own, nothing changes."""
    received: list[int] = []

    def raise_for_signal(signal_number: int, _frame: FrameType | None) -> None:
        received.append(signal_number)
        for number in replaced:  # a second signal must not break off the cleaning up
            signal.signal(number, lambda *_: None)  # Python complains where it meets one late that has SIG_IGN
        raise KeyboardInterrupt if signal_number == signal.SIGINT else TerminatedError

    replaced: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):  # Windows has no SIGHUP
            default_handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            if signal.getsignal(number) is default_handler:
                replaced[number] = default_handler
    for number in replaced:
        signal.signal(number, raise_for_signal)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, signal.SIG_IGN if received and ignore_further else handler)


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP wait until the block has ended: it makes or removes what must not be left.

    Outside the main thread, where no handler of ours runs, nothing changes.
    """
    received: list[int] = []
    replaced: dict[int, Callable[[int, FrameType | None], object] | int] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            handler = None if number is None else signal.getsignal(number)
            if number is not None and handler not in (None, signal.SIG_IGN):
                replaced[number] = handler
                signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(received):
            signal.raise_signal(number)


@contextlib.contextmanager
def call_on_signals(action: Callable[[], object]) -> Iterator[None]:
    """Call `act` as soon as a signal arrives that has a handler, even while the main thread is inside a driver.

    A driver that waits for its database in C lets no handler run until the answer is there; `act` is what makes
    it answer, and runs in a thread of its own, again every second: a driver that had not begun to wait yet does not
    notice. Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    import socket  # noqa: PLC0415  # most programs get by without

    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                if reader.recv(1) in (b"", b"\0"):  # each signal writes its number, the end a 0
                    return
            with contextlib.suppress(Exception):  # what was to be broken off has just ended by itself
                action()
            reader.settimeout(_REPEAT_SECONDS)

    watcher = threading.Thread(target=watch, daemon=True)
    with reader, writer:
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        watcher.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            writer.send(b"\0")
            watcher.join()
