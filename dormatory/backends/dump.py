"""A database's structure as a file for reviewers, which also loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.dump import dump as dump_postgresql
from dormatory.backends.sqlite import dump as dump_sqlite
from dormatory.errors import DumpNotWrittenError
from dormatory.system.atomic_file import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dormatory.backends.url import Target

_DUMPERS: dict[str, Callable[[Target, str], str]] = {
    "postgresql": dump_postgresql.dump_postgresql_schema,
    "sqlite": dump_sqlite.dump_sqlite_schema,
}
_LOADERS: dict[str, Callable[[Target, str], None]] = {
    "postgresql": dump_postgresql.load_postgresql_schema,
    "sqlite": dump_sqlite.load_sqlite_schema,
}


def dump_schema(target: Target, *, version_table: str = "alembic_version") -> str:
    """Return the structure and the revision of a database as SQL that loads into an empty one.

    One block for each table, with all that belongs to it, blank lines only between blocks; the version table and its
    rows stand at the end.  The same structure gives the same bytes, whoever asks and with whichever tools.  It only
    reads.  Raises DatabaseFailedError, ProgramMissingError, ProgramTooOldError or ProgramFailedError.
    """
    return _DUMPERS[target.backend_name](target, version_table)


def load_schema(target: Target, text: str) -> None:
    """Create in an empty database what a dump describes, in one transaction.

    Raises NotEmptyError for a database that holds anything, DatabaseFailedError for a statement that fails; nothing
    of the dump is left then.
    """
    _LOADERS[target.backend_name](target, text)


def write_dump(path: Path, text: str) -> bool:
    """Put a dump into a file, and say whether that changed it; what goes wrong leaves the old file as it was.

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
