"""The values of a snapshot, built from what SQLite answered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.ddl import parse_table
from dormatory.backends.sqlite.table import written_table
from dormatory.schema.snapshot import Index, Table, Trigger, View
from dormatory.sql.cursor import UnreadableError
from dormatory.sql.lexer import Kind, Syntax, Token, canonical, render, tokenize

if TYPE_CHECKING:
    from dormatory.backends.sqlite.catalog import Memory, Object


class Builder:
    """Builds values, and notes in the memory which tables it could not read."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def relation(self, name: str) -> Table | View | None:
        """Return a table or a view, if there is one of this name in small letters."""
        self._memory.unread.pop(name, None)
        found = self._memory.relations.get(name)
        if found is None:
            return None
        if found.type == "view":
            return View(None, found.name, self._body(found, 3), triggers=self._triggers(found.name))
        return self._table(found)

    def _body(self, found: Object, words: int) -> str:
        """Return a statement without its first words, which name the object."""
        tokens = tokenize(found.sql, Syntax.SQLITE)[words:]
        return render((self._name_or_string(token) for token in tokens), Syntax.SQLITE)

    def _name_or_string(self, token: Token) -> Token:
        """Return a token as it is, but what may be a string in double quotes keeps its case."""
        unknown = token.quote == '"' and not self._memory.names.get(token.text.lower())
        return Token(Kind.STRING, f'"{token.text}"') if unknown and token.text != token.text.lower() else token

    def _triggers(self, table: str) -> tuple[Trigger, ...]:
        return tuple(Trigger(found.name, self._body(found, 3)) for found in self._memory.parts(table, "trigger"))

    def _table(self, found: Object) -> Table:
        if found.is_virtual:
            return Table(None, found.name, "virtual table", definition=self._body(found, 4))
        memory = self._memory
        try:
            text = parse_table(found.sql)
            parents = tuple((part.table, *memory.parent(part.table)) for part in text.parts if part.table)
            indexes = tuple((other.name, other.sql) for other in memory.parts(found.name, "index"))
            table = written_table(found.name, tuple(memory.columns(found.name)), found.sql, indexes, parents)
        except UnreadableError:
            return self._unread(found)
        triggers = self._triggers(found.name)
        return replace(table, triggers=triggers) if triggers else table

    def _unread(self, found: Object) -> Table:
        """Return a table whose statement the parser does not know: its text stands for what is in it."""
        note = f"constraints of table {found.name}, one by one: its statement could not be read"
        self._memory.unread[found.name.lower()] = note
        return Table(
            None,
            found.name,
            columns=tuple(row.column() for row in self._memory.columns(found.name)),
            indexes=tuple(
                Index(other.name, canonical(other.sql, Syntax.SQLITE))
                for other in self._memory.parts(found.name, "index")
            ),
            triggers=self._triggers(found.name),
            definition=canonical(found.sql, Syntax.SQLITE),
        )
