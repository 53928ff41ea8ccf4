"""Signals that end this process: they are turned into an exception, or deferred until a block has ended."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


_REPEAT_SECONDS = 1.0
_arrived: list[int] = []  # the signals of the running command: what their handler raises may be lost
_raising_on: set[int] = set()  # the signals that a handler of ours turns into an exception now


class TerminatedError(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, it ends whatever is running."""


def raise_on_signals() -> contextlib.AbstractContextManager[None]:
    """Let the first Ctrl-C, SIGTERM or SIGHUP raise in the block, so that `finally` clauses run, and ignore later ones.

    Ctrl-C raises KeyboardInterrupt, the others TerminatedError. It is for commands, which end with the block: after the
    first signal the process ignores all others, because another one would change its exit code while it is ending.
    """
    return _raise_on("SIGINT", "SIGTERM", "SIGHUP", ignore_further=True)


def raise_on_termination() -> contextlib.AbstractContextManager[None]:
    """Let SIGTERM and SIGHUP raise TerminatedError in the block, so that `finally` clauses run."""
    return _raise_on("SIGTERM", "SIGHUP")


def stop_if_interrupted() -> None:
    """Raise again for a signal that has arrived and did not stop the command.

    What a handler raises is lost where an extension module is being imported, or in a revision that catches everything.
    """
    if _arrived:
        raise _interruption(_arrived[0])


def is_interruption(error: BaseException) -> bool:
    """Return whether an exception comes from a signal: a project's code may raise KeyboardInterrupt by itself."""
    if not _raising_on:  # then Python raises it
        return isinstance(error, KeyboardInterrupt)
    return bool(_arrived)


@contextlib.contextmanager
def keep_handlers() -> Iterator[None]:
    """Put back the handlers of Ctrl-C, SIGTERM and SIGHUP that the block replaces, unless such a signal arrives."""
    is_main = threading.current_thread() is threading.main_thread()
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if is_main and hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in names)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if not _arrived and handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def mark_handled() -> None:
    """Forget the signal that has arrived: it was passed on, and the command ends as the receiver did."""
    _arrived.clear()


@contextlib.contextmanager
def interruption_note(describe: Callable[[], str]) -> Iterator[None]:
    """Add to an interruption of the block in which state it left the database, and what to do next."""
    try:
        yield
    except (KeyboardInterrupt, TerminatedError) as error:
        error.add_note(describe())
        raise


def _interruption(signal_number: int) -> BaseException:
    return KeyboardInterrupt() if signal_number == signal.SIGINT else TerminatedError()


@contextlib.contextmanager
def _raise_on(*names: str, ignore_further: bool = False) -> Iterator[None]:
    """Raise on some signals; outside the main thread, and for signals with other handlers, nothing changes."""
    received: list[int] = []

    def raise_for_signal(signal_number: int, _frame: FrameType | None) -> None:
        received.append(signal_number)
        _arrived.append(signal_number)
        for number in replaced:  # a second signal must not interrupt the clean-up
            signal.signal(number, lambda *_: None)  # with SIG_IGN, Python warns about a signal that arrives late
        raise _interruption(signal_number)

    replaced: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):  # Windows has no SIGHUP
            default_handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            if signal.getsignal(number) is default_handler:
                replaced[number] = default_handler
    if replaced:
        _arrived.clear()
    for number in replaced:
        signal.signal(number, raise_for_signal)
    _raising_on.update(replaced)
    try:
        yield
    finally:
        _raising_on.difference_update(replaced)
        for number, handler in replaced.items():
            signal.signal(number, signal.SIG_IGN if received and ignore_further else handler)
        if replaced:
            _arrived.clear()


@contextlib.contextmanager
def defer_signals() -> Iterator[None]:
    """Defer Ctrl-C, SIGTERM and SIGHUP until the block has ended: it creates or removes what must not be left behind.

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
def delay_first_signal(on_signal: Callable[[], object]) -> Iterator[None]:
    """Let the first Ctrl-C, SIGTERM or SIGHUP wait until the block has ended, and a second one act at once.

    `on_signal` is called when the first one arrives. What `call_on_signals` does about it waits, too. Outside the main
    thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    handlers = {number: handler for number, handler in handlers.items() if handler not in (None, signal.SIG_IGN)}
    wakeup = signal.set_wakeup_fd(-1)

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        restore()
        on_signal()

    for number in handlers:
        signal.signal(number, receive)
    try:
        yield
    finally:
        restore()
        for number in received:
            signal.raise_signal(number)


@contextlib.contextmanager
def call_on_signals(action: Callable[[], object]) -> Iterator[None]:
    """Call `action` as soon as a signal with a handler arrives, even while the main thread is inside a driver.

    While a driver waits for its database in C code, no Python handler runs. `action` makes the database answer. It runs
    in its own thread and again every second, because a call before the driver has begun to wait has no effect.
    Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    import socket  # noqa: PLC0415  # most commands do not need it

    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def watch() -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                if reader.recv(1) in (b"", b"\0"):  # each signal writes its number; a 0 is written at the end
                    return
            with contextlib.suppress(Exception):  # what should be interrupted has just ended by itself
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
