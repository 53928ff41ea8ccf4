"""Settings that belong to a database, such as its search_path: a copy made from a template does not have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg2 import sql

if TYPE_CHECKING:
    from collections.abc import Iterable


def copy_settings(settings: Iterable[str], connection: Any, database: str) -> None:
    """Give a database settings as they are in pg_db_role_setting; nothing is committed."""
    with connection.cursor() as cursor:
        for setting in settings:
            name, _, value = setting.partition("=")
            # A list has its own quotes, every other value has none.
            shown = sql.SQL(value or "''") if name == "search_path" else sql.Literal(value)
            words = sql.SQL("ALTER DATABASE {} SET {} TO {}")
            cursor.execute(words.format(sql.Identifier(database), sql.Identifier(*name.split(".")), shown))
