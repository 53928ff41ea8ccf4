"""The database that a command acts on: its URL parsed once, masked, and passed on to programs by their environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus

from dormatory.backends.database_url import DatabaseURL, comma_separated
from dormatory.backends.names import validate_backend_name
from dormatory.errors import MalformedURLError
from dormatory.sql.mask import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL

URL_VARIABLE = "DATABASE_URL"
DEFAULT_URL = "sqlite:///dormatory.db"

_SCHEME_ALIASES = {"postgres": "postgresql"}  # as hosting providers write it
_SECRET_OPTIONS = frozenset({"password", "sslpassword", "passfile", "options"})


class URLRules(Protocol):
    """Part `url` of a backend: what its URLs may hold. It loads neither SQLAlchemy nor a driver."""

    DRIVER_NAME: str
    """What stands before `://` for the driver that this package works with."""

    def normalize_url(self, url: DatabaseURL, root: Path, /) -> DatabaseURL:
        """Return the URL in the one form that the rest of the workflow reads; raises MalformedURLError."""

    def driver_url(self, url: DatabaseURL, /) -> DatabaseURL:
        """Return a URL in that form as SQLAlchemy and the application take it."""

    def client_variables(self, url: DatabaseURL, /) -> dict[str, str]:
        """Return the environment variables that lead the backend's own client programs to the database."""

    def redirecting_variables(self, url: DatabaseURL, /) -> tuple[str, ...]:
        """Return the variables that would lead driver and programs to another database than the URL names."""


@dataclass(frozen=True, slots=True)
class Target:
    """A database, as the URL that we connect with; its text form hides every secret.

    `driver` is the dialect and driver as the user wrote them, for projects whose env.py needs its own.
    """

    url: DatabaseURL
    driver: str

    @classmethod
    def parse(cls, text: str, *, root: Path) -> Target:
        """Return the database that `text` names, a relative SQLite path taken from `root`.

        Every spelling of PostgreSQL reaches psycopg2, which this project ships: SQLAlchemy 2.1 would send a
        bare `postgresql://` to psycopg 3, and hosting providers write `postgres://`.

        Raises MalformedURLError or UnsupportedBackendError; neither repeats the text.
        """
        url = _parse_url(text)
        scheme, plus, driver = url.drivername.partition("+")
        name = validate_backend_name(_SCHEME_ALIASES.get(scheme, scheme))
        rules = _rules_of(name)
        try:
            normalized = rules.normalize_url(url.set(drivername=rules.DRIVER_NAME), root)
        except MalformedURLError:
            if url.password and "@" in text.partition("?")[2]:  # what looks like an unknown option is of the password
                raise _unescaped_password_error(text) from None
            raise
        return cls(normalized, f"{name}{plus}{driver}")

    def __str__(self) -> str:
        query = {key: MASK if key in _SECRET_OPTIONS else value for key, value in self.url.query.items()}
        password = None if self.url.password is None else MASK
        masked_url = self.url.set(drivername=self.driver, password=password, query=query).render()
        return masked_url.replace(quote_plus(MASK), MASK).replace("%2F", "/")

    __repr__ = __str__

    @property
    def backend_name(self) -> str:
        """The kind of database."""
        return self.url.backend_name

    @property
    def database(self) -> str:
        """The name of the database, or the path of its file."""
        return self.url.database or ""

    @property
    def path(self) -> Path:
        """The file of a database that is one."""
        return Path(self.database)

    def sqlalchemy_url(self) -> URL:
        """Return the URL for SQLAlchemy, which this call loads."""
        return _rules_of(self.backend_name).driver_url(self.url).for_sqlalchemy()

    def with_parts(self, **parts: Any) -> Target:
        """Return a target whose URL has other parts, such as `database` or `username`."""
        return Target(self.url.set(**parts), self.driver)

    def with_database(self, database: str) -> Target:
        """Return the same server and credentials with another database on it."""
        return self.with_parts(database=database)

    def mask(self, text: str) -> str:
        """Return `text` with each secret of this URL replaced, raw and in every encoding a tool may print.

        Character by character, since tools differ in what they encode: SQLAlchemy leaves spaces as they are.
        """
        for secret in self._secrets():
            text = re.sub("".join(_any_encoding_pattern(character) for character in secret), lambda _: MASK, text)
        return text

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the environment for a child program: a secret travels in no other way.

        Inherited settings that would lead a child to another database are left out.
        """
        redirecting = self.redirecting_variables()
        child = {key: value for key, value in base.items() if key not in redirecting}
        rules = _rules_of(self.backend_name)
        child[URL_VARIABLE] = rules.driver_url(self.url).set(drivername=self.driver).render()
        return child | rules.client_variables(self.url)

    def redirecting_variables(self) -> tuple[str, ...]:
        """Return the variables that would lead driver and programs to another database than the URL names."""
        return _rules_of(self.backend_name).redirecting_variables(self.url)

    def _secrets(self) -> list[str]:
        found = [comma_separated(value) for key, value in self.url.query.items() if key in _SECRET_OPTIONS]
        return [secret for secret in (*found, self.url.password) if secret]


def _rules_of(backend: str) -> URLRules:
    rules: URLRules = import_module(f"dormatory.backends.{backend}.url")
    return rules


def _any_encoding_pattern(character: str) -> str:
    """Return a pattern for a character as such, percent-encoded, quoted, or escaped."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    escaped = {character.encode("unicode_escape").decode(), f"\\u{ord(character):04x}"}
    special = {" ": "+", "'": "''", "%": "%%", "\\": "\\\\"}.get(character, character)
    others = sorted(escaped | {special, f"\\{character}", character}, key=len, reverse=True)
    return f"(?:(?i:{encoded})|{'|'.join(map(re.escape, others))})"


def _parse_url(text: str) -> DatabaseURL:
    if not text.strip():
        raise MalformedURLError("it is set but empty", fix=f"unset it to use {DEFAULT_URL}, or give a URL")
    if _is_password_cut(text):
        raise _unescaped_password_error(text)
    try:
        url = DatabaseURL.parse(_move_hosts_to_query(text.strip()))
    except ValueError:
        # The cause would repeat the URL, password included.
        raise MalformedURLError("it does not read as a URL") from None
    if url.host and "@" in url.host:
        raise _unescaped_password_error(text)
    return url


def _is_password_cut(text: str) -> bool:
    """Return whether a URL divides in more than one way, so that the end of a password would be taken for another part.

    In `u:p@ss/w@host/name` it would be the database. An @ is ordinary in the value of an option, and in a path.
    """
    _, _, rest = text.partition("://")
    before_options, _, options = rest.partition("?")
    is_cut_by_options = "@" in re.sub(r"(^|&)[^=&@]+=[^&]*", "", options)
    user, _, tail = (rest if is_cut_by_options else before_options).partition(":")
    return "/" not in user and tail.count("@") > 1


def _unescaped_password_error(text: str) -> MalformedURLError:
    """Return an error that shows nothing behind the user's name."""
    scheme, _, rest = text.strip().partition("://")
    user = re.split("[:/@?]", rest, maxsplit=1)[0]
    return MalformedURLError(
        f"there is more than one @ behind {scheme}://{user}:",
        fix="in the password write @ as %40, : as %3A, / as %2F, ? as %3F and # as %23",
    )


def _move_hosts_to_query(text: str) -> str:
    """Turn libpq's `//user@one:1,two:2/name` into `?host=one:1&host=two:2`, as SQLAlchemy writes it."""
    match = re.fullmatch(r"(\w[\w+]*://(?:[^@/?]*@)?)([^@/?]*,[^@/?]*)(/[^?]*)?(?:\?(.*))?", text)
    if match is None:
        return text
    head, hosts, path, query = match.groups()
    pairs = "&".join(f"host={host}" for host in hosts.split(","))
    return f"{head}{path or '/'}?{pairs}" + (f"&{query}" if query else "")
