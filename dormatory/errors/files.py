"""Errors of files: dumps, backups, reports and recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors.base import DormatoryError
from dormatory.errors.databases import DatabaseFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class DatabaseNotEmptyError(DormatoryError):
    """A dump cannot be loaded into a database that already contains something."""

    def __init__(self, masked_url: str) -> None:
        super().__init__(
            f"{masked_url} is not empty",
            why="it holds something else than the schema file, which is loaded into an empty database only",
            fix="name a new database in DATABASE_URL, or bring this one to head with: inv db.upgrade",
        )


class BackupFailedError(DatabaseFailedError):
    """A database could not be copied, or its copy could not be read; the command stopped before it changed anything."""

    def __init__(self, masked_url: str, why: str, *, fix: str) -> None:
        super().__init__(f"{masked_url} was not backed up", why=why, fix=f"nothing was changed; {fix}")


class HalfReplacedError(DatabaseFailedError):
    """A database could not be replaced, and is no longer what it was; `error` is what went wrong."""

    def __init__(self, error: DormatoryError, masked_url: str, file: Path) -> None:
        super().__init__(
            f"{masked_url} is no longer what it was",
            why=f"it was being replaced when something failed: {error.what}, {error.why}",
            fix=f"put its backup {file} back: inv db.undo",
        )


class NotABackupError(DormatoryError):
    """The file to restore is no backup of this kind of database."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file} cannot be restored", why=why, fix="list what can be with: inv db.backups")


class MissingBackupError(DormatoryError):
    """There is no backup of this database."""

    def __init__(self, masked_url: str, directory: str) -> None:
        super().__init__(
            f"there is no backup of {masked_url}",
            why=f"{directory} holds none",
            fix="inv db.backups lists those of other databases, inv db.restore FILE takes any",
        )


class DatabaseInUseError(DatabaseFailedError):
    """An SQLite file cannot be replaced while other programs have it open."""

    def __init__(self, masked_url: str, processes: Sequence[str]) -> None:
        self.processes = tuple(processes)
        super().__init__(
            f"{masked_url} is open in {', '.join(self.processes)}",
            why="it would go on with the old file",
            fix="close it there, then try again",
        )


class HardLinksError(DatabaseFailedError):
    """An SQLite file has several names, and a new file would take only one of them."""

    def __init__(self, masked_url: str, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"{masked_url} cannot be replaced",
            why=f"the file has other names, hard links, that would keep the old one; names here: {', '.join(names)}",
            fix="remove all names but one, or make them symbolic links, then run the command again",
        )


class UnwritableFileError(DormatoryError):
    """A file of the project, or one that the user named, could not be written; what was there is unchanged."""

    is_failure = True

    def __init__(self, path: Path | str, why: str) -> None:
        super().__init__(
            f"{path} cannot be written",
            why=why,
            fix="check that its directory exists, and owner, mode and free space there",
        )


class MissingDumpError(DormatoryError):
    """There is no schema file to read."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is missing", why="it was not written yet", fix="write it with: inv db.schema-dump")


class DumpMismatchError(DatabaseFailedError):
    """A database made from a schema file is not what the file says."""

    def __init__(self, masked_url: str, path: str) -> None:
        super().__init__(
            f"{masked_url} differs from {path}",
            why="its own dump is not the same text",
            fix="write the file again with inv db.schema-dump, or use inv db.upgrade",
        )


class ComparisonFailedError(DatabaseFailedError):
    """Two schemas could not be compared; this does not mean that they are equal."""

    def __init__(self, masked_url: str, why: str) -> None:
        super().__init__(
            f"{masked_url} was not compared",
            why=why,
            fix="nothing is said of it; once that is settled, run the command again",
        )


class UnreadableRecordingError(DormatoryError):
    """The text is no recording, or a recording of an unknown version."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "the recording cannot be read",
            why=why,
            fix="play the history again with inv db.round-trip, or read it with the program that wrote it",
        )


class UnreadableAcceptedFileError(DormatoryError):
    """The project's file of accepted findings cannot be read."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"{path} cannot be read",
            why=why,
            fix="correct that place: each finding is a block as inv db.check --accept writes it",
        )


class UnusualTemplateError(DormatoryError):
    """A project's template writes revisions into which no loop can be put."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} is an empty revision",
            why="the project's script.py.mako writes no upgrade() and downgrade() that --data could fill",
            fix="write the loop by hand: for batch in in_batches(table): ...",
        )
