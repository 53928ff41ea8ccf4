"""Options that several tasks share."""

from __future__ import annotations

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
