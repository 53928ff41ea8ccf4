"""Read PostgreSQL's catalogs on a connection: with settings that its texts depend on, and prepared statements."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from dormatory.backends import driver
from dormatory.backends.postgresql.introspection.queries import SEARCH_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

# What the server's deparsed texts depend on; a revision may have changed any of them.
_SETTINGS = {
    "search_path": SEARCH_PATH,
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "jit": "off",  # compiling takes longer than any of the statements
}
# A few objects are read through indexes, even if the catalogs are still small when the plan is made.
_FEW_OBJECTS_SETTINGS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off"}
_STATEMENT_PREFIX = "dormatory_"
_SET_SETTINGS = text("SELECT count(set_config(key, value, :local)) FROM json_each_text(CAST(:settings AS json))")


def _begin_statement(settings: Mapping[str, str]) -> tuple[str, str]:
    """Return the statement that reads the settings and sets new ones for the transaction, and the new ones as JSON."""
    current = ", ".join(f"'{name}', current_setting('{name}')" for name in settings)
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    statement = f"""
WITH before AS MATERIALIZED (
    SELECT current_setting('server_version_num')::int AS version,
        ARRAY(SELECT name FROM pg_prepared_statements WHERE starts_with(name, '{_STATEMENT_PREFIX}')) AS prepared,
        json_build_object({current})::text AS settings)
SELECT version, prepared, settings, {calls} FROM before"""  # noqa: S608  # nothing but the constants above
    return statement, json.dumps(settings)


_BEGIN, _BEGIN_FOR_FEW_OBJECTS = _begin_statement(_SETTINGS), _begin_statement(_SETTINGS | _FEW_OBJECTS_SETTINGS)


class CatalogSession:
    """Queries the catalogs; `version` is the server's version number, such as 160004."""

    def __init__(self, connection: Connection, version: int, prepared: Iterable[str], settings: str) -> None:
        self._connection, self.version, self.settings = connection, version, settings
        self._prepared = set(prepared)
        self.is_local = True

    def fetch(self, query: str) -> Sequence[Any]:
        """Return the rows of a statement."""
        return self._connection.exec_driver_sql(query).all()

    def fetch_prepared(self, name: str, query: str, *arguments: str) -> Sequence[Any]:
        """Return the rows of a statement that is planned once per connection.

        `name` may be followed by the types of the parameters in parentheses; the arguments are literals.
        """
        short = _STATEMENT_PREFIX + name.partition(" ")[0]
        if short not in self._prepared:
            self._connection.exec_driver_sql(f"PREPARE {_STATEMENT_PREFIX}{name} AS {query}")
            self._prepared.add(short)
        given = f" ({', '.join(arguments)})" if arguments else ""
        return driver.fetch_rows(driver.open_cursor(self._connection), f"EXECUTE {short}{given}")

    def ensure_search_path(self, path: str) -> bool:
        """Return whether `path`, the search_path that a query ran with, is the right one; if not, set it."""
        if path == SEARCH_PATH:
            return True
        # With autocommit, "local" ends with the statement; only then are the session's own settings changed.
        self.is_local = False
        _apply_settings(self._connection, self.settings, local=False)
        return False


def oid_array(oids: Iterable[int]) -> str:
    """Return OIDs as an array in SQL."""
    return f"'{{{','.join(map(str, oids))}}}'::oid[]"


@contextmanager
def catalog_session(connection: Connection, *, few_objects: bool = False) -> Iterator[CatalogSession]:
    """Provide a session with fixed settings, and restore the caller's settings afterwards.

    In a transaction they apply at once; in autocommit they apply after a call of `ensure_search_path`.
    """
    begin, settings = _BEGIN_FOR_FEW_OBJECTS if few_objects else _BEGIN
    ((version, prepared, before, *_),) = driver.fetch_rows(driver.open_cursor(connection), begin)
    session = CatalogSession(connection, version, prepared, settings)
    try:
        yield session
    finally:
        if not session.is_local:
            _apply_settings(connection, before, local=False)
    # Not in the finally: an error aborts the transaction, and its settings end with it.
    if session.is_local:
        _apply_settings(connection, before, local=True)


def _apply_settings(connection: Connection, values: str, *, local: bool) -> None:
    connection.execute(_SET_SETTINGS, {"settings": values, "local": local})
