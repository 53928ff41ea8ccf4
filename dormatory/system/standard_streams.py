"""The standard streams of this process: none is missing, and what a project's code does to them ends with it."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_OUTPUT, _ERRORS = 1, 2
_PLAIN_SIGNS = {"✗": "x", "·": "-", "→": "->", "…": "..."}
_REPLACE = "dormatory-plain-signs"


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return a plain sign for a character that an encoding lacks, else its escape, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    if sign := _PLAIN_SIGNS.get(error.object[error.start]):
        return sign, error.start + 1
    error.end = error.start + 1
    return codecs.backslashreplace_errors(error)


codecs.register_error(_REPLACE, _replacement)


def open_missing_streams() -> None:
    """Open the null device for every standard stream that the caller has closed, as `>&-` does in a shell.

    A file or a connection would get its number, and programs that we start would write there. Standard output takes any
    character from then on.
    """
    for number in (0, _OUTPUT, _ERRORS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    write_any_character(sys.stdout)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # until the process ends


def claim_standard_output() -> TextIO:
    """Return standard output, which nothing else of this process reaches any more: it all goes to standard error.

    A thread that a project's code has started may print until the process ends.
    """
    sys.stdout.flush()
    stream = open(os.dup(_OUTPUT), "w", encoding=sys.stdout.encoding, errors=_REPLACE)  # noqa: PTH123, SIM115  # until the process ends
    os.dup2(_ERRORS, _OUTPUT)
    return stream


def write_any_character(stream: TextIO | None) -> None:
    """Let a stream replace what its encoding lacks: our signs by plain ones, another character by its escape."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_REPLACE)


@contextlib.contextmanager
def redirect_output_to_errors() -> Iterator[None]:
    """Lead what is written to standard output in the block, by other programs too, to standard error.

    Afterwards both streams are what they were, even if the block has closed or replaced them.
    """
    stdout, stderr = sys.stdout, sys.stderr
    stdout.flush()
    kept = [(number, os.dup(number)) for number in (_OUTPUT, _ERRORS)]
    os.dup2(_ERRORS, _OUTPUT)
    # An object of its own: closing it closes nothing of ours, and a logger that env.py configures may keep it.
    sys.stdout = open(_ERRORS, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.__stdout__):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # replaced by something else, or closed
                stream.flush()  # type: ignore[union-attr]  # None without a console on Windows
        sys.stdout, sys.stderr = stdout, stderr
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
