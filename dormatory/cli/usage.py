"""Wrong use of the command line: one message, and the exit code of wrong use, where Invoke would exit with 1."""

from __future__ import annotations

from typing import NoReturn

from invoke.exceptions import Exit
from invoke.parser.parser import ParseMachine


def install_usage_errors() -> None:
    """Let Invoke's parser report wrong use in our way; it has no hook for that."""
    ParseMachine.error = _refuse  # type: ignore[method-assign,assignment]


def _refuse(machine: ParseMachine, msg: str) -> NoReturn:
    from dormatory.cli.exit import ExitCode

    task = machine.context.name if machine.context else None
    hint = f"options are flags, such as --to 003; see: inv --help {task}" if task else "see: inv --list"
    raise Exit(f"error: {msg.rstrip('!')}; {hint}", code=int(ExitCode.USAGE))
