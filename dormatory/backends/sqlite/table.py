"""Build one SQLite table from its CREATE statement and PRAGMA table_xinfo, inline constraints as table constraints."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from dormatory.backends.sqlite.ddl import parse_index, parse_table
from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.schema.snapshot import Column, Constraint, Index, Reference, Table
from dormatory.sql.cursor import SQLParseError
from dormatory.sql.lexer import Token, TokenKind, canonical_sql, render, tokenize
from dormatory.sql.literals import quote_literal
from dormatory.sql.nesting import without_parentheses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dormatory.backends.sqlite.ddl import ParsedColumn, ParsedConstraint, ParsedTable

_GENERATED_STORAGE = {2: "VIRTUAL", 3: "STORED"}
_CONSTANTS = frozenset({"true", "false", "current_date", "current_time", "current_timestamp"})
_ROWID_NAMES = frozenset({"rowid", "oid", "_rowid_"})


class TableXinfoRow(NamedTuple):
    """A row of PRAGMA table_xinfo, with its table."""

    table: str
    name: str
    type: str
    not_null: int
    default: str | None
    key: int  # place in the primary key, from 1
    hidden: int  # 2 and 3: generated

    def column(self) -> Column:
        """Return the column, without what only the CREATE statement says."""
        return Column(self.name, _type(self.type), nullable=not self.not_null, default=_default(self.default))


@lru_cache(maxsize=4096)
def build_table(
    name: str,
    rows: tuple[TableXinfoRow, ...],
    sql: str,
    indexes: tuple[tuple[str, str], ...],
    parents: tuple[tuple[str, str, tuple[str, ...]], ...],
) -> Table:
    """Return a table without its triggers; SQLParseError is raised for a statement that cannot be read.

    `indexes` are names and statements; `parents` are the tables that foreign keys point to: as written, as declared,
    and their primary keys.  The same arguments come again with each step of a history, so results are kept.
    """
    text = parse_table(sql)
    if [column.name.lower() for column in text.columns] != [row.name.lower() for row in rows]:
        message = f"the columns read from the statement of {name} are not the columns it has"
        raise SQLParseError(message)
    builder = _TableBuilder(name, rows, text, {as_written: (table, keys) for as_written, table, keys in parents})
    return Table(
        None,
        name,
        columns=builder.columns(),
        constraints=builder.constraints(),
        indexes=tuple(sorted((builder.index(*index) for index in indexes), key=lambda index: index.name)),
        options=text.options,
    )


class _TableBuilder:
    """Joins the two sources; names come from the PRAGMA, which has them as declared."""

    def __init__(
        self,
        name: str,
        rows: Sequence[TableXinfoRow],
        text: ParsedTable,
        parents: Mapping[str, tuple[str, tuple[str, ...]]],
    ) -> None:
        self._rows, self._text, self._parents = rows, text, parents
        self._declared_names = {row.name.lower(): row.name for row in rows}
        self._names = frozenset(self._declared_names) | {name.lower()} | _ROWID_NAMES
        self._collations = {column.name.lower(): column.collation or "BINARY" for column in text.columns}

    def columns(self) -> tuple[Column, ...]:
        """Return the columns in physical order."""
        alias = self._rowid_alias()
        return tuple(
            self._column(row, text, is_alias=row.name == alias)
            for row, text in zip(self._rows, self._text.columns, strict=True)
        )

    def constraints(self) -> tuple[Constraint, ...]:
        """Return the constraints, sorted; two equal ones count as one, as in SQLite."""
        found = {self._constraint(part) for part in self._text.constraints}
        return tuple(sorted(found, key=lambda it: (it.kind, it.name or "", it.definition)))

    def index(self, name: str, sql: str) -> Index:
        """Return an index of the table."""
        text = parse_index(sql)
        keys = tuple(self._key_text(run) for run in text.keys)
        predicate = self._expression(text.where) if text.where else None
        definition = f"{'UNIQUE ' * text.unique}({', '.join(keys)}){f' WHERE {predicate}' if predicate else ''}"
        return Index(name, definition, text.unique, keys, predicate)

    def _column(self, row: TableXinfoRow, text: ParsedColumn, *, is_alias: bool) -> Column:
        return Column(
            row.name,
            _type(row.type),
            # NOT NULL on an alias of the rowid has no effect: NULL there means "the next number".
            nullable=not (row.not_null or is_alias),
            not_null_note=text.not_null_conflict or None,
            default=_default(row.default),
            generated=self._expression(text.generated) if text.generated else None,
            storage=_GENERATED_STORAGE.get(row.hidden),
            collation=None if text.collation == "BINARY" else text.collation,
        )

    def _rowid_alias(self) -> str | None:
        """Return the column that is another name of the rowid; https://sqlite.org/lang_createtable.html#rowid."""
        keys = [row for row in self._rows if row.key]
        if len(keys) != 1 or keys[0].type.upper() != "INTEGER" or "WITHOUT ROWID" in self._text.options:
            return None
        return None if self._has_inline_descending_key() else keys[0].name

    def _has_inline_descending_key(self) -> bool:
        """Return whether the key is written `x INTEGER PRIMARY KEY DESC`: by an old bug, such a column is no alias."""
        return any(
            part.inline and part.kind == "PRIMARY KEY" and part.keys[0][-1].word == "desc"
            for part in self._text.constraints
        )

    def _constraint(self, part: ParsedConstraint) -> Constraint:
        if part.kind == "CHECK":
            expression = self._expression(part.expression)
            return Constraint("CHECK", part.name, f"CHECK ({expression})", expression=expression)
        if part.kind == "FOREIGN KEY":
            return self._foreign_key(part)
        columns = tuple(self._declared_names.get(run[0].text.lower(), run[0].text) for run in part.keys)
        words = [f"{part.kind} ({', '.join(self._key_text(run) for run in part.keys)})"]
        if part.kind == "PRIMARY KEY" and self._has_inline_descending_key():
            words.append("not the rowid")
        words += ["AUTOINCREMENT"] * part.autoincrement
        words += [part.conflict] * bool(part.conflict)
        return Constraint(part.kind, part.name, " ".join(words), columns)

    def _foreign_key(self, part: ParsedConstraint) -> Constraint:
        table, keys = self._parents[part.table]
        columns = tuple(self._declared_names.get(name.lower(), name) for name in part.columns)
        parent_names = {name.lower(): name for name in keys}
        referred = tuple(parent_names.get(name.lower(), name) for name in part.referred_columns) or keys
        reference = Reference(None, table, referred, part.on_update, part.on_delete, part.match)
        words = [
            f"FOREIGN KEY {_column_list(columns)} REFERENCES {_lowercase_identifier(table)} {_column_list(referred)}"
        ]
        words += [f"MATCH {part.match}"] * (part.match != "SIMPLE")
        words += [f"ON UPDATE {part.on_update}"] * (part.on_update != "NO ACTION")
        words += [f"ON DELETE {part.on_delete}"] * (part.on_delete != "NO ACTION")
        words += [part.deferrable] * bool(part.deferrable)
        return Constraint("FOREIGN KEY", part.name, " ".join(words), columns, references=reference)

    def _key_text(self, run: Sequence[Token]) -> str:
        """Return a key of an index or constraint without defaults: ASC, the column's own collation."""
        tokens, ending = list(run), ""
        if tokens[-1].word in {"asc", "desc"}:
            ending = " DESC" * (tokens.pop().word == "desc")
        if [token.word for token in tokens[-2:-1]] == ["collate"]:
            collation = tokens[-1].text.upper()
            del tokens[-2:]
            own = self._collations.get(tokens[0].text.lower(), "BINARY") if len(tokens) == 1 else ""
            ending = (f" COLLATE {collation}" if collation != own else "") + ending
        return self._expression(tokens) + ending

    def _expression(self, tokens: Sequence[Token]) -> str:
        """Return an expression on the columns of the table.

        A text in double quotes that names no column is a string to SQLite: https://sqlite.org/quirks.html#dblquote
        """
        if len(tokens) == 1 and tokens[0].text.lower() in self._declared_names:
            return DIALECT.quote_identifier(tokens[0].text.lower())
        return render(without_parentheses([self._name_or_string(token) for token in tokens]), DIALECT)

    def _name_or_string(self, token: Token) -> Token:
        if token.quote == '"' and token.text.lower() not in self._names:
            return Token(TokenKind.STRING, quote_literal(token.text))
        return token


@lru_cache(maxsize=4096)
def _type(declared: str) -> str:
    """Return a declared type in capitals and with single spaces."""
    return canonical_sql(declared, DIALECT).upper()


@lru_cache(maxsize=4096)
def _default(text: str | None) -> str | None:
    """Return a default; NULL means none, and a single name is a string to SQLite."""
    if text is None:
        return None
    tokens = without_parentheses(tokenize(text, DIALECT))
    if len(tokens) == 1 and tokens[0].is_name:
        word = tokens[0].text
        if tokens[0].kind is TokenKind.WORD and word.lower() == "null":
            return None
        if tokens[0].kind is TokenKind.NAME or word.lower() not in _CONSTANTS:
            return quote_literal(word)
    return render(tokens, DIALECT)


def _column_list(columns: Sequence[str]) -> str:
    return f"({', '.join(_lowercase_identifier(column) for column in columns)})"


def _lowercase_identifier(name: str) -> str:
    return DIALECT.quote_identifier(name.lower())
