"""Which kinds of database there are: each is a folder next to this file."""

from __future__ import annotations

from dormatory.errors import UnsupportedBackendError

BACKEND_NAMES = ("sqlite", "postgresql")


def validate_backend_name(name: str) -> str:
    """Return the name of a backend; raises UnsupportedBackendError for an unknown one."""
    if name not in BACKEND_NAMES:
        raise UnsupportedBackendError(name, known=BACKEND_NAMES)
    return name
