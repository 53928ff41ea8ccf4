"""What the statements of a leg do to rows: which columns they write, from which others, and which tables they empty.

A statement is read by its tokens, as far as the few forms go that move data; what is not understood does nothing here.
Names are in small letters, since both backends fold them or do not care.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.sql import clauses
from dormatory.sql.cursor import split
from dormatory.sql.lexer import Kind, Syntax, Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dormatory.recording.model import Statement

_LITERAL = (Kind.STRING, Kind.NUMBER)
_CATALOGS = ("sqlite_", "pg_", "pragma_", "information_schema")
_ZONE = re.compile(r"[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+")


@dataclass(frozen=True, slots=True)
class Write:
    """A column that is given values, and the names in what they are made of; `copied` is the column taken as it is."""

    table: str
    column: str
    reads: frozenset[str]
    sources: frozenset[str]  # tables
    verb: str  # UPDATE, INSERT or ALTER
    place: str
    copied: str = ""


@dataclass(slots=True)
class Flows:
    """All that a leg's statements do to rows."""

    writes: list[Write] = field(default_factory=list)
    deletions: dict[str, str] = field(default_factory=dict)  # table: file and line
    dropped: dict[str, str] = field(default_factory=dict)  # table: file and line
    renamed: dict[str, str] = field(default_factory=dict)  # table: its name at the end
    literals: set[str] = field(default_factory=set)

    @property
    def zones(self) -> set[str]:
        """The time zones that are named, as Europe/Berlin."""
        return {literal for literal in self.literals if _ZONE.fullmatch(literal)}

    def updated(self, table: str, column: str) -> str:
        """Return where an UPDATE sets a column, "" where none does."""
        found = self.into(table, column)
        return next((write.place for write in found if write.verb == "UPDATE"), "")

    def is_levelled(self, table: str, column: str) -> bool:
        """Return whether an UPDATE gives all rows one value: it reads nothing, not even for a condition."""
        return any(write.verb == "UPDATE" and not write.reads for write in self.into(table, column))

    def into(self, table: str, column: str) -> list[Write]:
        """Return what is written into a column, but for mere copies of itself."""
        names = table.lower(), column.lower()
        return [it for it in self.writes if (it.table, it.column) == names and it.copied != it.column]

    def carriers(self, column: str) -> set[tuple[str, str]]:
        """Return the tables and columns whose new values are made of a column's, directly or through others."""
        found: set[tuple[str, str]] = set()
        names, size = {column.lower()}, 0
        while len(names) != size:
            size = len(names)
            for write in self.writes:
                if write.reads & names and write.column != column.lower():
                    found.add((write.table, write.column))
                    names.add(write.column)
        return found

    def deleted(self, table: str) -> str:
        """Return where rows of a table are deleted in so many words, "" where they are not."""
        return self.deletions.get(table.lower(), "")


def flows(statements: Sequence[Statement], syntax: Syntax) -> Flows:
    """Return what the statements of a leg do to rows, in their order."""
    # Without a line they are Alembic's own.
    return _flows(tuple((it.sql, f"{it.file}:{it.line}") for it in statements if it.line), syntax)


@lru_cache(maxsize=8)  # the second upgrade mostly says what the first one said
def _flows(said: tuple[tuple[str, str], ...], syntax: Syntax) -> Flows:
    reader = _Reader(syntax)
    for sql, place in said:
        reader.read(clauses.tokens(sql, syntax), place)
    return reader.flows


class _Reader:
    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self.flows = Flows()
        self._selected: set[str] = set()  # what Python code has read, and may write
        self._around: set[str] = set()  # what WITH reads before

    def read(self, tokens: Iterable[Token], place: str) -> None:
        """Take in the statements that a text holds; one of a form that is not known does nothing."""
        for run in clauses.statements(tokens):
            with suppress(IndexError, ValueError):
                self._statement(run, place)

    def _statement(self, run: list[Token], place: str) -> None:
        first = run[0].word
        if first == "do":
            for token in run:
                if token.text.startswith("$"):
                    self.read(clauses.tokens(clauses.body(token.text), self._syntax), place)
        elif first == "alter":
            self._alter(run, place)
        elif first == "create":
            self._create(run, place)
        elif first == "drop" and run[1].word == "table":
            at = 2 + 2 * (run[2].word == "if")
            for item in split(run[at:]):
                self.flows.dropped.setdefault(clauses.table_at(item, 0), _said("DROP TABLE", place))
        elif first != "pragma":
            self._data(run, place)

    def _data(self, run: list[Token], place: str) -> None:
        words = [token.word for token in run]
        verb = next((at for at, word in enumerate(words) if word in {"insert", "update"}), 0)
        self._around = clauses.names_in(run[:verb]) if words[0] == "with" else set()
        moves = False
        for at, word in enumerate(words):
            following = words[at + 1] if at + 1 < len(words) else ""
            if word == "delete" and following == "from":
                self.flows.deletions.setdefault(clauses.table_at(run, at + 2), _said("DELETE", place))
            elif word == "truncate":
                for name in clauses.truncated(run[at + 1 :]):
                    self.flows.deletions.setdefault(name, _said("TRUNCATE", place))
            elif word in {"insert", "replace"} and (into := clauses.after(words, at, "into")):
                self._insert(run, into, place)
            elif word == "update" and "set" in words[at + 1 :] and words[at - 1 : at] != ["for"]:
                self._update(run, at + 1, place)
            else:
                continue
            moves = True
        self.flows.literals.update(clauses.unquoted(token) for token in run if token.kind in _LITERAL)
        if not moves and "select" in words and not any(word.startswith(_CATALOGS) for word in words if word):
            self._selected |= clauses.names_in(run)

    def _update(self, run: list[Token], at: int, place: str) -> None:
        words = [token.word for token in run]
        at += words[at] == "only"
        at += 2 * (words[at] == "or")
        table = clauses.table_at(run, at) if words[at] != "set" else self._last_table()
        start = words.index("set", at) + 1
        end = clauses.clause_end(run, start)
        condition = clauses.names_in(run[end:])
        sources = clauses.sources_of(run[start:])
        for assignment in split(run[start:end]):
            texts = [token.word for token in assignment]
            if "=" not in texts:
                continue
            equals = texts.index("=")
            left, right = assignment[:equals], assignment[equals + 1 :]
            targets = [it.text.lower() for it in left if it.kind in clauses.NAMED]
            for column in targets if left[0].word == "(" else targets[-1:]:
                reads = clauses.names_in(right) | condition | self._through_python(right)
                self._write(Write(table, column, frozenset(reads), sources, "UPDATE", _said("UPDATE", place)))

    def _insert(self, run: list[Token], at: int, place: str) -> None:
        table = clauses.table_at(run, at)
        at += clauses.width(run, at)
        columns: list[str] = []
        if at < len(run) and run[at].word == "(" and run[at + 1].word not in {"select", "with"}:
            end = clauses.closing(run, at)
            columns = [it.text.lower() for it in run[at + 1 : end] if it.kind in clauses.NAMED]
            at = end + 1
        self._selection(table, columns, run[at:], place)

    def _selection(self, table: str, columns: list[str], rest: list[Token], place: str) -> None:
        """Take in what is selected for the columns of a table; VALUES are taken for what Python code has read."""
        said = _said("INSERT", place)
        if not any(token.word == "select" for token in rest):
            reads = frozenset(self._through_python(rest))
            for column in columns:
                self._write(Write(table, column, reads, frozenset(), "INSERT", said))
            return
        sources = clauses.sources_of(rest)
        named = clauses.names_in(rest) if rest[0].word == "with" else set()  # an expression of its own may stand there
        for run in clauses.selects(rest):
            items = split(run[: clauses.clause_end(run, 0)])
            columns = columns or [clauses.alias(item) for item in items]
            for at, column in enumerate(columns):
                item = items[at] if len(items) == len(columns) else rest
                reads = frozenset(clauses.names_in(item) | named)
                self._write(Write(table, column, reads, sources, "INSERT", said, clauses.copied(item)))

    def _create(self, run: list[Token], place: str) -> None:
        words = [token.word for token in run]
        if "table" in words[:4] and "as" in words and "select" in words:
            at = words.index("table") + 1
            at += 3 * (words[at : at + 3] == ["if", "not", "exists"])
            self._selection(clauses.table_at(run, at), [], run[words.index("as", at) + 1 :], place)

    def _alter(self, run: list[Token], place: str) -> None:
        words = [token.word for token in run]
        if words[1:2] != ["table"]:
            return
        at = 2 + 2 * (words[2:4] == ["if", "exists"])
        at += words[at] == "only"
        table = clauses.table_at(run, at)
        at += clauses.width(run, at)
        if words[at : at + 2] == ["rename", "to"]:
            self._rename(table, run[at + 2].text.lower())
            return
        for action in split(run[at:]):
            texts = [token.word for token in action]
            if texts[:1] == ["alter"] and "using" in texts:
                column = action[1 + (texts[1] == "column")].text.lower()
                right = action[texts.index("using") + 1 :]
                self._write(
                    Write(
                        table,
                        column,
                        frozenset(clauses.names_in(right)),
                        frozenset({table}),
                        "ALTER",
                        place,
                        clauses.copied(right),
                    )
                )
            elif texts[:1] == ["rename"] and "to" in texts:
                old, new = action[texts.index("to") - 1].text.lower(), action[-1].text.lower()
                self._write(Write(table, new, frozenset({old}), frozenset({table}), "ALTER", place, old))
        self._data([token for token in run if token.word not in {"delete", "update"}], place)

    def _rename(self, old: str, new: str) -> None:
        found = self.flows
        found.writes = [replace(it, table=new) if it.table == old else it for it in found.writes]
        if old in found.deletions:
            found.deletions[new] = found.deletions.pop(old)
        found.renamed = {first: new if last == old else last for first, last in found.renamed.items()}
        found.renamed.setdefault(old, new)

    def _write(self, write: Write) -> None:
        self.flows.writes.append(replace(write, reads=write.reads | self._around) if self._around else write)

    def _last_table(self) -> str:
        return self.flows.writes[-1].table if self.flows.writes else ""

    def _through_python(self, tokens: list[Token]) -> set[str]:
        """Return what Python code has read before, if it gives the values of this expression."""
        marks = (token.text for token in tokens if token.kind is Kind.SYMBOL)
        return set(self._selected) if any(mark[0] in "?%:$" and mark != "::" for mark in marks) else set()


def _said(verb: str, place: str) -> str:
    return f"{verb} at {place}"
