"""What statements do to rows: which columns they write, from which other columns, and which tables they empty.

Only the few forms of statements that move data are read; any other statement counts as one that moves none.
Names are in small letters, since both backends fold names or ignore their case.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.sql.clauses import (
    clause_end,
    column_label,
    copied_column,
    position_after,
    select_bodies,
    source_tables,
    table_at,
    table_name_token_count,
    truncated_tables,
)
from dormatory.sql.lexer import Token, TokenKind, tokenize_statement
from dormatory.sql.literals import string_value
from dormatory.sql.names import token_names
from dormatory.sql.nesting import closing_parenthesis, split_at_commas
from dormatory.sql.split import quoted_code, split_statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dormatory.sql.dialect import Dialect

_LITERAL_KINDS = (TokenKind.STRING, TokenKind.NUMBER)
_CATALOG_PREFIXES = ("sqlite_", "pg_", "pragma_", "information_schema")
_TIME_ZONE = re.compile(r"[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+")


@dataclass(frozen=True, slots=True)
class Origin:
    """The statement that did something: its first words, and the file and line of the code that sent it."""

    verb: str
    file: str
    line: int

    def __str__(self) -> str:
        """Return it for messages about its file."""
        return f"{self.verb} in line {self.line}"


@dataclass(frozen=True, slots=True)
class ColumnWrite:
    """A column that a statement writes, and the names in the expression for it.

    `copied_from` is the column whose values are taken unchanged, or only cast; "" for any other expression.
    """

    table: str
    column: str
    reads: frozenset[str]
    sources: frozenset[str]  # tables
    origin: Origin  # an UPDATE, INSERT or ALTER
    copied_from: str = ""


@dataclass(slots=True)
class Dataflow:
    """All that a series of statements does to rows."""

    writes: list[ColumnWrite] = field(default_factory=list)
    deletions: dict[str, Origin] = field(default_factory=dict)  # by table
    inserts: dict[str, Origin] = field(default_factory=dict)  # by table, the last one
    drops: dict[str, Origin] = field(default_factory=dict)  # by table
    renames: dict[str, str] = field(default_factory=dict)  # table: its name at the end
    retypes: dict[tuple[str, str], Origin] = field(default_factory=dict)  # by table and column
    literals: set[str] = field(default_factory=set)

    @property
    def time_zones(self) -> set[str]:
        """The time zones that literals name, such as Europe/Berlin."""
        return {literal for literal in self.literals if _TIME_ZONE.fullmatch(literal)}

    def update_statement(self, table: str, column: str) -> Origin | None:
        """Return the UPDATE that sets a column, None if none does."""
        found = (write.origin for write in self.writes_to(table, column))
        return next((origin for origin in found if origin.verb == "UPDATE"), None)

    def has_constant_update(self, table: str, column: str) -> bool:
        """Return whether an UPDATE gives all rows one value: it reads no column, not even in a condition."""
        return any(write.origin.verb == "UPDATE" and not write.reads for write in self.writes_to(table, column))

    def writes_to(self, table: str, column: str) -> list[ColumnWrite]:
        """Return the writes to a column, except those that copy it onto itself."""
        names = table.lower(), column.lower()
        return [it for it in self.writes if (it.table, it.column) == names and it.copied_from != it.column]

    def derived_columns(self, column: str) -> set[tuple[str, str]]:
        """Return the tables and columns whose new values are computed from a column, directly or through others."""
        found: set[tuple[str, str]] = set()
        names, size = {column.lower()}, 0
        while len(names) != size:
            size = len(names)
            for write in self.writes:
                if write.reads & names and write.column != column.lower():
                    found.add((write.table, write.column))
                    names.add(write.column)
        return found

    def delete_statement(self, table: str) -> Origin | None:
        """Return the DELETE or TRUNCATE that names a table, None if none does."""
        return self.deletions.get(table.lower())


@lru_cache(maxsize=8)  # the second upgrade mostly sends what the first one sent
def read_dataflow(texts: tuple[tuple[str, str, int], ...], dialect: Dialect) -> Dataflow:
    """Return what SQL texts do to rows, in their order; each comes with the file and line of the code that sent it."""
    reader = _StatementReader(dialect)
    for sql, file, line in texts:
        reader.read(tokenize_statement(sql, dialect), file, line)
    return reader.dataflow


class _StatementReader:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.dataflow = Dataflow()
        self._selected_names: set[str] = set()  # what Python code has read, and may write with a later statement
        self._with_names: set[str] = set()  # what the WITH of the current statement reads
        self._file, self._line = "", 0  # what has sent it

    def read(self, tokens: Iterable[Token], file: str, line: int) -> None:
        """Read the statements of a text; one of an unknown form changes nothing."""
        self._file, self._line = file, line
        for statement in split_statements(tokens):
            with suppress(IndexError, ValueError):
                self._read_statement(statement)

    def _read_statement(self, tokens: list[Token]) -> None:
        first = tokens[0].word
        if first == "do":
            for token in tokens:
                if token.text.startswith("$"):
                    self.read(tokenize_statement(quoted_code(token.text)[1], self._dialect), self._file, self._line)
        elif first == "alter":
            self._read_alter(tokens)
        elif first == "create":
            self._read_create(tokens)
        elif first == "drop" and tokens[1].word == "table":
            at = 2 + 2 * (tokens[2].word == "if")
            for item in split_at_commas(tokens[at:]):
                self.dataflow.drops.setdefault(table_at(item, 0), self._origin("DROP TABLE"))
        elif first != "pragma":
            self._read_data_change(tokens)

    def _read_data_change(self, tokens: list[Token]) -> None:
        words = [token.word for token in tokens]
        verb = next((at for at, word in enumerate(words) if word in {"insert", "update"}), 0)
        self._with_names = token_names(tokens[:verb]) if words[0] == "with" else set()
        moves = False
        for at, word in enumerate(words):
            following = words[at + 1] if at + 1 < len(words) else ""
            if word == "delete" and following == "from":
                self.dataflow.deletions.setdefault(table_at(tokens, at + 2), self._origin("DELETE"))
            elif word == "truncate":
                for name in truncated_tables(tokens[at + 1 :]):
                    self.dataflow.deletions.setdefault(name, self._origin("TRUNCATE"))
            elif word in {"insert", "replace"} and (into := position_after(words, at, "into")):
                self._read_insert(tokens, into)
            elif word == "update" and "set" in words[at + 1 :] and words[at - 1 : at] != ["for"]:
                self._read_update(tokens, at + 1)
            else:
                continue
            moves = True
        self.dataflow.literals.update(string_value(token.text) for token in tokens if token.kind in _LITERAL_KINDS)
        if not moves and "select" in words and not any(word.startswith(_CATALOG_PREFIXES) for word in words if word):
            self._selected_names |= token_names(tokens)

    def _read_update(self, tokens: list[Token], at: int) -> None:
        words = [token.word for token in tokens]
        at += words[at] == "only"
        at += 2 * (words[at] == "or")
        table = table_at(tokens, at) if words[at] != "set" else self._last_table()
        start = words.index("set", at) + 1
        end = clause_end(tokens, start)
        condition = token_names(tokens[end:])
        sources = source_tables(tokens[start:])
        for assignment in split_at_commas(tokens[start:end]):
            texts = [token.word for token in assignment]
            if "=" not in texts:
                continue
            equals = texts.index("=")
            left, right = assignment[:equals], assignment[equals + 1 :]
            targets = [it.text.lower() for it in left if it.is_name]
            for column in targets if left[0].word == "(" else targets[-1:]:
                reads = token_names(right) | condition | self._names_via_python(right)
                self._add_write(ColumnWrite(table, column, frozenset(reads), sources, self._origin("UPDATE")))

    def _read_insert(self, tokens: list[Token], at: int) -> None:
        table = table_at(tokens, at)
        self.dataflow.inserts[table] = self._origin("INSERT")
        at += table_name_token_count(tokens, at)
        columns: list[str] = []
        if at < len(tokens) and tokens[at].word == "(" and tokens[at + 1].word not in {"select", "with"}:
            end = closing_parenthesis(tokens, at)
            columns = [it.text.lower() for it in tokens[at + 1 : end] if it.is_name]
            at = end + 1
        self._read_select(table, columns, tokens[at:])

    def _read_select(self, table: str, columns: list[str], rest: list[Token]) -> None:
        """Read what is selected for the columns of a table; VALUES count as values that Python code has read."""
        origin = self._origin("INSERT")
        if not any(token.word == "select" for token in rest):
            reads = frozenset(self._names_via_python(rest))
            for column in columns:
                self._add_write(ColumnWrite(table, column, reads, frozenset(), origin))
            return
        sources = source_tables(rest)
        with_names = token_names(rest) if rest[0].word == "with" else set()  # one of its queries may compute the value
        for select in select_bodies(rest):
            items = split_at_commas(select[: clause_end(select, 0)])
            columns = columns or [column_label(item) for item in items]
            for at, column in enumerate(columns):
                item = items[at] if len(items) == len(columns) else rest
                reads = frozenset(token_names(item) | with_names)
                self._add_write(ColumnWrite(table, column, reads, sources, origin, copied_column(item)))

    def _read_create(self, tokens: list[Token]) -> None:
        words = [token.word for token in tokens]
        if "table" in words[:4] and "as" in words and "select" in words:
            at = words.index("table") + 1
            at += 3 * (words[at : at + 3] == ["if", "not", "exists"])
            self._read_select(table_at(tokens, at), [], tokens[words.index("as", at) + 1 :])

    def _read_alter(self, tokens: list[Token]) -> None:
        words = [token.word for token in tokens]
        if words[1:2] != ["table"]:
            return
        at = 2 + 2 * (words[2:4] == ["if", "exists"])
        at += words[at] == "only"
        table = table_at(tokens, at)
        at += table_name_token_count(tokens, at)
        if words[at : at + 2] == ["rename", "to"]:
            self._rename_table(table, tokens[at + 2].text.lower())
            return
        for action in split_at_commas(tokens[at:]):
            texts = [token.word for token in action]
            column = action[1 + (texts[1] == "column")].text.lower() if texts[:1] == ["alter"] else ""
            if column and "type" in texts:
                self.dataflow.retypes[table, column] = self._origin("ALTER TABLE")
            if column and "using" in texts:
                right = action[texts.index("using") + 1 :]
                self._add_write(
                    ColumnWrite(
                        table,
                        column,
                        frozenset(token_names(right)),
                        frozenset({table}),
                        self._origin("ALTER"),
                        copied_column(right),
                    )
                )
            elif texts[:1] == ["rename"] and "to" in texts:
                old, new = action[texts.index("to") - 1].text.lower(), action[-1].text.lower()
                self._add_write(
                    ColumnWrite(table, new, frozenset({old}), frozenset({table}), self._origin("ALTER"), old)
                )
        self._read_data_change([token for token in tokens if token.word not in {"delete", "update"}])

    def _rename_table(self, old: str, new: str) -> None:
        dataflow = self.dataflow
        dataflow.writes = [replace(it, table=new) if it.table == old else it for it in dataflow.writes]
        for origins in (dataflow.deletions, dataflow.inserts):
            if old in origins:
                origins[new] = origins.pop(old)
        dataflow.renames = {first: new if last == old else last for first, last in dataflow.renames.items()}
        dataflow.renames.setdefault(old, new)

    def _add_write(self, write: ColumnWrite) -> None:
        self.dataflow.writes.append(replace(write, reads=write.reads | self._with_names) if self._with_names else write)

    def _origin(self, verb: str) -> Origin:
        return Origin(verb, self._file, self._line)

    def _last_table(self) -> str:
        return self.dataflow.writes[-1].table if self.dataflow.writes else ""

    def _names_via_python(self, tokens: list[Token]) -> set[str]:
        """Return what Python code has read before, if the expression has parameters: their values come from there."""
        symbols = (token.text for token in tokens if token.kind is TokenKind.SYMBOL)
        return set(self._selected_names) if any(mark[0] in "?%:$" and mark != "::" for mark in symbols) else set()
