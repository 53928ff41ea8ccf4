"""Column types and defaults that mean the same on SQLite and PostgreSQL, each in the best form that the backend has."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

#: uuid on PostgreSQL; CHAR(32) on SQLite: lower-case hexadecimal without hyphens.
Key = sa.Uuid

#: jsonb on PostgreSQL, JSON on SQLite; None is SQL's NULL, never JSON's.
Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


#: In the `info` of a schema item: the one backend it exists on. Copies keep it, but not `ddl_if`, and autogenerate
#: works on copies.
ONLY_ON = "only_on"


class PermissionLevel(Enum):
    """What a user may do with an object; each level includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


#: The type permission_level on PostgreSQL, VARCHAR with a named CHECK on SQLite.
Level = sa.Enum(
    PermissionLevel,
    name="permission_level",
    values_callable=lambda levels: [level.value for level in levels],
    create_constraint=True,
)


class Timestamp(sa.types.TypeDecorator[datetime]):
    """A moment: timestamptz on PostgreSQL; on SQLite text in UTC, `YYYY-MM-DD HH:MM:SS.ffffff`.

    SQLAlchemy's own DateTime drops the offset of what it writes to SQLite, and so the moment.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert to UTC; a datetime without an offset is no definite moment and raises ValueError."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"{value!r} has no offset: use an aware datetime"
            raise ValueError(message)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert to UTC, whatever the time zone of the session."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class new_key(FunctionElement[UUID]):  # noqa: N801 - reads as the SQL function it stands for
    """A random key, drawn by the database."""

    type = Key()
    inherit_cache = True


class utc_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it stands for
    """The moment the transaction began on PostgreSQL, that of the statement on SQLite."""

    type = Timestamp()
    inherit_cache = True


@compiles(new_key, "postgresql")
def _(_element: new_key, _compiler: SQLCompiler, **_: Any) -> str:
    return "gen_random_uuid()"


@compiles(new_key, "sqlite")
def _(_element: new_key, _compiler: SQLCompiler, **_: Any) -> str:
    return "lower(hex(randomblob(16)))"


@compiles(utc_now, "postgresql")
def _(_element: utc_now, _compiler: SQLCompiler, **_: Any) -> str:
    return "now()"


@compiles(utc_now, "sqlite")
def _(_element: utc_now, _compiler: SQLCompiler, **_: Any) -> str:
    # CURRENT_TIMESTAMP has no fraction; of one width, timestamps sort and compare as text.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def check_on(backend: str, condition: str, *, name: str) -> sa.CheckConstraint:
    """Return a CHECK that exists on one backend only."""
    check = sa.CheckConstraint(condition, name=name, info={ONLY_ON: backend})
    return check.ddl_if(dialect=backend)


def timestamp_checks(column: str) -> tuple[sa.CheckConstraint, sa.CheckConstraint]:
    """Return the CHECKs, one per backend, that keep a timestamp within the years 1 to 9999, which Python can read.

    SQLite has no type for it, so its CHECK holds the column to the one form in which `Timestamp` writes.
    """
    seconds = f"substr({column}, 1, 19)"
    years = f"EXTRACT(year FROM {column} AT TIME ZONE 'UTC') BETWEEN 1 AND 9999"
    form = (
        f"length({column}) = 26 AND substr({column}, 1, 4) > '0000'"
        f" AND strftime('%Y-%m-%d %H:%M:%S', {seconds}, '+0 days') IS {seconds}"
        f" AND substr({column}, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'"
    )
    return check_on("postgresql", years, name=f"{column}_range"), check_on("sqlite", form, name=f"{column}_range")
