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

from dormatory.backends.registry import NAMES, backend_for, backend_named
from dormatory.errors import BackupFailedError, DormatoryError, NoBackupError
from dormatory.runtime import scratch

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project

_LONGEST = 40  # of a database's or a revision's name within a file's
_MOMENT = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(
    r"(?P<label>[\w-]+)-(?P<digest>[0-9a-f]{8})\.(?P<number>\d{6,})\.(?P<taken>\d{8}T\d{6}Z)\.(?P<revision>[\w+-]+)\.\w+",
    re.ASCII,
)
# What of a URL says where a database is: never its user or a secret.
_PLACE = ("host", "hostaddr", "port", "service")


@dataclass(frozen=True, slots=True)
class Backup:
    """A file that holds a database as it was.

    `key` tells databases of the same name apart, `number` counts within one of them, whatever the clock says; `taken`
    is what it said. `size` is in bytes.
    """

    file: Path
    key: str
    number: int
    taken: datetime
    revision: str
    size: int

    @property
    def database(self) -> str:
        """The database's name, as far as it fits into a file's."""
        return self.key.rpartition("-")[0]


def directory(project: Project) -> Path:
    """Return where a project's backups lie."""
    return project.root / ".dormatory" / "backups"


def listed(project: Project) -> tuple[Backup, ...]:
    """Return the backups that are there, by database, the newest of each first."""
    found = (backup for backup in _found(directory(project)) if backup.size)  # an empty one is still being written
    return tuple(sorted(found, key=lambda backup: (backup.key, -backup.number)))


def latest(project: Project, target: Target) -> Backup:
    """Return the newest backup of a database; raises NoBackupError."""
    own = [backup for backup in listed(project) if backup.key == _key(target)]
    if not own:
        raise NoBackupError(str(target), str(directory(project)))
    return own[0]


def keep(project: Project, target: Target, revision: str = "", *, spared: Path | None = None) -> Path:
    """Back a database up, remove the oldest of its backups but never `spared`, and return the new one's file.

    Without `revision`, the database is asked which it is at. Raises BackupFailedError and what the backend raises.
    """
    backend = backend_for(target)
    name = _word(revision or _revision(project, target))
    try:
        home = _prepared(directory(project))
        file = _reserved(home, _key(target), name, backend.backup_suffix)
    except OSError as error:
        said = f"{error.filename or directory(project)}: {error.strerror}"
        raise BackupFailedError(str(target), said, fix="see owner, mode and room there") from error
    try:
        backend.backup(target, file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    own = [backup for backup in listed(project) if backup.key == _key(target)]
    for old in own[project.settings.backups :]:
        if old.file != spared:
            with contextlib.suppress(OSError):  # too many backups are no reason to fail
                old.file.unlink()
    return file


def chosen(project: Project, name: str) -> Path:
    """Return the file that a person means by a path, or by the mere name of a backup."""
    given = Path(name).expanduser().absolute()
    ours = directory(project) / name
    return ours if not given.exists() and ours.is_file() else given


def _found(home: Path) -> list[Backup]:
    found = []
    for file in home.glob("*") if home.is_dir() else ():
        suffixes = tuple(backend_named(name).backup_suffix for name in NAMES)
        match = _NAME.fullmatch(file.name)
        if match and file.suffix in suffixes:
            taken = datetime.strptime(match["taken"], _MOMENT).replace(tzinfo=UTC)
            key = f"{match['label']}-{match['digest']}"
            found.append(Backup(file, key, int(match["number"]), taken, match["revision"], file.stat().st_size))
    return found


def _prepared(home: Path) -> Path:
    """Make the directory, closed to others and ignored by git, where it is not so yet."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    ignore = home / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return home


def _reserved(home: Path, key: str, revision: str, suffix: str) -> Path:
    """Take the next number of a database by making an empty file: two runs at the same moment get different ones."""
    number = max((backup.number for backup in _found(home) if backup.key == key), default=0)
    while True:
        number += 1
        file = home / f"{key}.{number:06d}.{datetime.now(UTC).strftime(_MOMENT)}.{revision}{suffix}"
        with contextlib.suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return file


def _key(target: Target) -> str:
    """Return what begins the names of a database's backups: its name, and a digest of where it is."""
    if target.backend_name == "sqlite":
        place, name = str(target.path.resolve()), target.path.stem
    else:
        url, name = target.url, target.database
        options = [str(url.query.get(key, "")) for key in _PLACE]
        place = repr((url.host, url.port, options, name))
    return f"{_word(name)}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _word(text: str) -> str:
    """Return a text as part of a file's name."""
    return re.sub(r"[^\w+-]", "_", text, flags=re.ASCII)[:_LONGEST] or "_"


def _revision(project: Project, target: Target) -> str:
    """Return the revision a database is at; that nobody can tell it is no reason to have no backup."""
    try:
        return "+".join(scratch.current(project, target)) or "base"
    except DormatoryError:
        return "unknown"
