"""The ordinary forms of DATABASE_URL, read without SQLAlchemy: to load it takes longer than most questions.

What is not ordinary is no error here: Target reads it, and says what is wrong with it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dormatory.backends.url import DEFAULT_URL
from dormatory.sql.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PLAIN_VALUE = re.compile(r"[\w./-]+", re.ASCII)
_SQLITE_URL = re.compile(r"sqlite:///([\w./-]+)", re.ASCII)
_POSTGRESQL_URL = re.compile(
    r"(?P<driver>postgres(?:ql)?(?:\+\w+)?)://"
    r"(?:(?P<user>\w[\w.-]*)(?::(?P<password>[^@/?#\s\[\]]+))?@)?"
    r"(?P<host>[\w.-]+)?(?::(?P<port>\d{1,5}))?"
    r"/(?P<dbname>[\w.-]{1,63})(?:\?(?P<query>[\w./=&%-]+))?",
    re.ASCII,
)
_QUERY_OPTIONS = frozenset({"application_name", "connect_timeout", "host", "port", "sslmode", "sslrootcert"})
_REDIRECTING_VARIABLES = frozenset({"PGSERVICE", "PGDATABASE", "PGHOSTADDR"})  # what may lead libpq elsewhere


@dataclass(frozen=True, slots=True)
class PlainTarget:
    """A database: its backend's name, the text that shows it, and what its driver connects with.

    `settings` are libpq's keywords; an SQLite file is under `path`.
    """

    backend_name: str
    masked_url: str
    settings: Mapping[str, str]


def plain_target(url_text: str | None, root: Path, environ: Mapping[str, str] = os.environ) -> PlainTarget | None:
    """Return the database of an ordinary URL, exactly as Target.parse() would, or None for any other text."""
    text = DEFAULT_URL if url_text is None else url_text
    if match := _SQLITE_URL.fullmatch(text):
        path = os.path.normpath(root / match[1])
        return PlainTarget("sqlite", f"sqlite:///{path}", {"path": path}) if _PLAIN_VALUE.fullmatch(path) else None
    match = _POSTGRESQL_URL.fullmatch(text)
    query = _query_options(match["query"] or "") if match else None
    if match is None or query is None or _REDIRECTING_VARIABLES & environ.keys():
        return None
    return _postgresql_target(match, query)


def _postgresql_target(match: re.Match[str], query: dict[str, str]) -> PlainTarget | None:
    url_parts = {key: match[key] for key in ("host", "port", "user", "dbname") if match[key]}
    if url_parts.keys() & query.keys() or not query.get("host", "/").startswith("/"):
        return None
    driver = match["driver"] if match["driver"].startswith("postgresql") else f"postgresql{match['driver'][8:]}"
    user = f"{url_parts['user']}{f':{MASK}' if match['password'] else ''}@" if "user" in url_parts else ""
    host_and_port = url_parts.get("host", "") + (f":{url_parts['port']}" if "port" in url_parts else "")
    query_text = "&".join(f"{key}={query[key]}" for key in sorted(query))
    masked_url = f"{driver}://{user}{host_and_port}/{url_parts['dbname']}" + (f"?{query_text}" if query_text else "")
    secret = {"password": unquote(match["password"])} if match["password"] else {}
    return PlainTarget("postgresql", masked_url, url_parts | secret | query)


def _query_options(query: str) -> dict[str, str] | None:
    """Return the settings in a query, or None where one of them is not ordinary or is there twice."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if query]
    options = {key: unquote(value) for key, value in pairs}
    is_plain = (
        len(options) == len(pairs)
        and options.keys() <= _QUERY_OPTIONS
        and all(map(_PLAIN_VALUE.fullmatch, options.values()))
    )
    return options if is_plain else None
