"""Options that several tasks share, and the message for wrong use of the command line."""

from __future__ import annotations

from typing import NoReturn

from invoke.exceptions import Exit
from invoke.parser.parser import ParseMachine

CONFIRM_HELP = "the database's name, to act on one that is not marked as a development database"
FORMAT_HELP = "text, json, github, gitlab, sarif or junit"
X_HELP = "an argument for env.py, NAME=VALUE, as alembic -x gives it; may be given again"
BACKENDS_HELP = "comma-separated: sqlite, postgresql; default: both"


def selected_backends(names: str) -> tuple[str, ...]:
    """Return the backends that `--backend` lists, or all if it is empty; raises UnsupportedBackendError."""
    from dormatory.backends.names import BACKEND_NAMES, validate_backend_name

    return tuple(validate_backend_name(name.strip()) for name in names.split(",")) if names else BACKEND_NAMES


def row_count(option: str, given: str) -> int:
    """Return the number of rows that an option gives, or 0 if it is empty; raises InvalidRowCountError."""
    from dormatory.errors import InvalidRowCountError

    if given and not (given.isascii() and given.isdecimal() and int(given)):
        raise InvalidRowCountError(option, given)
    return int(given or 0)


def refuse_unused_options(*, accept: bool, reason: str, live: bool) -> None:
    """Raise OptionConflictError where db.check would ignore --accept or --reason."""
    from dormatory.errors import OptionConflictError

    if accept and live:
        why = "--live looks at the database itself, and the file of accepted findings is about the history"
        raise OptionConflictError("--accept", why, fix="run inv db.check --accept without --live")
    if reason and not accept:
        why = "it is the reason with which findings are accepted"
        raise OptionConflictError("--reason", why, fix="add --accept, or leave --reason out")


def install_usage_errors() -> None:
    """Make wrong use end with our message and ExitCode.USAGE: Invoke, which has no hook for it, would exit with 1."""
    ParseMachine.error = _refuse  # type: ignore[method-assign,assignment]


def _refuse(machine: ParseMachine, msg: str) -> NoReturn:
    from dormatory.cli.exit import ExitCode

    task = machine.context.name if machine.context else None
    hint = f"options are flags, such as --to 003; see: inv --help {task}" if task else "see: inv --list"
    if near := _nearest(machine, msg):
        hint = f"did you mean inv {near}?"
    raise Exit(f"error: {msg.rstrip('!')}; {hint}", code=int(ExitCode.USAGE))


def _nearest(machine: ParseMachine, msg: str) -> str:
    """Return the task, or the task with the option, that an unknown word is probably meant for; "" if none is near."""
    from difflib import get_close_matches

    word = msg.partition("'")[2].partition("'")[0]
    task = machine.context.name if machine.context else ""
    if task:
        known = {name: f"{task} {name}" for name in machine.context.flags if name.startswith("--")}
        known = known if word.startswith("--") else {}
    else:
        known = {name.rpartition(".")[2]: name for name in machine.contexts} | {name: name for name in machine.contexts}
    return next((known[name] for name in get_close_matches(word, known, n=1, cutoff=0.7)), "")
