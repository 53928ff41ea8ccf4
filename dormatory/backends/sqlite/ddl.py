"""Parse SQLite's CREATE statements for what no PRAGMA shows: constraint names, CHECKs, COLLATE, ON CONFLICT, ...

The grammar is that of https://sqlite.org/lang_createtable.html and parse.y. Both accept unusual statements, for
example table constraints without commas between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.sql.cursor import TokenCursor
from dormatory.sql.lexer import Token, TokenKind, render, tokenize
from dormatory.sql.nesting import split_at_commas

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
class ParsedConstraint:
    """One constraint as it was written, inline or for the table."""

    kind: str
    name: str | None
    columns: tuple[str, ...] = ()  # of a foreign key
    keys: tuple[tuple[Token, ...], ...] = ()  # of a primary key or UNIQUE: a column, COLLATE, ASC or DESC
    expression: tuple[Token, ...] = ()  # of a CHECK
    table: str = ""  # of a foreign key
    referred_columns: tuple[str, ...] = ()
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    match: str = "SIMPLE"
    deferrable: str = ""
    conflict: str = ""
    autoincrement: bool = False
    inline: bool = False


@dataclass(slots=True)
class ParsedColumn:
    """The parts of a column's definition that PRAGMA table_xinfo does not show."""

    name: str
    collation: str | None = None
    generated: tuple[Token, ...] | None = None
    not_null_conflict: str = ""


@dataclass(frozen=True, slots=True)
class ParsedTable:
    """The contents of a CREATE TABLE statement."""

    columns: tuple[ParsedColumn, ...]
    constraints: tuple[ParsedConstraint, ...]
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParsedIndex:
    """The contents of a CREATE INDEX statement."""

    unique: bool
    keys: tuple[tuple[Token, ...], ...]
    where: tuple[Token, ...]


@lru_cache(maxsize=4096)
def parse_table(sql: str) -> ParsedTable:
    """Return the contents of a CREATE TABLE statement; raises SQLParseError if its form is unknown."""
    cursor = TokenCursor(tokenize(sql, DIALECT))
    cursor.expect("create")
    cursor.expect("table")
    cursor.take_name()
    body = _TableBodyParser(TokenCursor(cursor.take_group()))
    body.parse()
    options = [render(run, DIALECT).upper() for run in split_at_commas(cursor.take_rest()) if run]
    return ParsedTable(tuple(body.columns), tuple(body.constraints), tuple(sorted(options)))


@lru_cache(maxsize=4096)
def parse_index(sql: str) -> ParsedIndex:
    """Return the contents of a CREATE INDEX statement; raises SQLParseError if its form is unknown."""
    cursor = TokenCursor(tokenize(sql, DIALECT))
    cursor.expect("create")
    unique = cursor.accept("unique")
    cursor.expect("index")
    cursor.take_name()
    cursor.expect("on")
    cursor.take_name()
    keys = tuple(tuple(run) for run in split_at_commas(cursor.take_group()))
    if not cursor.is_at_end:
        cursor.expect("where")
    return ParsedIndex(unique, keys, tuple(cursor.take_rest()))


class _TableBodyParser:
    """Reads the text in the parentheses of CREATE TABLE."""

    def __init__(self, cursor: TokenCursor) -> None:
        self._cursor = cursor
        self.columns: list[ParsedColumn] = []
        self.constraints: list[ParsedConstraint] = []

    def parse(self) -> None:
        """Read columns and constraints to the end."""
        while not self._cursor.is_at_end:
            if self._cursor.word in _TABLE_CONSTRAINTS:
                self._parse_table_constraint()
            else:
                self._parse_column()
            self._cursor.accept(",")

    def _parse_column(self) -> None:
        """Read a column: a name, a type of any words and numbers, its constraints."""
        cursor = self._cursor
        column = ParsedColumn(cursor.take_name())
        self.columns.append(column)
        while not cursor.is_at_end and cursor.word != "," and cursor.word not in _COLUMN_CONSTRAINTS:
            if cursor.word == "(":
                cursor.take_group()
            else:
                cursor.take()
        label: str | None = None
        while not cursor.is_at_end and cursor.word != ",":
            if cursor.accept("constraint"):
                label = cursor.take_name()
                continue
            part = self._parse_column_constraint(column, label)
            self.constraints += [] if part is None else [part]
            label = None

    def _parse_column_constraint(self, column: ParsedColumn, label: str | None) -> ParsedConstraint | None:
        """Read one constraint of a column; return None for one that became a property of the column."""
        cursor, key = self._cursor, Token(TokenKind.NAME, column.name, quote="[")
        if cursor.accept("primary", "key"):
            direction = [cursor.take()] if cursor.word in {"asc", "desc"} else []
            part = ParsedConstraint(
                "PRIMARY KEY", label, keys=((key, *direction),), conflict=self._parse_conflict(), inline=True
            )
            return replace(part, autoincrement=True) if cursor.accept("autoincrement") else part
        if cursor.accept("unique"):
            return ParsedConstraint("UNIQUE", label, keys=((key,),), conflict=self._parse_conflict())
        if cursor.accept("check"):
            return self._parse_check(label)
        if cursor.accept("references"):
            return self._parse_reference(label, (column.name,))
        if (deferrable := self._parse_deferrable()) is not None:
            self._defer_last(deferrable)
        else:
            self._parse_column_attribute(column)
        return None

    def _parse_column_attribute(self, column: ParsedColumn) -> None:
        """Read a property of a column."""
        cursor = self._cursor
        if cursor.accept("not", "null"):
            column.not_null_conflict = self._parse_conflict()
        elif cursor.accept("null"):
            self._parse_conflict()
        elif cursor.accept("collate"):
            column.collation = cursor.take_name().upper()
        elif cursor.accept("default"):
            self._skip_default()
        elif cursor.accept("generated", "always", "as") or cursor.accept("as"):
            column.generated = tuple(cursor.take_group())
            _ = cursor.accept("stored") or cursor.accept("virtual")
        else:
            cursor.raise_unexpected()

    def _defer_last(self, deferrable: str) -> None:
        """Add a separate DEFERRABLE to the foreign key before it, as SQLite does."""
        for place in reversed(range(len(self.constraints))):
            if self.constraints[place].kind == "FOREIGN KEY":
                self.constraints[place] = replace(self.constraints[place], deferrable=deferrable)
                return

    def _skip_default(self) -> None:
        """Skip a default: PRAGMA table_xinfo shows it."""
        if self._cursor.word == "(":
            self._cursor.take_group()
        elif self._cursor.take().word in _SIGNS:
            self._cursor.take()

    def _parse_table_constraint(self) -> None:
        cursor = self._cursor
        label = cursor.take_name() if cursor.accept("constraint") else None
        if cursor.accept("primary", "key"):
            self.constraints.append(self._parse_key("PRIMARY KEY", label))
        elif cursor.accept("unique"):
            self.constraints.append(self._parse_key("UNIQUE", label))
        elif cursor.accept("check"):
            self.constraints.append(self._parse_check(label))
        elif cursor.accept("foreign", "key"):
            columns = cursor.take_names()
            cursor.expect("references")
            self.constraints.append(self._parse_reference(label, columns))
        elif label is None:
            cursor.raise_unexpected()

    def _parse_key(self, kind: str, label: str | None) -> ParsedConstraint:
        """Read the columns of a key; AUTOINCREMENT may be among them."""
        runs = [tuple(run) for run in split_at_commas(self._cursor.take_group())]
        auto = bool(runs[-1]) and runs[-1][-1].word == "autoincrement"
        if auto:
            runs[-1] = runs[-1][:-1]
        if not all(runs):
            self._cursor.raise_unexpected()
        return ParsedConstraint(kind, label, keys=tuple(runs), conflict=self._parse_conflict(), autoincrement=auto)

    def _parse_check(self, label: str | None) -> ParsedConstraint:
        """Read a CHECK; SQLite accepts ON CONFLICT after it and ignores it."""
        part = ParsedConstraint("CHECK", label, expression=tuple(self._cursor.take_group()))
        self._parse_conflict()
        return part

    def _parse_reference(self, label: str | None, columns: tuple[str, ...]) -> ParsedConstraint:
        """Read the text after REFERENCES."""
        cursor, facts = self._cursor, dict[str, Any]()
        table = cursor.take_name()
        referred = cursor.take_names() if cursor.word == "(" else ()
        while True:
            if cursor.accept("on"):
                event = cursor.take().word
                action = [cursor.take().word]
                if action[0] in {"set", "no"}:
                    action.append(cursor.take().word)
                if event in {"update", "delete"}:
                    facts[f"on_{event}"] = " ".join(action).upper()
            elif cursor.accept("match"):
                facts["match"] = cursor.take_name().upper()
            elif (deferrable := self._parse_deferrable()) is not None:
                facts["deferrable"] = deferrable
            else:
                return replace(
                    ParsedConstraint("FOREIGN KEY", label, columns, table=table, referred_columns=referred), **facts
                )

    def _parse_deferrable(self) -> str | None:
        """Read [NOT] DEFERRABLE [INITIALLY ...], if present; only one form of it has an effect in SQLite."""
        is_negated = self._cursor.accept("not", "deferrable")
        if not is_negated and not self._cursor.accept("deferrable"):
            return None
        initially = self._cursor.take().word if self._cursor.accept("initially") else ""
        return "DEFERRABLE INITIALLY DEFERRED" if initially == "deferred" and not is_negated else ""

    def _parse_conflict(self) -> str:
        """Read ON CONFLICT, if present; ABORT is the default."""
        if not self._cursor.accept("on", "conflict"):
            return ""
        found = self._cursor.take().word.upper()
        return "" if found == "ABORT" else f"ON CONFLICT {found}"
