"""Programs are started here: with argument lists, without a shell, with a time limit; none is left running."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from dormatory.errors import ProgramFailedError
from dormatory.system.signals import TerminatedError, mark_handled, stop_if_interrupted
from dormatory.system.text import last_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_SHUTDOWN_SECONDS = 15.0  # how long an interrupted child may take to roll back before it is killed
_NICENESS_INCREMENT = 10  # more niceness than ours; the system stops at 19
_TAIL_LINES = 8
# Of a program that cannot be started at any time; the other errors are of a machine without processes, memory, ...
_UNUSABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """The exit code of a program that has ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Account:
    """An existing user, by number, that a program runs as instead of us."""

    uid: int
    gid: int


def run_program(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str | None = None,
    account: Account | None = None,
    timeout: float = 120.0,
    fix: str = "read its message",
    check: bool = True,
    low_priority: bool = False,
    on_second: Callable[[], None] | None = None,
) -> ProcessResult:
    """Run a program to its end, `text` on its standard input, and return what it wrote.

    `timeout` is in seconds. With `low_priority`, other programs get the processors first. `on_second` is called every
    second; an exception of it ends the program. Raises
    ProgramFailedError when it cannot be started, takes too long, or (with `check`) exits with anything but 0; the error
    names the program, never its arguments.
    """
    name = os.path.basename(arguments[0])  # noqa: PTH119  # a word, not a path to look at
    with _running_process(
        arguments,
        env=env,
        cwd=cwd,
        account=account,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        if low_priority and hasattr(os, "setpriority"):  # Windows has none
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS_INCREMENT)
        try:
            stdout, stderr = _communicate(child, text, timeout, on_second)
        except subprocess.TimeoutExpired as error:
            what, why = f"{name} did not end", f"no answer in {timeout:g} s"
            raise ProgramFailedError(name, code=-1, tail=why, fix=fix, what=what) from error
    if check and child.returncode != 0:
        raise ProgramFailedError(
            name, code=child.returncode, tail="\n".join(last_lines(stderr or stdout, _TAIL_LINES)), fix=fix
        )
    return ProcessResult(child.returncode, stdout, stderr)


def _communicate(
    child: subprocess.Popen[str], text: str | None, timeout: float, on_second: Callable[[], None] | None
) -> tuple[str, str]:
    deadline = monotonic() + timeout
    while on_second and monotonic() + 1.0 < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):  # nothing of the output is lost
            return child.communicate(text, timeout=1.0)
        on_second()
    return child.communicate(text, timeout=max(0.0, deadline - monotonic()))


def run_in_foreground(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
    """Run a program that writes to the user's terminal itself, without a time limit, and return its exit code.

    A signal is passed on to it; it says itself how it ended, unless it has to be killed.
    """
    stop_if_interrupted()
    sys.stdout.flush()
    sys.stderr.flush()
    with _spawn(arguments, env=env, cwd=cwd, stdin=subprocess.DEVNULL) as child:
        try:
            return child.wait()
        except BaseException as error:
            _interrupt_or_kill(child, signal.SIGTERM if isinstance(error, TerminatedError) else signal.SIGINT)
            if child.returncode <= 0 or not isinstance(error, (KeyboardInterrupt, TerminatedError)):
                raise
            mark_handled()
            return child.returncode


def run_interactive(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
    """Give the terminal to an interactive program until it ends, and return its exit code.

    Meanwhile Ctrl-C reaches only that program.
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
def piped_process(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a program that reads our requests and writes its answers through pipes, and end it with the block.

    Its messages go where ours go, or to the file with the number `stderr`.
    """
    with _running_process(
        arguments, env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
    ) as child:
        yield child


def start_server(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    account: Account | None = None,
) -> subprocess.Popen[str]:
    """Start a server as our own child and return it; the caller stops it.

    Its output goes to the file `log`: a pipe would fill up, or keep a caller waiting for its end.
    """
    with log.open("ab") as file:
        streams = {"stdin": subprocess.DEVNULL, "stdout": file.fileno(), "stderr": subprocess.STDOUT}
        return _spawn(arguments, env=env, cwd=cwd, account=account, **streams)


@contextlib.contextmanager
def _running_process(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    account: Account | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start a program in its own session, so that only we interrupt it: once, and we wait for its rollback."""
    child = _spawn(arguments, env=env, cwd=cwd, account=account, stdin=stdin, stdout=stdout, stderr=stderr)
    with child:
        try:
            yield child
        except BaseException:
            _interrupt_or_kill(child)
            raise


def _spawn(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    account: Account | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
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
        what, why = f"{name} could not be started", error.strerror or str(error)
        if error.errno in _UNUSABLE:
            fix = "check that it is installed and executable"
            raise ProgramFailedError(name, code=127, tail=why, fix=fix, what=what) from error
        fix = "wait until the machine has less to do, then run the command again"
        raise ProgramFailedError(name, code=-1, tail=why, fix=fix, what=what) from error


def _interrupt_or_kill(child: subprocess.Popen[str], first: signal.Signals = signal.SIGINT) -> None:
    """Send a program a signal that it can handle, and kill it if it does not end."""
    for number in (first, signal.SIGKILL):
        if child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_SHUTDOWN_SECONDS)
