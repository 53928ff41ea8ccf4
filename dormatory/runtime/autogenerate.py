"""What autogenerate compares on a backend, and how it writes types, checks and defaults into a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from alembic import context
from sqlalchemy.engine import URL
from sqlalchemy.sql.elements import False_, True_
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext


def include_object(item: Any, _name: str | None, _kind: str, _reflected: object, _other: object) -> bool:
    """Return whether a schema item exists on this backend: Alembic ignores `ddl_if(dialect=…)`."""
    return item.info.get("only_on") in (None, context.get_context().dialect.name)


def render_item(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Return the code of an item in a revision, so that it runs on both backends; False leaves it to Alembic.

    A type of the application is written as the type that it stores, since a revision imports nothing of the
    application. A CHECK for one backend keeps its ddl_if(); Alembic would drop it, and double its percent signs on
    PostgreSQL. A default that the backends spell differently is written for both: true is 1 on SQLite.
    """
    if kind == "type" and isinstance(item, TypeDecorator):
        stored = item.impl_instance
        return f"sa.{stored!r}" if type(stored).__module__ == "sqlalchemy.sql.sqltypes" else False
    if kind == "check" and (dialect := item.info.get("only_on")):
        return f"sa.CheckConstraint({str(item.sqltext)!r}, name=op.f({str(item.name)!r})).ddl_if(dialect={dialect!r})"
    default = getattr(item, "arg", None) if kind == "server_default" else None  # Computed and Identity have none
    if isinstance(default, (True_, False_)):
        return "sa.true()" if isinstance(default, True_) else "sa.false()"
    if isinstance(default, FunctionElement):
        return _default_for_both_backends(default)
    return False


def _default_for_both_backends(function: FunctionElement[Any]) -> str | Literal[False]:
    on_postgresql = _compile(function, "postgresql+psycopg2")
    on_sqlite = f"({_compile(function, 'sqlite')})"  # SQLite needs parentheses around an expression
    if on_sqlite == f"({on_postgresql})":
        return False
    return f"sa.text({on_postgresql!r} if op.get_context().dialect.name == 'postgresql' else {on_sqlite!r})"


def _compile(function: FunctionElement[Any], backend: str) -> str:
    return str(function.compile(dialect=URL.create(backend).get_dialect()()))
