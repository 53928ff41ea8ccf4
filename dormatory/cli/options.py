"""Options that several tasks share: their help texts, and what their values mean."""

from __future__ import annotations

CONFIRM_HELP = "the database's name, to act on one that is not marked as a development database"
BACKENDS_HELP = "comma-separated: sqlite, postgresql; default: both"


def selected_backends(names: str) -> tuple[str, ...]:
    """Return the backends that `--backend` lists, or all if it is empty; raises UnsupportedBackendError."""
    from dormatory.backends.registry import BACKEND_NAMES, validate_backend_name

    return tuple(validate_backend_name(name.strip()) for name in names.split(",")) if names else BACKEND_NAMES


def row_count(option: str, given: str) -> int:
    """Return the number of rows that an option gives, or 0 if it is empty; raises InvalidRowCountError."""
    from dormatory.errors import InvalidRowCountError

    if given and not (given.isascii() and given.isdecimal() and int(given)):
        raise InvalidRowCountError(option, given)
    return int(given or 0)
