"""Starting programs: argument lists, no shell, a time limit, nothing left running, no secret in sight."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.errors import ProgramFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

_PATIENCE_SECONDS = 15.0  # how long an interrupted child may take to roll back before it is killed
_AGAIN_SECONDS = 1.0
_PATIENT = 10  # more niceness than ours; the system stops at 19
_TAIL_LINES = 8


class TerminatedError(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, it unwinds whatever is going on."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program that ended left: its exit code and what it wrote."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Account:
    """An existing user, by number, that a program runs as instead of us."""

    uid: int
    gid: int


def unwinding_on_signals() -> contextlib.AbstractContextManager[None]:
    """Let the first Ctrl-C, SIGTERM or SIGHUP raise in the block, so that `finally` clauses run, and ignore the rest.

    The first raises KeyboardInterrupt, the others TerminatedError. It is for commands, whose end is the block's: once
    one has arrived the process stays deaf, or the next would end it with another exit code while it is leaving.
    """
    return _unwinding("SIGINT", "SIGTERM", "SIGHUP", stays_deaf=True)


def unwinding_on_termination() -> contextlib.AbstractContextManager[None]:
    """Let SIGTERM and SIGHUP raise TerminatedError in the block, so that `finally` clauses run."""
    return _unwinding("SIGTERM", "SIGHUP")


@contextlib.contextmanager
def _unwinding(*names: str, stays_deaf: bool = False) -> Iterator[None]:
    """Outside the main thread, or where the program has handlers of its own, nothing changes."""
    met: list[int] = []

    def unwind(arrived: int, _frame: FrameType | None) -> None:
        met.append(arrived)
        for number in replaced:  # a second signal must not break off the cleaning up
            signal.signal(number, lambda *_: None)  # Python complains where it meets one late that has SIG_IGN
        raise KeyboardInterrupt if arrived == signal.SIGINT else TerminatedError

    replaced: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):  # Windows has no SIGHUP
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            if signal.getsignal(number) is usual:
                replaced[number] = usual
    for number in replaced:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, signal.SIG_IGN if met and stays_deaf else handler)


@contextlib.contextmanager
def deferring_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP wait until the block has ended: it makes or removes what must not be left.

    Outside the main thread, where no handler of ours runs, nothing changes.
    """
    arrived: list[int] = []
    replaced: dict[int, Callable[[int, FrameType | None], object] | int] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            handler = None if number is None else signal.getsignal(number)
            if number is not None and handler not in (None, signal.SIG_IGN):
                replaced[number] = handler
                signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(arrived):
            signal.raise_signal(number)


@contextlib.contextmanager
def calling_on_signals(act: Callable[[], object]) -> Iterator[None]:
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
                act()
            reader.settimeout(_AGAIN_SECONDS)

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


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str | None = None,
    account: Account | None = None,
    timeout: float = 120.0,
    fix: str = "see what it said",
    check: bool = True,
    yields: bool = False,
) -> Finished:
    """Run a program to its end, `text` on its standard input, and return what it wrote.

    `timeout` is in seconds. A program that `yields` leaves the processors to whatever else wants them. Raises
    ProgramFailedError when it cannot be started, takes too long, or (with `check`) exits with anything but 0; the error
    names the program, never its arguments.
    """
    name = os.path.basename(arguments[0])  # noqa: PTH119  # a word, not a path to look at
    with _started(
        arguments,
        env=env,
        cwd=cwd,
        account=account,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        if yields and hasattr(os, "setpriority"):  # Windows has none
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, 0) + _PATIENT)
        try:
            stdout, stderr = child.communicate(text, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ProgramFailedError(name, code=-1, tail=f"no answer in {timeout:g} s", fix=fix) from error
    if check and child.returncode != 0:
        raise ProgramFailedError(name, code=child.returncode, tail=_tail(stderr or stdout), fix=fix)
    return Finished(child.returncode, stdout, stderr)


def relay(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
    """Run a program that speaks to the user itself, for as long as it takes, and return its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    with _started(arguments, env=env, cwd=cwd, stdin=subprocess.DEVNULL) as child:
        return child.wait()


def hand_over(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
    """Give the terminal to an interactive program until it ends, and return its exit code.

    Ctrl-C belongs to that program meanwhile, as it would without us.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        restored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        return subprocess.run(arguments, env=env, cwd=cwd, check=False, **restored).returncode  # type: ignore[call-overload,no-any-return] # keyword by name: Windows has none
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def conversing(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a program that is asked on its standard input and answers on its standard output, and end it with the block.

    Its messages go where ours go, or to the file with the number `stderr`.
    """
    with _started(arguments, env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr) as child:
        yield child


def serve(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    account: Account | None = None,
) -> subprocess.Popen[str]:
    """Start a server as our own child and return it; stopping it is the caller's business.

    Its output goes to the file `log`, never to a pipe that nobody reads or that would keep a caller waiting.
    """
    with log.open("ab") as file:
        streams = {"stdin": subprocess.DEVNULL, "stdout": file.fileno(), "stderr": subprocess.STDOUT}
        return _spawned(arguments, env=env, cwd=cwd, account=account, **streams)


@contextlib.contextmanager
def _started(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    account: Account | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start a program in a session of its own: only we interrupt it, once, and wait for its rollback."""
    child = _spawned(arguments, env=env, cwd=cwd, account=account, stdin=stdin, stdout=stdout, stderr=stderr)
    with child:
        try:
            yield child
        except BaseException:
            _end(child)
            raise


def _spawned(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    account: Account | None,
    stdin: int | None,
    stdout: int | None,
    stderr: int | None,
) -> subprocess.Popen[str]:
    identity: dict[str, Any] = {}  # keywords by name: Windows has none of them
    if account is not None:
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        return subprocess.Popen(
            arguments, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, text=True,
            encoding="utf-8", errors="replace", start_new_session=True, **identity,
        )  # fmt: skip
    except OSError as error:
        name = os.path.basename(arguments[0])  # noqa: PTH119  # a word, not a path to look at
        raise ProgramFailedError(
            name, code=127, tail=error.strerror or str(error), fix="see that it is installed and executable"
        ) from error


def _end(child: subprocess.Popen[str]) -> None:
    """Interrupt a program, and kill it when it does not end."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE_SECONDS)


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_TAIL_LINES:])
