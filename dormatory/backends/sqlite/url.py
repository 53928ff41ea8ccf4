"""The URL of an SQLite database: it names a file, and how the file is opened."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode

from dormatory.errors import MalformedURLError

if TYPE_CHECKING:
    from dormatory.backends.database_url import DatabaseURL

DRIVER_NAME = "sqlite"

# https://www.sqlite.org/uri.html#recognized_query_parameters
_FILE_OPTIONS = frozenset({"cache", "immutable", "mode", "nolock", "psow", "vfs"})
_DRIVER_OPTIONS = frozenset({"cached_statements", "check_same_thread", "detect_types", "isolation_level", "timeout"})
_TRUE_VALUES = frozenset({"1", "on", "true", "yes"})
_FILE_PREFIX = re.compile(r"file:(//(localhost)?(?=/))?")


def normalize_url(url: DatabaseURL, root: Path) -> DatabaseURL:
    """Return the URL with an absolute path, a relative one taken from `root`; raises MalformedURLError.

    `sqlite:///file:x.db?mode=ro&uri=true`, as SQLAlchemy writes it, becomes `sqlite:////project/x.db?mode=ro`.
    """
    if url.host or url.username or url.port:
        raise MalformedURLError("SQLite has no host", fix="use sqlite:///file.db or sqlite:////absolute/file.db")
    query = {name: value for name, value in url.query.items() if name != "uri"}
    if unknown := sorted(query.keys() - _FILE_OPTIONS - _DRIVER_OPTIONS):
        known = ", ".join(sorted(_FILE_OPTIONS))
        raise MalformedURLError(f"SQLite knows no option {unknown[0]}", fix=f"leave it out; a file takes {known}")
    database = url.database or ""
    if database.startswith("file:"):
        database = unquote(_FILE_PREFIX.sub("", database, count=1))
    if database in ("", ":memory:") or query.get("mode") == "memory":
        raise MalformedURLError(
            "a database in memory is gone when the command ends",
            fix="name a file: sqlite:///file.db",
        )
    return url.set(database=os.path.normpath(root / Path(database).expanduser()), query=query)


def driver_url(url: DatabaseURL) -> DatabaseURL:
    """Return the URL as SQLAlchemy wants it: options of the file stand behind a `file:` name."""
    if not url.query.keys() & _FILE_OPTIONS:
        return url
    return url.set(database=f"file:{quote(url.database or '')}", query={**url.query, "uri": "true"})


def file_uri(url: DatabaseURL) -> str:
    """Return what SQLite itself opens: the file, which is never created, with the options of the URL."""
    options = {"mode": "rw"} | {name: value for name, value in url.query.items() if name in _FILE_OPTIONS}
    if options["mode"] == "rwc":
        options["mode"] = "rw"
    return f"file:{quote(url.database or '')}?{urlencode(options)}"


def read_only_option(url: DatabaseURL) -> str:
    """Return the option of the URL that forbids every change, such as `mode=ro`, or ""."""
    if url.query.get("mode") == "ro":
        return "mode=ro"
    value = url.query.get("immutable", "")
    return f"immutable={value}" if value in _TRUE_VALUES else ""


def client_variables(_url: DatabaseURL) -> dict[str, str]:
    """Return no variables: the sqlite3 program takes the path as an argument."""
    return {}


def redirecting_variables(_url: DatabaseURL) -> tuple[str, ...]:
    """Return no variables: nothing leads to another file."""
    return ()
