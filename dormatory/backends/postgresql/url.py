"""The URL of a PostgreSQL database, in the words of libpq: its keywords and its environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.database_url import comma_separated
from dormatory.errors import MalformedURLError

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.database_url import DatabaseURL

DRIVER_NAME = "postgresql+psycopg2"

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


def normalize_url(url: DatabaseURL, _root: Path) -> DatabaseURL:
    """Return the URL with user, password and database in their own parts, and its hosts as libpq lists them.

    Raises MalformedURLError.
    """
    query = dict(url.query)
    for part, key in (("username", "user"), ("password", "password"), ("database", "dbname")):
        if key in query:
            url = url.set(**{part: comma_separated(query.pop(key))})
    if hosts := comma_separated(query.pop("host", "")):
        query |= _libpq_hosts(hosts.split(","))
    unknown = sorted(query.keys() - _LIBPQ_VARIABLES.keys())
    if unknown:
        raise MalformedURLError(
            f"option {unknown[0]} cannot be passed to psql and pg_dump",
            fix="leave it out, or write it in a connection service file and use ?service=NAME",
        )
    if not url.database and "service" not in query:
        raise MalformedURLError("it names no database", fix="end it with /NAME")
    if len((url.database or "").encode()) > _MAX_NAME_BYTES:
        raise MalformedURLError(
            f"its database name is longer than the {_MAX_NAME_BYTES} bytes PostgreSQL keeps", fix="shorten the name"
        )
    return url.set(query=query)


def driver_url(url: DatabaseURL) -> DatabaseURL:
    """Return the URL itself: SQLAlchemy takes it as it is."""
    return url


def libpq_settings(url: DatabaseURL) -> dict[str, str]:
    """Return the keywords that libpq connects with, as SQLAlchemy passes them to psycopg2."""
    parts = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
    }
    given = {key: comma_separated(value) for key, value in url.query.items()}
    return {key: str(value) for key, value in parts.items() if value} | given


def client_variables(url: DatabaseURL) -> dict[str, str]:
    """Return the variables that lead libpq's programs to the database.

    libpq expands a URI only in its dbname argument, never in PGDATABASE, so the URL is split.
    """
    return {_LIBPQ_VARIABLES[key]: value for key, value in libpq_settings(url).items()}


def redirecting_variables(url: DatabaseURL) -> tuple[str, ...]:
    """Return the variables by which libpq would connect to another database than the URL names."""
    has_host = bool(url.host or "host" in url.query)
    return ("PGSERVICE", "PGDATABASE", *(("PGHOSTADDR",) if has_host else ()))


def _libpq_hosts(entries: list[str]) -> dict[str, str]:
    """Return `host` or `host:port` entries as libpq takes them: a list of hosts next to a list of ports."""
    pairs = [(entry, "") if entry.startswith("/") else entry.partition(":")[::2] for entry in entries]
    hosts = {"host": ",".join(host for host, _ in pairs)}
    ports = ",".join(port for _, port in pairs)
    return hosts | {"port": ports} if ports.strip(",") else hosts
