"""The ordinary forms of DATABASE_URL, read without SQLAlchemy: to load it takes longer than most questions.

What is not ordinary is no error here: Target reads it, and says what is wrong with it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dormatory.backends.url import DEFAULT
from dormatory.sql.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PATH = re.compile(r"[\w./-]+", re.ASCII)
_SQLITE = re.compile(r"sqlite:///([\w./-]+)", re.ASCII)
_POSTGRESQL = re.compile(
    r"(?P<driver>postgres(?:ql)?(?:\+\w+)?)://"
    r"(?:(?P<user>\w[\w.-]*)(?::(?P<password>[^@/?#\s\[\]]+))?@)?"
    r"(?P<host>[\w.-]+)?(?::(?P<port>\d{1,5}))?"
    r"/(?P<dbname>[\w.-]{1,63})(?:\?(?P<query>[\w./=&%-]+))?",
    re.ASCII,
)
_QUERY = frozenset({"application_name", "connect_timeout", "host", "port", "sslmode", "sslrootcert"})
_DETOURS = frozenset({"PGSERVICE", "PGDATABASE", "PGHOSTADDR"})  # what may lead libpq elsewhere


@dataclass(frozen=True, slots=True)
class PlainTarget:
    """A database: its backend's name, the text that shows it, and what its driver connects with.

    `settings` are libpq's keywords; an SQLite file is under `path`.
    """

    backend: str
    shown: str
    settings: Mapping[str, str]


def plain_target(declared: str | None, root: Path, environ: Mapping[str, str] = os.environ) -> PlainTarget | None:
    """Return the database of an ordinary URL, exactly as Target.parse() would, or None for any other text."""
    text = DEFAULT if declared is None else declared
    if match := _SQLITE.fullmatch(text):
        path = os.path.normpath(root / match[1])
        return PlainTarget("sqlite", f"sqlite:///{path}", {"path": path}) if _PATH.fullmatch(path) else None
    match = _POSTGRESQL.fullmatch(text)
    query = _pairs(match["query"] or "") if match else None
    if match is None or query is None or _DETOURS & environ.keys():
        return None
    return _postgresql(match, query)


def _postgresql(match: re.Match[str], query: dict[str, str]) -> PlainTarget | None:
    given = {key: match[key] for key in ("host", "port", "user", "dbname") if match[key]}
    if given.keys() & query.keys() or not query.get("host", "/").startswith("/"):
        return None
    driver = match["driver"] if match["driver"].startswith("postgresql") else f"postgresql{match['driver'][8:]}"
    user = f"{given['user']}{f':{MASK}' if match['password'] else ''}@" if "user" in given else ""
    where = given.get("host", "") + (f":{given['port']}" if "port" in given else "")
    tail = "&".join(f"{key}={query[key]}" for key in sorted(query))
    shown = f"{driver}://{user}{where}/{given['dbname']}" + (f"?{tail}" if tail else "")
    secret = {"password": unquote(match["password"])} if match["password"] else {}
    return PlainTarget("postgresql", shown, given | secret | query)


def _pairs(query: str) -> dict[str, str] | None:
    """Return the settings in a query, or None where one of them is not ordinary or is there twice."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if query]
    found = {key: unquote(value) for key, value in pairs}
    is_plain = len(found) == len(pairs) and found.keys() <= _QUERY and all(map(_PATH.fullmatch, found.values()))
    return found if is_plain else None
