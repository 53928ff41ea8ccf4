"""Two programs joined by a pipe: what the first writes, the second reads, and neither outlives the other."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from dormatory.errors import ProgramFailedError
from dormatory.system.process import conversing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import Popen

_PORTION = 1 << 20
_TAIL_LINES = 6


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start: its argument list, its environment, and what to do when it fails."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    fix: str


def pipe(source: Program, sink: Program) -> None:
    """Run two programs until both have ended, the bytes of the first going into the second.

    Raises ProgramFailedError for the one that failed first, with the last lines of what it said.
    """
    here = Path.cwd()
    with contextlib.ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
        first, second = (
            stack.enter_context(
                conversing(program.arguments, env=program.environment, cwd=here, stderr=complaints.fileno())
            )
            for program, complaints in zip((source, sink), said, strict=True)
        )
        is_broken = _carry(first, second)
        codes = first.wait(), second.wait()
        order = ((sink, codes[1], said[1]), (source, codes[0], said[0]))
        # A sink that ended early took the source along; one that was fed half a text complains of that.
        for program, code, complaints in order if is_broken else reversed(order):
            if code:
                name = os.path.basename(program.arguments[0])  # noqa: PTH119  # a word, not a path to look at
                raise ProgramFailedError(name, code=code, tail=_tail(complaints), fix=program.fix)


def _carry(first: Popen[str], second: Popen[str]) -> bool:
    """Hand the bytes over to their end; tell whether the second program stopped reading before."""
    output, into = cast("IO[str]", first.stdout), cast("IO[str]", second.stdin)
    cast("IO[str]", first.stdin).close()
    try:
        shutil.copyfileobj(output.buffer, into.buffer, _PORTION)  # type: ignore[attr-defined]  # a text over bytes
        into.close()
    except BrokenPipeError:
        with contextlib.suppress(BrokenPipeError):
            into.close()
        output.close()  # the first one would wait for a reader
        return True
    return False


def _tail(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    return "\n".join(complaints.read().decode(errors="replace").strip().splitlines()[-_TAIL_LINES:])
