"""Calls functions in worker processes: those that execute another project's code, and those that run in parallel.

Projects keep engines, settings and metadata from their first import on, so a second database in the same process
would get those of the first. A project whose env.py is ours keeps nothing and is run in this process.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dormatory.errors import DormatoryError, EndedInRevisionError, EnvironmentFailedError
from dormatory.system.position_file import POSITION_VARIABLE, position_file, position_in
from dormatory.system.process import piped_process
from dormatory.system.quiet_logging import quiet_logging
from dormatory.system.signals import raise_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from subprocess import Popen
    from typing import TextIO

    from dormatory.errors.location import Location
    from dormatory.project.project import Project

_MESSAGE = "message"
_K = TypeVar("_K")
_T = TypeVar("_T")
_IMPORT_ROOT = str(Path(__file__).resolve().parents[2])
# `-P` and the appended path: our directories must not hide the project's modules, nor the project's directories Alembic
# before it is loaded.  Interrupted while it loads, the worker ends without a traceback.
_WORKER_CODE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); sys.path.append(sys.argv.pop(1)); "
    "from dormatory.system.tuning import tune_process; tune_process(); "
    "from dormatory.runtime.worker import run_worker; run_worker()"
)


def call_in_worker(
    project: Project, function: Callable[..., _T], *arguments: Any, on_message: Callable[[Any], None] | None = None
) -> _T:
    """Call a function of a module and return its result; in a worker process if the project's env.py is not ours.

    With `on_message`, the function gets one more argument, a function that passes its argument to `on_message` at once.
    A DormatoryError passes through; any other end of the process is an EnvironmentFailedError.
    """
    if project.has_our_environment:
        return function(*arguments, *([on_message] if on_message else []))
    with _start_worker(project, function, sends_messages=on_message is not None) as child:
        _send_arguments(child, arguments)
        for kind, value in _messages(child):
            if kind == _MESSAGE and on_message:
                on_message(value)
    return cast("_T", _result_or_raise(kind, value))


def call_in_parallel(
    project: Project,
    names: Collection[_K],
    arguments: Callable[[_K], Sequence[Any]],
    function: Callable[..., _T],
    on_message: Callable[[_K, Any], None],
) -> dict[_K, _T]:
    """Call a function once for each name, in parallel worker processes, and return the result of each call.

    `arguments(name)` is called while the processes load. `on_message(name, value)` receives the messages of a worker. A
    single call stays in this process if it starts workers itself, for an env.py that is not ours: a revision may end
    its process, or print when it is done. When all have ended, the DormatoryError of the first name that raised one
    passes through.
    """
    if len(names) == 1 and not project.has_our_environment:
        (name,) = names
        return {name: function(*arguments(name), lambda value: on_message(name, value))}
    messages: SimpleQueue[tuple[_K, str, Any]] = SimpleQueue()
    results: dict[_K, _T] = {}
    failed: dict[_K, DormatoryError] = {}
    with ExitStack() as stack:
        children = {name: stack.enter_context(_start_worker(project, function, sends_messages=True)) for name in names}
        for name, child in children.items():
            _send_arguments(child, arguments(name))
            Thread(target=_forward_messages, args=(name, child, messages), daemon=True).start()
        while len(results) + len(failed) < len(children):
            name, kind, value = messages.get()
            if kind == _MESSAGE:
                on_message(name, value)
                continue
            try:
                results[name] = cast("_T", _result_or_raise(kind, value))
            except DormatoryError as error:
                failed[name] = error
    for name in names:
        if name in failed:
            raise failed[name]
    return results


def _forward_messages(name: _K, child: _Worker, messages: SimpleQueue[tuple[_K, str, Any]]) -> None:
    for kind, value in _messages(child):
        messages.put((name, kind, value))


@contextmanager
def _start_worker(project: Project, function: Callable[..., Any], *, sends_messages: bool) -> Iterator[_Worker]:
    """Start a worker, which loads the module of the function while its arguments are being made."""
    command = [sys.executable, "-P", "-c", _WORKER_CODE, _IMPORT_ROOT]
    with ExitStack() as stack:
        position = stack.enter_context(position_file())
        env = os.environ | {POSITION_VARIABLE: str(position)}
        process = stack.enter_context(piped_process(command, env=env, cwd=project.root))
        stdin = cast("TextIO", process.stdin)
        pickle.dump((function, sends_messages), stdin.buffer)
        stdin.flush()
        yield _Worker(process, position)


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker process, and the file that says where it is."""

    process: Popen[str]
    position: Path


def _send_arguments(child: _Worker, arguments: Sequence[Any]) -> None:
    """Send the arguments, so that the worker makes its call; if it has ended, reading its messages reports that."""
    with suppress(BrokenPipeError), cast("TextIO", child.process.stdin) as stdin:
        pickle.dump(tuple(arguments), stdin.buffer)


def _messages(child: _Worker) -> Iterator[tuple[str, Any]]:
    """Yield the messages of a worker, and last how it ended.

    One unpickler reads them all, so that a repeated value, such as a table that no step changed, is sent once.
    """
    reader = pickle.Unpickler(cast("TextIO", child.process.stdout).buffer)  # noqa: S301  # our own child wrote it
    kind = _MESSAGE
    while kind == _MESSAGE:
        try:
            kind, value = reader.load()
        except (EOFError, pickle.UnpicklingError):
            kind, value = "ended", _end_error(child.process.wait(), position_in(child.position))
        yield kind, value


def _result_or_raise(kind: str, value: Any) -> Any:
    """Return the result of a call, or raise its error."""
    if kind == "returned":
        return value
    raise value if kind in {"raised", "ended"} else RuntimeError(value)


def _end_error(code: int, position: Location | None) -> DormatoryError:
    """Return the error of a worker that has ended without a result."""
    if position:
        return EndedInRevisionError(position, code)
    ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return EnvironmentFailedError(None, f"the process {ended}")


def run_worker() -> None:
    """Run as a worker: read the call from standard input, and write messages and the result to standard output.

    What the project prints goes to standard error. Its logging is limited to errors, however it is configured: a round
    trip would repeat each line three times.
    """
    function, sends_messages = pickle.load(sys.stdin.buffer)  # noqa: S301  # our parent wrote it
    try:
        arguments = pickle.load(sys.stdin.buffer)  # noqa: S301  # our parent wrote it
    except EOFError:  # the parent has ended
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with os.fdopen(os.dup(1), "wb") as channel:
        os.dup2(2, 1)
        warnings.simplefilter("ignore")
        writer = pickle.Pickler(channel)

        def send(kind: str, value: Any) -> None:
            writer.dump((kind, value))
            channel.flush()

        try:
            with raise_on_signals(), quiet_logging():
                more = [lambda value: send(_MESSAGE, value)] if sends_messages else []
                send("returned", function(*arguments, *more))
        except (DormatoryError, KeyboardInterrupt) as error:
            send("raised", error)
        except SystemExit as error:
            send("raised", EnvironmentFailedError(None, f"it called sys.exit({error.code!r})"))
        except Exception:  # noqa: BLE001  # the parent raises it
            send("crashed", traceback.format_exc())
