"""SQLite's CREATE statements, read for what no PRAGMA tells: constraint names, CHECKs, COLLATE, ON CONFLICT, ..."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dormatory.schema.tokens import CLOSE, OPEN, Kind, Syntax, Token, render, split, tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMN_STARTS = frozenset(
    "constraint primary unique check foreign references collate default not null generated as deferrable".split()
)
_TABLE_STARTS = frozenset("constraint primary unique check foreign".split())


class DdlError(ValueError):
    """A statement is not of the form this module knows; its reader falls back to the whole text."""


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


@dataclass(slots=True)
class TableText:
    """What a CREATE TABLE statement says."""

    columns: list[ColumnText] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def parse_table(sql: str) -> TableText:
    """Return what a CREATE TABLE statement says; DdlError if it is not of the expected form."""
    return _Parser(sql).table()


def index_parts(sql: str) -> tuple[list[list[Token]], list[Token]]:
    """Return the keys of a CREATE INDEX statement and the tokens of its WHERE clause."""
    parser = _Parser(sql)
    while not parser.skip("on"):
        parser.take()
    parser.name()
    keys = list(split(parser.group()))
    if not parser.skip("where"):
        parser.end()
        return keys, []
    return keys, parser.rest()


def named(tokens: Sequence[Token], names: frozenset[str], *, strings: bool) -> list[Token]:
    """Return tokens with double quotes read as SQLite reads them.

    A name among `names` is a column or table.  Any other is a string literal where `strings` says that an expression
    on one table is read (https://sqlite.org/quirks.html#dblquote), and otherwise keeps its quotes and its case.
    """
    return [_named(token, names, strings=strings) for token in tokens]


def _named(token: Token, names: frozenset[str], *, strings: bool) -> Token:
    if token.kind is Kind.NAME and token.quote == '"' and strings and token.text.lower() not in names:
        return Token(Kind.STRING, "'" + token.text.replace("'", "''") + "'")
    return token


class _Parser:
    """A cursor over the tokens of one statement."""

    def __init__(self, sql: str) -> None:
        self._tokens = tokenize(sql, Syntax.SQLITE)
        self._at = 0

    def table(self) -> TableText:
        """Read CREATE TABLE."""
        self.expect("create")
        self.expect("table")
        self.name()
        found = TableText()
        inner = _Parser.over(self.group())
        while not inner.done:
            if inner.peek() in _TABLE_STARTS:
                inner.table_constraint(found)
            else:
                inner.column(found)
            inner.skip(",")  # SQLite wants no comma between the constraints of a table
        while not self.done:
            found.options.append(render(self.until_comma(), Syntax.SQLITE).upper())
        found.options.sort()
        return found

    @classmethod
    def over(cls, tokens: list[Token]) -> _Parser:
        """Return a parser of tokens that were cut out of a statement."""
        parser = cls("")
        parser._tokens = tokens
        return parser

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        """Return the keyword or symbol that comes next, "" for anything else."""
        if self._at + ahead >= len(self._tokens):
            return ""
        token = self._tokens[self._at + ahead]
        return token.text.lower() if token.kind in {Kind.WORD, Kind.SYMBOL} else ""

    def take(self) -> Token:
        if self.done:
            message = "the statement ends too early"
            raise DdlError(message)
        self._at += 1
        return self._tokens[self._at - 1]

    def skip(self, *words: str) -> bool:
        """Take these words if they come next, and tell whether they did."""
        if any(self.peek(ahead) != word for ahead, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def expect(self, word: str) -> None:
        if not self.skip(word):
            message = f"{word!r} expected, {self.peek()!r} found"
            raise DdlError(message)

    def end(self) -> None:
        if not self.done:
            message = f"{self.peek()!r} not expected"
            raise DdlError(message)

    def name(self) -> str:
        """Take a name; SQLite takes a string for one as well."""
        token = self.take()
        if token.kind is Kind.STRING:
            return token.text[1:-1].replace("''", "'")
        if token.kind not in {Kind.WORD, Kind.NAME}:
            message = f"a name expected, {token.text!r} found"
            raise DdlError(message)
        return token.text

    def group(self) -> list[Token]:
        """Take what stands in parentheses, without them."""
        self.expect("(")
        depth, inner = 1, list[Token]()
        while True:
            token = self.take()
            depth += (token == OPEN) - (token == CLOSE)
            if not depth:
                return inner
            inner.append(token)

    def rest(self) -> list[Token]:
        self._at, rest = len(self._tokens), self._tokens[self._at :]
        return rest

    def until_comma(self) -> list[Token]:
        run = list[Token]()
        while not self.done and not self.skip(","):
            run.append(self.take())
        return run

    def column(self, found: TableText) -> None:
        """Read a column: a name, a type of any words and numbers, its constraints."""
        column = ColumnText(self.name())
        found.columns.append(column)
        while not self.done and self.peek() not in _COLUMN_STARTS and self.peek() != ",":
            if self.peek() == "(":
                self.group()
            else:
                self.take()
        label: str | None = None
        while not self.done and self.peek() != ",":
            if self.skip("constraint"):
                label = self.name()
                continue
            part = self.column_constraint(column, label, found)
            if part is not None:
                found.parts.append(part)
            label = None

    def column_constraint(self, column: ColumnText, label: str | None, found: TableText) -> Part | None:
        """Read one constraint of a column, into the column where it is the column's own affair."""
        key = (Token(Kind.NAME, column.name, "["),)
        if self.skip("primary", "key"):
            part = Part("PRIMARY KEY", label, keys=((*key, *self.direction()),), inline=True)
            return replace(part, conflict=self.conflict(), autoincrement=self.skip("autoincrement"))
        if self.skip("unique"):
            return Part("UNIQUE", label, keys=(key,), conflict=self.conflict())
        if self.skip("check"):
            return self.check(label)
        if self.skip("references"):
            return self.reference(label, (column.name,))
        if self.peek() in {"deferrable", "not"} and self.peek(self.peek() == "not") == "deferrable":
            # It belongs to the REFERENCES before it, wherever that stands.
            last = next(index for index in reversed(range(len(found.parts))) if found.parts[index].table)
            found.parts[last] = replace(found.parts[last], deferrable=self.deferrable())
            return None
        self.column_fact(column)
        return None

    def column_fact(self, column: ColumnText) -> None:
        """Read what a column says of itself."""
        if self.skip("not", "null"):
            column.not_null_conflict = self.conflict()
        elif self.skip("null"):
            self.conflict()
        elif self.skip("collate"):
            column.collation = self.name().upper()
        elif self.skip("default"):
            self.default()
        elif self.skip("generated", "always", "as") or self.skip("as"):
            column.generated = tuple(self.group())
            _ = self.skip("stored") or self.skip("virtual")
        else:
            message = f"{self.peek()!r} not expected in a column"
            raise DdlError(message)

    def default(self) -> None:
        """Pass over a default: PRAGMA table_xinfo tells it."""
        if self.peek() == "(":
            self.group()
            return
        if self.peek() in {"+", "-"}:
            self.take()
        self.take()

    def table_constraint(self, found: TableText) -> None:
        """Read one constraint of the table."""
        label = self.name() if self.skip("constraint") else None
        if self.skip("primary", "key"):
            found.parts.append(self.key("PRIMARY KEY", label))
        elif self.skip("unique"):
            found.parts.append(self.key("UNIQUE", label))
        elif self.skip("check"):
            found.parts.append(self.check(label))
        elif self.skip("foreign", "key"):
            columns = tuple(_Parser.over(run).name() for run in split(self.group()))
            self.expect("references")
            found.parts.append(self.reference(label, columns))
        elif label is None:
            message = f"{self.peek()!r} not expected in a table"
            raise DdlError(message)

    def key(self, kind: str, label: str | None) -> Part:
        """Read the columns of a key; AUTOINCREMENT may stand among them."""
        runs, auto = list[tuple[Token, ...]](), False
        for run in split(self.group()):
            if run[-1].text.lower() == "autoincrement":
                run, auto = run[:-1], True
            runs.append(tuple(run))
        return Part(kind, label, keys=tuple(runs), conflict=self.conflict(), autoincrement=auto)

    def check(self, label: str | None) -> Part:
        """Read a CHECK; SQLite takes ON CONFLICT after it and makes nothing of it."""
        part = Part("CHECK", label, expression=tuple(self.group()))
        self.conflict()
        return part

    def reference(self, label: str | None, columns: tuple[str, ...]) -> Part:
        """Read what follows REFERENCES."""
        part = Part("FOREIGN KEY", label, columns, table=self.name())
        if self.peek() == "(":
            part = replace(part, referred=tuple(_Parser.over(run).name() for run in split(self.group())))
        while True:
            if self.skip("on"):
                event = self.take().text.lower()
                action = " ".join(self.take().text for _ in range(1 + (self.peek() in {"set", "no"}))).upper()
                if event == "delete":
                    part = replace(part, on_delete=action)
                elif event == "update":
                    part = replace(part, on_update=action)
            elif self.skip("match"):
                part = replace(part, match=self.name().upper())
            elif self.peek() in {"deferrable", "not"} and self.peek(self.peek() == "not") == "deferrable":
                part = replace(part, deferrable=self.deferrable())
            else:
                return part

    def deferrable(self) -> str:
        """Read [NOT] DEFERRABLE [INITIALLY ...]; only one form of it has an effect in SQLite."""
        refused = self.skip("not")
        self.expect("deferrable")
        initially = self.take().text.lower() if self.skip("initially") else ""
        return "DEFERRABLE INITIALLY DEFERRED" if initially == "deferred" and not refused else ""

    def direction(self) -> list[Token]:
        """Take ASC or DESC if it comes next."""
        return [self.take()] if self.peek() in {"asc", "desc"} else []

    def conflict(self) -> str:
        """Read ON CONFLICT; ABORT is what holds without it."""
        if not self.skip("on", "conflict"):
            return ""
        found = self.take().text.upper()
        return "" if found == "ABORT" else f"ON CONFLICT {found}"
