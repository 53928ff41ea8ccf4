"""A database's structure as a file for reviewers, which also loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dormatory.backends.registry import backend_for
from dormatory.errors import DumpNotWrittenError
from dormatory.system.atomic_file import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target


class Dump(Protocol):
    """Part `dump`: the structure and the revision of a database as SQL that loads into an empty one."""

    def dump_schema(self, target: Target, version_table: str) -> str:
        """Return one block for each table, with all that belongs to it; blank lines stand only between blocks.

        The version table and its rows come last. The same structure gives the same bytes, for every user and version
        of the tools. It only reads. Raises DatabaseFailedError, ProgramMissingError, ProgramTooOldError or
        ProgramFailedError.
        """

    def load_schema(self, target: Target, text: str) -> None:
        """Create in an empty database what a dump describes, in one transaction.

        Raises DatabaseNotEmptyError for a database that holds anything, DatabaseFailedError for a statement that
        fails; nothing of the dump is left then.
        """


def dump_schema(target: Target, *, version_table: str = "alembic_version") -> str:
    """Return the structure and the revision of a database as SQL (see Dump)."""
    return backend_for(target).dump.dump_schema(target, version_table)


def load_schema(target: Target, text: str) -> None:
    """Create in an empty database what a dump describes (see Dump)."""
    backend_for(target).dump.load_schema(target, text)


def write_dump(path: Path, text: str) -> bool:
    """Write a dump to a file, and return whether that changed it; an error leaves the old file as it was.

    Raises DumpNotWrittenError.
    """
    data, path = text.encode(), path.resolve()  # a link stays a link
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except OSError as error:
        raise DumpNotWrittenError(str(path), error.strerror or str(error)) from error
    return True
