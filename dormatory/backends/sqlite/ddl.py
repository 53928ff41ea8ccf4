"""SQLite's CREATE statements, read for what no PRAGMA tells: constraint names, CHECKs, COLLATE, ON CONFLICT, ...

The grammar is the one of https://sqlite.org/lang_createtable.html and parse.y; both let a statement pass that no
manual would show, e.g. table constraints without commas between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dormatory.sql.cursor import Cursor, split
from dormatory.sql.lexer import Kind, Syntax, Token, render, tokenize

_COLUMN_CONSTRAINTS = frozenset(
    {
        "constraint",
        "primary",
        "unique",
        "check",
        "references",
        "collate",
        "default",
        "not",
        "null",
        "generated",
        "as",
        "deferrable",
    }
)
_TABLE_CONSTRAINTS = frozenset({"constraint", "primary", "unique", "check", "foreign"})
_SIGNS = frozenset({"+", "-"})


@dataclass(frozen=True, slots=True)
class Part:
    """One constraint as it was written, inline or for the table."""

    kind: str
    name: str | None
    columns: tuple[str, ...] = ()  # of a foreign key
    keys: tuple[tuple[Token, ...], ...] = ()  # of a primary key or UNIQUE: a column, COLLATE, ASC or DESC
    expression: tuple[Token, ...] = ()  # of a CHECK
    table: str = ""  # of a foreign key
    referred: tuple[str, ...] = ()
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    match: str = "SIMPLE"
    deferrable: str = ""
    conflict: str = ""
    autoincrement: bool = False
    inline: bool = False


@dataclass(slots=True)
class ColumnText:
    """What a column's definition says beyond PRAGMA table_xinfo."""

    name: str
    collation: str | None = None
    generated: tuple[Token, ...] | None = None
    not_null_conflict: str = ""


@dataclass(frozen=True, slots=True)
class TableText:
    """What a CREATE TABLE statement says."""

    columns: tuple[ColumnText, ...]
    parts: tuple[Part, ...]
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexText:
    """What a CREATE INDEX statement says."""

    unique: bool
    keys: tuple[tuple[Token, ...], ...]
    where: tuple[Token, ...]


@lru_cache(maxsize=4096)
def parse_table(sql: str) -> TableText:
    """Return what a CREATE TABLE statement says; UnreadableError is raised if it is not of the expected form."""
    cursor = Cursor(tokenize(sql, Syntax.SQLITE))
    cursor.expect("create")
    cursor.expect("table")
    cursor.name()
    body = _Body(Cursor(cursor.group()))
    body.read()
    options = [render(run, Syntax.SQLITE).upper() for run in split(cursor.rest()) if run]
    return TableText(tuple(body.columns), tuple(body.parts), tuple(sorted(options)))


@lru_cache(maxsize=4096)
def parse_index(sql: str) -> IndexText:
    """Return what a CREATE INDEX statement says; UnreadableError is raised if it is not of the expected form."""
    cursor = Cursor(tokenize(sql, Syntax.SQLITE))
    cursor.expect("create")
    unique = cursor.skip("unique")
    cursor.expect("index")
    cursor.name()
    cursor.expect("on")
    cursor.name()
    keys = tuple(tuple(run) for run in split(cursor.group()))
    if not cursor.done:
        cursor.expect("where")
    return IndexText(unique, keys, tuple(cursor.rest()))


class _Body:
    """Reads what stands between the parentheses of CREATE TABLE."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.columns: list[ColumnText] = []
        self.parts: list[Part] = []

    def read(self) -> None:
        """Read columns and constraints to the end."""
        while not self._cursor.done:
            if self._cursor.word in _TABLE_CONSTRAINTS:
                self._table_constraint()
            else:
                self._column()
            self._cursor.skip(",")

    def _column(self) -> None:
        """Read a column: a name, a type of any words and numbers, its constraints."""
        cursor = self._cursor
        column = ColumnText(cursor.name())
        self.columns.append(column)
        while not cursor.done and cursor.word != "," and cursor.word not in _COLUMN_CONSTRAINTS:
            if cursor.word == "(":
                cursor.group()
            else:
                cursor.take()
        label: str | None = None
        while not cursor.done and cursor.word != ",":
            if cursor.skip("constraint"):
                label = cursor.name()
                continue
            part = self._column_constraint(column, label)
            self.parts += [] if part is None else [part]
            label = None

    def _column_constraint(self, column: ColumnText, label: str | None) -> Part | None:
        """Read one constraint of a column; None stands for a fact that went into the column."""
        cursor, key = self._cursor, Token(Kind.NAME, column.name, quote="[")
        if cursor.skip("primary", "key"):
            direction = [cursor.take()] if cursor.word in {"asc", "desc"} else []
            part = Part("PRIMARY KEY", label, keys=((key, *direction),), conflict=self._conflict(), inline=True)
            return replace(part, autoincrement=True) if cursor.skip("autoincrement") else part
        if cursor.skip("unique"):
            return Part("UNIQUE", label, keys=((key,),), conflict=self._conflict())
        if cursor.skip("check"):
            return self._check(label)
        if cursor.skip("references"):
            return self._reference(label, (column.name,))
        if (deferrable := self._deferrable()) is not None:
            self._defer_last(deferrable)
        else:
            self._column_fact(column)
        return None

    def _column_fact(self, column: ColumnText) -> None:
        """Read what a column says of itself."""
        cursor = self._cursor
        if cursor.skip("not", "null"):
            column.not_null_conflict = self._conflict()
        elif cursor.skip("null"):
            self._conflict()
        elif cursor.skip("collate"):
            column.collation = cursor.name().upper()
        elif cursor.skip("default"):
            self._default()
        elif cursor.skip("generated", "always", "as") or cursor.skip("as"):
            column.generated = tuple(cursor.group())
            _ = cursor.skip("stored") or cursor.skip("virtual")
        else:
            cursor.refuse()

    def _defer_last(self, deferrable: str) -> None:
        """Give a DEFERRABLE that stands apart to the foreign key before it, as SQLite does."""
        for place in reversed(range(len(self.parts))):
            if self.parts[place].kind == "FOREIGN KEY":
                self.parts[place] = replace(self.parts[place], deferrable=deferrable)
                return

    def _default(self) -> None:
        """Pass over a default: PRAGMA table_xinfo tells it."""
        if self._cursor.word == "(":
            self._cursor.group()
        elif self._cursor.take().word in _SIGNS:
            self._cursor.take()

    def _table_constraint(self) -> None:
        cursor = self._cursor
        label = cursor.name() if cursor.skip("constraint") else None
        if cursor.skip("primary", "key"):
            self.parts.append(self._key("PRIMARY KEY", label))
        elif cursor.skip("unique"):
            self.parts.append(self._key("UNIQUE", label))
        elif cursor.skip("check"):
            self.parts.append(self._check(label))
        elif cursor.skip("foreign", "key"):
            columns = cursor.names()
            cursor.expect("references")
            self.parts.append(self._reference(label, columns))
        elif label is None:
            cursor.refuse()

    def _key(self, kind: str, label: str | None) -> Part:
        """Read the columns of a key; AUTOINCREMENT may stand among them."""
        runs = [tuple(run) for run in split(self._cursor.group())]
        auto = bool(runs[-1]) and runs[-1][-1].word == "autoincrement"
        if auto:
            runs[-1] = runs[-1][:-1]
        if not all(runs):
            self._cursor.refuse()
        return Part(kind, label, keys=tuple(runs), conflict=self._conflict(), autoincrement=auto)

    def _check(self, label: str | None) -> Part:
        """Read a CHECK; SQLite takes ON CONFLICT after it and makes nothing of it."""
        part = Part("CHECK", label, expression=tuple(self._cursor.group()))
        self._conflict()
        return part

    def _reference(self, label: str | None, columns: tuple[str, ...]) -> Part:
        """Read what follows REFERENCES."""
        cursor, facts = self._cursor, dict[str, Any]()
        table = cursor.name()
        referred = cursor.names() if cursor.word == "(" else ()
        while True:
            if cursor.skip("on"):
                event = cursor.take().word
                action = [cursor.take().word]
                if action[0] in {"set", "no"}:
                    action.append(cursor.take().word)
                if event in {"update", "delete"}:
                    facts[f"on_{event}"] = " ".join(action).upper()
            elif cursor.skip("match"):
                facts["match"] = cursor.name().upper()
            elif (deferrable := self._deferrable()) is not None:
                facts["deferrable"] = deferrable
            else:
                return replace(Part("FOREIGN KEY", label, columns, table=table, referred=referred), **facts)

    def _deferrable(self) -> str | None:
        """Read [NOT] DEFERRABLE [INITIALLY ...] if it is there; only one form of it has an effect in SQLite."""
        refused = self._cursor.skip("not", "deferrable")
        if not refused and not self._cursor.skip("deferrable"):
            return None
        initially = self._cursor.take().word if self._cursor.skip("initially") else ""
        return "DEFERRABLE INITIALLY DEFERRED" if initially == "deferred" and not refused else ""

    def _conflict(self) -> str:
        """Read ON CONFLICT if it is there; ABORT is what holds without it."""
        if not self._cursor.skip("on", "conflict"):
            return ""
        found = self._cursor.take().word.upper()
        return "" if found == "ABORT" else f"ON CONFLICT {found}"
