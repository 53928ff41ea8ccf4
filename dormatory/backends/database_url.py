"""A database URL as its parts, read and written exactly as SQLAlchemy does, without loading it.

SQLAlchemy takes longer to load than most commands take for all the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL

# The pattern of sqlalchemy.engine.url._parse_url.
_PATTERN = re.compile(
    r"""
    (?P<drivername>[\w+]+)://
    (?: (?P<username>[^:/]*) (?: :(?P<password>[^@]*) )? @ )?
    (?: (?: \[(?P<ipv6host>[^/?]+)\] | (?P<ipv4host>[^/:?]+) )? (?: :(?P<port>[^/?]*) )? )?
    (?: /(?P<database>[^?]*) )?
    (?: \?(?P<query>.*) )?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """The parts of a URL, decoded: None for a part that the text does not have, a tuple for a repeated key."""

    drivername: str
    username: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, text: str) -> DatabaseURL:
        """Return the parts of a text; raises ValueError for one that is no URL, without repeating it."""
        match = _PATTERN.match(text)
        if match is None:
            message = "this is no URL"
            raise ValueError(message)
        username, password, database = (
            None if part is None else unquote(part) for part in match.group("username", "password", "database")
        )
        return cls(
            match["drivername"],
            username,
            password,
            match["ipv4host"] or match["ipv6host"],
            None if match["port"] is None else int(match["port"]),
            database,
            _parse_query(match["query"] or ""),
        )

    @property
    def backend_name(self) -> str:
        """The dialect, without the driver."""
        return self.drivername.partition("+")[0]

    def set(self, **parts: Any) -> DatabaseURL:
        """Return the URL with other parts."""
        return replace(self, **parts)

    def render(self) -> str:
        """Return the text of the URL, with its password."""
        text = f"{self.drivername}://"
        if self.username is not None:
            password = "" if self.password is None else f":{quote(self.password, safe=' +')}"
            text += f"{quote(self.username, safe=' +')}{password}@"
        if self.host is not None:
            text += f"[{self.host}]" if ":" in self.host else self.host
        if self.port is not None:
            text += f":{self.port}"
        if self.database is not None:
            text += f"/{quote(self.database, safe=' +/')}"
        pairs = [(key, value) for key, given in sorted(self.query.items()) for value in _values(given)]
        query = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs)
        return f"{text}?{query}" if query else text

    def for_sqlalchemy(self) -> URL:
        """Return SQLAlchemy's own value, which loads SQLAlchemy."""
        from sqlalchemy.engine import URL  # noqa: PLC0415  # only whoever makes an engine needs it

        return URL.create(
            self.drivername, self.username, self.password, self.host, self.port, self.database, self.query
        )


def _parse_query(text: str) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(text):
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else tuple(values) for key, values in found.items()}


def comma_separated(value: str | tuple[str, ...]) -> str:
    """Return the values of a repeated key as one text."""
    return ",".join(_values(value))


def _values(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
