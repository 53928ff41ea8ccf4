"""What the errors of SQLite and of the file system mean to the user, and what to do about them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.url import read_only_option
from dormatory.errors import DatabaseFailedError, ReadOnlyURLError

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target

_NO_FILE = "Is no regular file"

# What SQLite's short messages mean, and what to do: (part of the message, why, what next).
_EXPLANATIONS = (
    ("file is not a database", "its first bytes are not SQLite's", "name another file in DATABASE_URL"),
    ("readonly database", "the file or its directory may not be written", "see its owner and mode with: ls -l"),
    ("unable to open", "it, or its directory, may not be opened or written", "see owner and mode with: ls -l"),
    ("disk is full", "there is no room left for it", "free some space and run the command again"),
    ("disk I/O error", "there is no room left, or the disk is failing", "free some space and run the command again"),
    ("database is locked", "another program is writing to it", "end that program, then try again"),
    ("malformed", "the file is damaged", "move it away, then put a backup in its place with: inv db.undo"),
    ("No such file", "its directory is not there", "create the directory, or correct DATABASE_URL"),
    ("Not a directory", "its path leads through a file", "correct DATABASE_URL"),
    ("Is a directory", "the path names a directory", "name a file in DATABASE_URL"),
    (_NO_FILE, "the path names a device, a pipe or a socket", "name a file in DATABASE_URL"),
    ("Permission denied", "its directory may not be written", "see owner and mode with: ls -ld"),
    ("Read-only file system", "nothing can be written there", "name a file elsewhere in DATABASE_URL"),
    ("Too many levels of symbolic links", "its symbolic links lead back to themselves", "correct them, see: ls -l"),
    ("No space left", "the disk is full", "free some space and run the command again"),
    ("name too long", "the system takes no file name of that length", "shorten it in DATABASE_URL"),
)


def explain_sqlite_error(error: BaseException, target: Target) -> DatabaseFailedError:
    """Return what SQLite or the file system reported about this file, and what to do."""
    message = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)
    if getattr(getattr(error, "orig", None) or error, "sqlite_errorname", "") == "SQLITE_READONLY_DBMOVED":
        why = "another command has put a file in its place; nothing more was written"
        return DatabaseFailedError(f"{target} was replaced meanwhile", why=why, fix="run the command again")
    if "unable to open" in message or "disk I/O error" in message:
        message = _path_problem(target.path) or message
    if "readonly database" in message and (option := read_only_option(target.url)):
        return ReadOnlyURLError(str(target), option)
    for part, why, fix in _EXPLANATIONS:
        if part in message:
            return DatabaseFailedError(f"{target}: {message}", why=why, fix=fix)
    return DatabaseFailedError(f"{target} failed", why=message, fix="see that the file is whole and may be written")


def kind_problem(mode: int) -> str:
    """Return what keeps a path with this mode from being a database; "" for a file."""
    if stat.S_ISDIR(mode):
        return os.strerror(errno.EISDIR)
    return "" if stat.S_ISREG(mode) else _NO_FILE


def _path_problem(path: Path) -> str:
    """Return what the system says of a path that SQLite cannot open; "" if it finds nothing wrong with it."""
    try:
        os.stat(os.path.join(path.parent, ""))  # noqa: PTH116, PTH118  # with the slash at its end, a file is an error
        with contextlib.suppress(FileNotFoundError):
            return kind_problem(path.stat().st_mode)
    except OSError as error:
        return error.strerror or ""
    return ""
