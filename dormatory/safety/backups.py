"""The backups of a project: the newest few of each database, in a directory that git ignores and only we may enter."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.registry import backend_by_name, backend_for
from dormatory.errors import BackupFailedError, DormatoryError, HalfReplacedError, MissingBackupError
from dormatory.runtime import scratch
from dormatory.system import signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.base import Backend
    from dormatory.backends.url import Target
    from dormatory.project.project import Project

_MAX_NAME_CHARACTERS = 40  # of a database's or a revision's name within a file's
_TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"
_FILE_NAME = re.compile(
    r"(?P<label>[\w-]+)-(?P<digest>[0-9a-f]{8})\.(?P<number>\d{6,})\.(?P<taken>\d{8}T\d{6}Z)\.(?P<revision>[\w+-]+)\.\w+",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A file that holds a database as it was.

    `key` distinguishes databases of the same name. `number` counts the backups of one database: their order does not
    depend on the clock, which `taken_at` comes from. `incarnation` is that of a database which a command was going to
    replace or change; it is empty once that was done, and for every other backup.
    """

    file: Path
    key: str
    number: int
    taken_at: datetime
    revision: str
    size_bytes: int
    incarnation: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether it was made for a replacement or change that is not known to have happened."""
        return bool(self.incarnation)

    @property
    def database(self) -> str:
        """The database's name, as far as it fits into a file's."""
        return self.key.rpartition("-")[0]


def backup_directory(project: Project) -> Path:
    """Return the directory of a project's backups."""
    return project.root / ".dormatory" / "backups"


def existing_backups(project: Project) -> tuple[StoredBackup, ...]:
    """Return the finished backups, by database, the newest of each first."""
    # An empty file is still being written.
    found = (backup for backup in _backups_in(backup_directory(project)) if backup.size_bytes)
    return tuple(sorted(found, key=lambda backup: (backup.key, -backup.number)))


def latest_backup(project: Project, target: Target) -> StoredBackup:
    """Return the newest backup of a database that counts; raises MissingBackupError.

    One that was made for a replacement counts once the database was replaced. A run that was killed could not write
    that down: whether it has replaced the database is seen now.
    """
    own = _backups_of(project, target)
    now = backend_for(target).incarnation(target) if any(backup.is_pending for backup in own) else ""
    for backup in own:
        if not backup.is_pending or backup.incarnation != now:
            return backup
    raise MissingBackupError(str(target), str(backup_directory(project)))


def create_backup(project: Project, target: Target, revision: str = "") -> Path:
    """Back a database up, remove the oldest of its backups, and return the new one's file.

    Without `revision`, it is read from the database. Raises BackupFailedError and what the backend raises.
    """
    file = store_backup(project, target, revision)
    settle_backup(project, target, file, is_needed=True)
    return file


def settle_backup(project: Project, target: Target, file: Path, *, is_needed: bool) -> None:
    """Remove the oldest backups for a new one; if nothing was changed after it, it is kept and does not count."""
    if not is_needed:
        _pending_mark(file).write_text(backend_for(target).incarnation(target))
    _remove_oldest(project, target)


@contextlib.contextmanager
def backup_before_replacement(project: Project, target: Target, *, protected: Path | None = None) -> Iterator[Path]:
    """Back up a database that the block replaces, and provide the file.

    The backup counts, and the oldest ones but `protected` are removed, once the database was replaced. Where the block
    fails before, the file is removed; where that cannot be found out, it stays, and `latest_backup` looks again. Raises
    BackupFailedError and what the backend raises.
    """
    backend = backend_for(target)
    before = backend.incarnation(target)
    file = store_backup(project, target, incarnation=before)
    try:
        yield file
    except BaseException as error:
        with signals.defer_signals():
            is_gone = _settle(file, backend, target, before)
        if is_gone and isinstance(error, DormatoryError):
            raise HalfReplacedError(error, str(target), file) from error
        raise
    _pending_mark(file).unlink(missing_ok=True)
    _remove_oldest(project, target, protected=protected)


def resolve_backup(project: Project, name: str) -> Path:
    """Return the file that a user names by its path, or by the name of a backup alone."""
    given = Path(name).expanduser().absolute()
    ours = backup_directory(project) / name
    return ours if not given.exists() and ours.is_file() else given


def store_backup(project: Project, target: Target, revision: str = "", *, incarnation: str = "") -> Path:
    """Back a database up, and return the file; with `incarnation`, it does not count as long as that is in place."""
    backend = backend_for(target)
    name = _file_name_part(revision or _current_revision(project, target))
    try:
        home = _prepare_directory(backup_directory(project))
        file = _reserve_file(home, _database_key(target), name, backend.backup_suffix)
        if incarnation:
            _pending_mark(file).write_text(incarnation)
    except OSError as error:
        reason = f"{error.filename or backup_directory(project)}: {error.strerror}"
        raise BackupFailedError(str(target), reason, fix="check owner, mode and free space there") from error
    try:
        backend.backup.write_backup(target, file, wait_seconds=project.settings.lock_wait)
    except BaseException:
        file.unlink(missing_ok=True)
        _pending_mark(file).unlink(missing_ok=True)
        raise
    return file


def _settle(file: Path, backend: Backend, target: Target, before: str) -> bool:
    """Keep a backup if its database is gone or replaced, remove it if not, and return whether it is gone."""
    try:
        is_gone = backend.incarnation(target) != before
    except DormatoryError:  # the server cannot be reached; the next db.undo looks again
        return False
    if not is_gone:
        file.unlink(missing_ok=True)
    _pending_mark(file).unlink(missing_ok=True)
    return is_gone


def _pending_mark(file: Path) -> Path:
    """Return the file next to a backup that says which database it was made to replace, until that has happened."""
    return file.with_name(f"{file.name}.pending")


def _remove_oldest(project: Project, target: Target, *, protected: Path | None = None) -> None:
    """Remove the oldest backups of a database, separately those that count and those that do not."""
    own = _backups_of(project, target)
    for is_pending in (False, True):
        for old in [backup for backup in own if backup.is_pending == is_pending][project.settings.backups :]:
            if old.file != protected:
                with contextlib.suppress(OSError):  # too many backups are no reason to fail
                    old.file.unlink()
                    _pending_mark(old.file).unlink(missing_ok=True)


def _backups_of(project: Project, target: Target) -> list[StoredBackup]:
    """Return the finished backups of a database, the newest first."""
    return [backup for backup in existing_backups(project) if backup.key == _database_key(target)]


def _backups_in(directory: Path) -> list[StoredBackup]:
    found = []
    for file in directory.glob("*") if directory.is_dir() else ():
        suffixes = tuple(backend_by_name(name).backup_suffix for name in BACKEND_NAMES)
        match = _FILE_NAME.fullmatch(file.name)
        if match and file.suffix in suffixes:
            taken = datetime.strptime(match["taken"], _TIMESTAMP_FORMAT).replace(tzinfo=UTC)
            key = f"{match['label']}-{match['digest']}"
            size, incarnation = file.stat().st_size, _planned_incarnation(file)
            found.append(StoredBackup(file, key, int(match["number"]), taken, match["revision"], size, incarnation))
    return found


def _planned_incarnation(file: Path) -> str:
    """Return which database a backup was made to replace, or "" if that has happened, or was never planned."""
    with contextlib.suppress(OSError):
        return _pending_mark(file).read_text()
    return ""


def _prepare_directory(directory: Path) -> Path:
    """Create the directory if it is missing; close it to other users, and make git ignore it."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    ignore = directory / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return directory


def _reserve_file(directory: Path, key: str, revision: str, suffix: str) -> Path:
    """Take the next number of a database by making an empty file: two runs at the same moment get different ones."""
    number = max((backup.number for backup in _backups_in(directory) if backup.key == key), default=0)
    while True:
        number += 1
        file = directory / f"{key}.{number:06d}.{datetime.now(UTC).strftime(_TIMESTAMP_FORMAT)}.{revision}{suffix}"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return file


def _database_key(target: Target) -> str:
    """Return the prefix of the file names of a database's backups: its name, and a digest of its location."""
    name, place = backend_for(target).location(target)
    return f"{_file_name_part(name)}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _file_name_part(text: str) -> str:
    """Return a text as part of a file's name."""
    return re.sub(r"[^\w+-]", "_", text, flags=re.ASCII)[:_MAX_NAME_CHARACTERS] or "_"


def _current_revision(project: Project, target: Target) -> str:
    """Return the revision that a database is at, or "unknown": an unreadable one must not prevent a backup."""
    try:
        return "+".join(scratch.current_revisions(project, target)) or "base"
    except DormatoryError:
        return "unknown"
