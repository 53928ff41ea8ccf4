"""Build the values of a snapshot from SQLite's catalog."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.ddl import parse_table
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.backends.sqlite.table import build_table
from dormatory.schema.snapshot import Index, Table, Trigger, View
from dormatory.sql.cursor import SQLParseError
from dormatory.sql.lexer import Token, TokenKind, canonical_sql, render, tokenize

if TYPE_CHECKING:
    from dormatory.backends.sqlite.catalog import SQLiteCatalogCache, SQLiteSchemaRow


class SQLiteObjectBuilder:
    """Builds values, and records in the cache which tables it could not read."""

    def __init__(self, cache: SQLiteCatalogCache) -> None:
        self._cache = cache

    def relation(self, name: str) -> Table | View | None:
        """Return the table or view with this name in lower case, None if there is none."""
        self._cache.unread_tables.pop(name, None)
        found = self._cache.relations.get(name)
        if found is None:
            return None
        if found.type == "view":
            return View(None, found.name, self._statement_body(found, 3), triggers=self._triggers(found.name))
        return self._table(found)

    def _statement_body(self, found: SQLiteSchemaRow, words: int) -> str:
        """Return a statement without its first words, which name the object."""
        tokens = tokenize(found.sql, DIALECT)[words:]
        return render((self._name_or_string(token) for token in tokens), DIALECT)

    def _name_or_string(self, token: Token) -> Token:
        """Return the token; a text in double quotes that may be a string becomes one, which keeps its case."""
        unknown = token.quote == '"' and not self._cache.name_counts.get(token.text.lower())
        return Token(TokenKind.STRING, f'"{token.text}"') if unknown and token.text != token.text.lower() else token

    def _triggers(self, table: str) -> tuple[Trigger, ...]:
        return tuple(
            Trigger(found.name, self._statement_body(found, 3)) for found in self._cache.parts(table, "trigger")
        )

    def _table(self, found: SQLiteSchemaRow) -> Table:
        if found.is_virtual:
            return Table(None, found.name, "virtual table", definition=self._statement_body(found, 4))
        cache = self._cache
        try:
            text = parse_table(found.sql)
            parents = tuple((part.table, *cache.parent(part.table)) for part in text.constraints if part.table)
            indexes = tuple((other.name, other.sql) for other in cache.parts(found.name, "index"))
            table = build_table(found.name, tuple(cache.columns(found.name)), found.sql, indexes, parents)
        except SQLParseError:
            return self._unread_table(found)
        triggers = self._triggers(found.name)
        return replace(table, triggers=triggers) if triggers else table

    def _unread_table(self, found: SQLiteSchemaRow) -> Table:
        """Return a table whose statement the parser cannot read: it is compared as a text."""
        note = f"constraints of table {found.name}, one by one: its statement could not be read"
        self._cache.unread_tables[found.name.lower()] = note
        return Table(
            None,
            found.name,
            columns=tuple(row.column() for row in self._cache.columns(found.name)),
            indexes=tuple(
                Index(other.name, canonical_sql(other.sql, DIALECT)) for other in self._cache.parts(found.name, "index")
            ),
            triggers=self._triggers(found.name),
            definition=canonical_sql(found.sql, DIALECT),
        )
