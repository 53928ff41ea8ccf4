"""Two programs connected by a pipe: the second reads what the first writes, and both are ended together."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from dormatory.errors import ProgramFailedError
from dormatory.system.process import piped_process
from dormatory.system.text import last_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import Popen

_CHUNK_BYTES = 1 << 20
_TAIL_LINES = 6


@dataclass(frozen=True, slots=True)
class Program:
    """A program to start: its argument list, its environment, and what to do when it fails."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    fix: str


def run_pipeline(source: Program, sink: Program) -> None:
    """Run two programs until both have ended, and pass the output of the first to the second.

    Raises ProgramFailedError for the one that failed first, with the last lines of its messages.
    """
    here = Path.cwd()
    with contextlib.ExitStack() as stack:
        stderr_files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
        first, second = (
            stack.enter_context(
                piped_process(program.arguments, env=program.environment, cwd=here, stderr=messages.fileno())
            )
            for program, messages in zip((source, sink), stderr_files, strict=True)
        )
        is_broken = _copy_output(first, second)
        codes = first.wait(), second.wait()
        order = ((sink, codes[1], stderr_files[1]), (source, codes[0], stderr_files[0]))
        # A sink that ended early made the source fail; a sink whose input was cut short fails because of that.
        for program, code, stderr_file in order if is_broken else reversed(order):
            if code:
                name = os.path.basename(program.arguments[0])  # noqa: PTH119  # a word, not a path to look at
                raise ProgramFailedError(
                    name,
                    code=code,
                    tail="\n".join(last_lines(_read_messages(stderr_file), _TAIL_LINES)),
                    fix=program.fix,
                )


def _copy_output(first: Popen[str], second: Popen[str]) -> bool:
    """Copy the output to its end and return whether the second program stopped reading before."""
    output, into = cast("IO[str]", first.stdout), cast("IO[str]", second.stdin)
    cast("IO[str]", first.stdin).close()
    try:
        shutil.copyfileobj(output.buffer, into.buffer, _CHUNK_BYTES)  # type: ignore[attr-defined]  # a text over bytes
        into.close()
    except BrokenPipeError:
        with contextlib.suppress(BrokenPipeError):
            into.close()
        output.close()  # the first program would wait for a reader
        return True
    return False


def _read_messages(stderr_file: IO[bytes]) -> str:
    stderr_file.seek(0)
    return stderr_file.read().decode(errors="replace")
