"""What is said of wrong use of the command line: an unknown task or option, with the nearest one, a missing value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from invoke.exceptions import Exit
from invoke.parser.parser import ParseMachine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_UNKNOWN_WORD = re.compile(r"No idea what '(.*)' is!?")
_MISSING_VALUE = re.compile(r"Flag <Argument: ([\w-]+).*> needed value and was not given one!?")
_MISSING_ARGUMENT = re.compile(r"'.*' did not receive required positional arguments: (.+)")
_MIN_SIMILARITY = 0.75


def install_usage_errors() -> None:
    """Make wrong use end with our message and ExitCode.USAGE: Invoke, which has no hook for it, would exit with 1."""
    ParseMachine.error = _refuse  # type: ignore[method-assign,assignment]


def usage_message(message: str, *, task: str, tasks: Collection[str], options: Collection[str]) -> str:
    """Return what is wrong and what to type instead.

    `message` is what Invoke says, `task` the one that was named before, "" if none was, and `options` are its own.
    """
    see = f"see: inv --help {task}" if task else "see: inv --list"
    if missing := _MISSING_VALUE.fullmatch(message):
        return f"--{missing[1]} needs a value, such as --{missing[1]}=VALUE; {see}"
    if missing := _MISSING_ARGUMENT.fullmatch(message):
        return f"{task} needs {missing[1].replace(chr(39), '').upper()}; {see}"
    unknown = _UNKNOWN_WORD.fullmatch(message)
    word = unknown[1] if unknown else ""
    if task and word.startswith("-"):
        near = _nearest(word, {option: f"inv {task} {option}" for option in options if option.startswith("--")})
        return f"{task} has no option {word}; {near or see}"
    last_parts = {name.rpartition(".")[2]: f"inv {name}" for name in tasks}
    near = _nearest(word, last_parts | {name: f"inv {name}" for name in tasks}) if not task or "." in word else ""
    if word and (near or not task):
        return f"there is no task {word}; {near or see}"
    return f"{message.rstrip('!')}; {'options are flags, such as --to 003; ' if task else ''}{see}"


def _refuse(machine: ParseMachine, msg: str) -> NoReturn:
    from dormatory.cli.exit import ExitCode

    context = machine.context
    options = [*context.flags, *context.inverse_flags] if context else []
    task = (context.name or "") if context else ""
    text = usage_message(msg, task=task, tasks=tuple(machine.contexts), options=options)
    raise Exit(f"error: {text}", code=int(ExitCode.USAGE))


def _nearest(word: str, commands: Mapping[str, str]) -> str:
    """Return a question with the command whose key is most like a word, "" where none is like it."""
    from difflib import get_close_matches

    found = get_close_matches(word, commands, n=1, cutoff=_MIN_SIMILARITY)
    return f"did you mean {commands[found[0]]}?" if found else ""
