"""Runs what executes another project's code in a process of its own: one process per database.

Projects keep engines, settings and metadata from their first import on, so a second database in the same process
would meet the first one's. A project whose env.py is ours has nothing of the kind and stays in this process.
"""

from __future__ import annotations

import base64
import logging
import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dormatory.database.process import conversing, unwinding_on_termination
from dormatory.errors import DormatoryError, EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.migrations.project import Project

_T = TypeVar("_T")
_HOME = str(Path(__file__).resolve().parents[2])
# Ours is found last: `-P` and the appended path keep our directories from hiding the project's modules, and the
# project's from hiding Alembic before it is loaded.
_CHILD = "import sys; sys.path.append(sys.argv.pop(1)); from dormatory.migrations.isolation import answer; answer()"


def isolated(
    project: Project, function: Callable[..., _T], *arguments: Any, hear: Callable[[Any], None] | None = None
) -> _T:
    """Call a function of a module and return what it returns, in a new process where the project's code is not ours.

    With `hear`, the function gets one more argument, to which it tells what `hear` shall be called with meanwhile.
    A DormatoryError passes through; whatever else ends the process is an EnvironmentFailedError.
    """
    if project.has_our_environment:
        return function(*arguments, *([hear] if hear else []))
    command = [sys.executable, "-P", "-c", _CHILD, _HOME]
    with conversing(command, env=os.environ, cwd=project.root) as child:
        if child.stdin is None or child.stdout is None:
            raise AssertionError
        child.stdin.write(_packed((function, arguments, hear is not None)))
        child.stdin.close()
        kind: str
        value: Any
        kind, value = "", None
        for line in child.stdout:
            kind, value = pickle.loads(base64.b64decode(line))  # noqa: S301  # our own child wrote it
            if kind == "told" and hear:
                hear(value)
        code = child.wait()
    if kind == "returned":
        return cast("_T", value)
    if kind == "raised":
        raise value
    if kind == "crashed":
        raise RuntimeError(value)
    raise EnvironmentFailedError("env.py", f"the process ended with exit code {code}")


def answer() -> None:
    """Be the child: read the call from standard input, and write what comes of it.

    Standard output belongs to the answers; what the project prints goes to standard error. Its logging is kept to
    errors, however it is set up: a round trip would repeat each line of it three times.
    """
    function, arguments, tells = pickle.loads(base64.b64decode(sys.stdin.readline()))  # noqa: S301  # our parent wrote it
    with os.fdopen(os.dup(1), "w", encoding="ascii") as channel:
        os.dup2(2, 1)
        logging.disable(logging.WARNING)

        def say(kind: str, value: Any) -> None:
            channel.write(_packed((kind, value)))
            channel.flush()

        try:
            with unwinding_on_termination():
                more = [lambda value: say("told", value)] if tells else []
                say("returned", function(*arguments, *more))
        except (DormatoryError, KeyboardInterrupt) as error:
            say("raised", error)
        except SystemExit as error:
            say("raised", EnvironmentFailedError("env.py", f"it called sys.exit({error.code!r})"))
        except Exception:  # noqa: BLE001  # the parent raises it again
            say("crashed", traceback.format_exc())


def _packed(value: Any) -> str:
    return base64.b64encode(pickle.dumps(value)).decode() + "\n"
