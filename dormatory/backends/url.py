"""The database a command acts on: its URL resolved, masked, and told to libpq's programs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from dormatory.errors import MalformedURLError, UnsupportedBackendError
from dormatory.sql.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL

URL_VARIABLE = "DATABASE_URL"
DEFAULT_URL = "sqlite:///dormatory.db"

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg2", "postgres": "postgresql+psycopg2"}

# https://www.postgresql.org/docs/current/libpq-envars.html; the keywords that have no variable cannot
# reach psql or pg_dump without standing in their argument list, so they are refused.
_LIBPQ_VARIABLES = {
    "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER",
    "password": "PGPASSWORD", "passfile": "PGPASSFILE", "require_auth": "PGREQUIREAUTH",
    "channel_binding": "PGCHANNELBINDING", "service": "PGSERVICE", "options": "PGOPTIONS",
    "application_name": "PGAPPNAME", "sslmode": "PGSSLMODE", "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcompression": "PGSSLCOMPRESSION", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
    "sslcertmode": "PGSSLCERTMODE", "sslrootcert": "PGSSLROOTCERT", "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR", "sslsni": "PGSSLSNI", "requirepeer": "PGREQUIREPEER",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION", "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME", "gsslib": "PGGSSLIB", "gssdelegation": "PGGSSDELEGATION",
    "connect_timeout": "PGCONNECT_TIMEOUT", "client_encoding": "PGCLIENTENCODING",
    "target_session_attrs": "PGTARGETSESSIONATTRS", "load_balance_hosts": "PGLOADBALANCEHOSTS",
}  # fmt: skip
_MAX_NAME_BYTES = 63
_SECRET_OPTIONS = frozenset({"password", "sslpassword", "passfile", "options"})


@dataclass(frozen=True, slots=True)
class Target:
    """A database, as the URL that SQLAlchemy connects with; its text form hides every secret.

    `driver` is the dialect and driver as the user wrote them, for projects whose env.py wants its own.
    """

    url: URL
    driver: str

    @classmethod
    def parse(cls, text: str, *, root: Path) -> Target:
        """Return the database that `text` names, a relative SQLite path taken from `root`.

        Every spelling of PostgreSQL reaches psycopg2, which this project ships: SQLAlchemy 2.1 would send a
        bare `postgresql://` to psycopg 3, and hosting providers write `postgres://`.

        Raises MalformedURLError or UnsupportedBackendError; neither repeats the text.
        """
        url = _parse_url(text)
        name = url.drivername.partition("+")[0]
        if name not in _DRIVERS:
            raise UnsupportedBackendError(name, known=("sqlite", "postgresql"))
        driver = url.drivername.replace("postgres", "postgresql") if name == "postgres" else url.drivername
        url = url.set(drivername=_DRIVERS[name])
        return cls(_resolve_sqlite_path(url, root) if name == "sqlite" else _normalize_postgresql(url), driver)

    @classmethod
    def from_environment(cls, root: Path, environ: Mapping[str, str] = os.environ) -> Target:
        """Return the database that DATABASE_URL names, or the development default below `root`."""
        return cls.parse(environ.get(URL_VARIABLE, DEFAULT_URL), root=root)

    def __str__(self) -> str:
        query = {key: MASK if key in _SECRET_OPTIONS else value for key, value in self.url.query.items()}
        masked_url = self.url.set(drivername=self.driver, query=query).render_as_string(hide_password=True)
        return masked_url.replace(quote_plus(MASK), MASK).replace("%2F", "/")

    __repr__ = __str__

    @property
    def backend_name(self) -> str:
        """The kind of database: sqlite or postgresql."""
        return self.url.get_backend_name()

    @property
    def database(self) -> str:
        """The name of the database, or the path of its file."""
        return self.url.database or ""

    @property
    def path(self) -> Path:
        """The file of an SQLite database."""
        return Path(self.database)

    def with_database(self, database: str) -> Target:
        """Return the same server and credentials with another database on it."""
        return Target(self.url.set(database=database), self.driver)

    def mask(self, text: str) -> str:
        """Return `text` with each secret of this URL replaced, raw and in every encoding a tool may print.

        Character by character, since tools differ in what they encode: SQLAlchemy leaves spaces as they are.
        """
        for secret in self._secrets():
            text = re.sub("".join(_any_encoding_pattern(character) for character in secret), lambda _: MASK, text)
        return text

    def environment(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the environment for a child program, the only way a secret may take.

        libpq expands a URI only in its dbname argument, never in PGDATABASE, so the URL is split. Inherited
        settings that would lead a child elsewhere than SQLAlchemy goes are left out.
        """
        child = {key: value for key, value in base.items() if key not in redirecting_variables(self)}
        child[URL_VARIABLE] = self.url.set(drivername=self.driver).render_as_string(hide_password=False)
        if self.backend_name != "postgresql":
            return child
        given = {key: _comma_separated(value) for key, value in self.url.query.items()}
        for key, value in (
            ("host", self.url.host),
            ("port", self.url.port),
            ("user", self.url.username),
            ("password", self.url.password),
            ("dbname", self.url.database),
        ):
            if value not in (None, ""):
                given[key] = str(value)
        return child | {_LIBPQ_VARIABLES[key]: value for key, value in given.items()}

    def _secrets(self) -> list[str]:
        found = [_comma_separated(value) for key, value in self.url.query.items() if key in _SECRET_OPTIONS]
        if self.url.password is not None:
            found.append(str(self.url.password))
        return [secret for secret in found if secret]


def _any_encoding_pattern(character: str) -> str:
    """Return a pattern for a character as such, percent-encoded, quoted, or escaped."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode())
    escaped = {character.encode("unicode_escape").decode(), f"\\u{ord(character):04x}"}
    special = {" ": "+", "'": "''", "%": "%%", "\\": "\\\\"}.get(character, character)
    others = sorted(escaped | {special, f"\\{character}", character}, key=len, reverse=True)
    return f"(?:(?i:{encoded})|{'|'.join(map(re.escape, others))})"


def redirecting_variables(target: Target) -> tuple[str, ...]:
    """Return the variables by which libpq would go elsewhere than the URL says."""
    has_host = bool(target.url.host or "host" in target.url.query)
    return ("PGSERVICE", "PGDATABASE", *(("PGHOSTADDR",) if has_host else ()))


def _comma_separated(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _parse_url(text: str) -> URL:
    from sqlalchemy.engine import make_url  # noqa: PLC0415  # the names and forms above need no SQLAlchemy
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    if not text.strip():
        raise MalformedURLError("it is set but empty", fix=f"unset it to use {DEFAULT_URL}, or give a URL")
    try:
        url = make_url(_move_hosts_to_query(text.strip()))
    except (ArgumentError, ValueError):
        # The cause would repeat the URL, password included.
        raise MalformedURLError("it does not read as a URL") from None
    if url.host and "@" in url.host:
        raise MalformedURLError("user name or password holds an unescaped @", fix="write it percent-encoded: %40")
    return url


def _move_hosts_to_query(text: str) -> str:
    """Turn libpq's `//user@one:1,two:2/name` into the `?host=one:1&host=two:2` that SQLAlchemy reads."""
    match = re.fullmatch(r"(\w[\w+]*://(?:[^@/?]*@)?)([^@/?]*,[^@/?]*)(/[^?]*)?(?:\?(.*))?", text)
    if match is None:
        return text
    head, hosts, path, query = match.groups()
    pairs = "&".join(f"host={host}" for host in hosts.split(","))
    return f"{head}{path or '/'}?{pairs}" + (f"&{query}" if query else "")


def _resolve_sqlite_path(url: URL, root: Path) -> URL:
    if url.host or url.username or url.port:
        raise MalformedURLError("SQLite has no host", fix="use sqlite:///file.db or sqlite:////absolute/file.db")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise MalformedURLError(
            "a database in memory is gone when the command ends",
            fix="name a file: sqlite:///file.db",
        )
    return url.set(database=os.path.normpath(root / Path(url.database).expanduser()))


def _normalize_postgresql(url: URL) -> URL:
    query = dict(url.query)
    for field, key in (("username", "user"), ("password", "password"), ("database", "dbname")):
        if key in query:
            url = url.set(**{field: _comma_separated(query.pop(key))})  # type: ignore[arg-type] # one name, one text
    if hosts := _comma_separated(query.pop("host", "")):
        query |= _libpq_hosts(hosts.split(","))
    unknown = sorted(query.keys() - _LIBPQ_VARIABLES.keys())
    if unknown:
        raise MalformedURLError(
            f"option {unknown[0]} cannot be told to psql and pg_dump",
            fix="leave it out, or write it in a connection service file and use ?service=NAME",
        )
    if not url.database and "service" not in query:
        raise MalformedURLError("it names no database", fix="end it with /NAME")
    if len((url.database or "").encode()) > _MAX_NAME_BYTES:
        raise MalformedURLError(
            f"its database name is longer than the {_MAX_NAME_BYTES} bytes PostgreSQL keeps", fix="shorten the name"
        )
    return url.set(query=query)


def _libpq_hosts(entries: list[str]) -> dict[str, str]:
    """Return `host` or `host:port` entries as libpq takes them: a list of hosts beside a list of ports."""
    pairs = [(entry, "") if entry.startswith("/") else entry.partition(":")[::2] for entry in entries]
    hosts = {"host": ",".join(host for host, _ in pairs)}
    ports = ",".join(port for _, port in pairs)
    return hosts | {"port": ports} if ports.strip(",") else hosts
