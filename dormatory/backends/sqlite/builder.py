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
        schema_row = self._cache.relations.get(name)
        if schema_row is None:
            return None
        if schema_row.type == "view":
            return View(
                None, schema_row.name, self._statement_body(schema_row, 3), triggers=self._triggers(schema_row.name)
            )
        return self._table(schema_row)

    def _statement_body(self, schema_row: SQLiteSchemaRow, words: int) -> str:
        """Return a statement without its first words, which name the object."""
        tokens = tokenize(schema_row.sql, DIALECT)[words:]
        return render((self._name_or_string(token) for token in tokens), DIALECT)

    def _name_or_string(self, token: Token) -> Token:
        """Return the token; a text in double quotes that may be a string becomes one, which keeps its case."""
        unknown = token.quote == '"' and not self._cache.name_counts.get(token.text.lower())
        return Token(TokenKind.STRING, f'"{token.text}"') if unknown and token.text != token.text.lower() else token

    def _triggers(self, table: str) -> tuple[Trigger, ...]:
        return tuple(
            Trigger(trigger.name, self._statement_body(trigger, 3)) for trigger in self._cache.parts(table, "trigger")
        )

    def _table(self, schema_row: SQLiteSchemaRow) -> Table:
        if schema_row.is_virtual:
            return Table(None, schema_row.name, "virtual table", definition=self._statement_body(schema_row, 4))
        cache = self._cache
        try:
            text = parse_table(schema_row.sql)
            parents = tuple((part.table, *cache.parent(part.table)) for part in text.constraints if part.table)
            indexes = tuple((other.name, other.sql) for other in cache.parts(schema_row.name, "index"))
            table = build_table(
                schema_row.name, tuple(cache.columns(schema_row.name)), schema_row.sql, indexes, parents
            )
        except SQLParseError:
            return self._unread_table(schema_row)
        triggers = self._triggers(schema_row.name)
        return replace(table, triggers=triggers) if triggers else table

    def _unread_table(self, schema_row: SQLiteSchemaRow) -> Table:
        """Return a table whose statement the parser cannot read: it is compared as a text."""
        note = f"constraints of table {schema_row.name}, one by one: its statement could not be read"
        self._cache.unread_tables[schema_row.name.lower()] = note
        return Table(
            None,
            schema_row.name,
            columns=tuple(row.column() for row in self._cache.columns(schema_row.name)),
            indexes=tuple(
                Index(other.name, canonical_sql(other.sql, DIALECT))
                for other in self._cache.parts(schema_row.name, "index")
            ),
            triggers=self._triggers(schema_row.name),
            definition=canonical_sql(schema_row.sql, DIALECT),
        )
