"""Turn what a task returns or raises into one message and an exit code."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from invoke.exceptions import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from invoke.context import Context

P = ParamSpec("P")


def reported(body: Callable[Concatenate[Context, P], int | None]) -> Callable[Concatenate[Context, P], None]:
    """Make a task of a function that returns an exit code, or None for success; an error becomes its message and code.

    Invoke reads options from the signature, which `functools.wraps` keeps.
    """

    @functools.wraps(body)
    def run(context: Context, /, *arguments: P.args, **options: P.kwargs) -> None:
        from dormatory.cli.exit import EarlyExitError, convert_errors
        from dormatory.system.standard_streams import open_missing_streams
        from dormatory.system.tuning import tune_process

        open_missing_streams()
        tune_process()
        try:
            with convert_errors(debug=is_debugging(), passthrough=(Exit,)):
                code = body(context, *arguments, **options)
        except EarlyExitError as ended:
            raise Exit(ended.message, code=int(ended.code)) from ended
        if code:
            raise Exit(code=code)

    return run


def print_lines(lines: Iterable[str]) -> None:
    """Print a result line by line, each as soon as it is known."""
    for line in lines:
        print(line, flush=True)


def is_debugging() -> bool:
    """Return whether Invoke runs with --debug."""
    return logging.getLogger("invoke").isEnabledFor(logging.DEBUG) or bool(os.environ.get("INVOKE_DEBUG"))
