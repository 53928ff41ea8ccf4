"""Write tables, indexes, triggers and views of a snapshot as SQLite's CREATE statements.

A snapshot has the canonical text of each expression, in which names are in small letters. SQLite takes them for the
same names, but SQLAlchemy, when it reads a table, does not: the columns of a table are written as they were declared.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.sql.lexer import Token, TokenKind, render, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.schema.snapshot import Column, Constraint, Index, Table, Trigger, View

_quote = DIALECT.quote_identifier
# Words that are operators or modifiers wherever they stand in an expression, although SQLite accepts them as names.
_OPERATORS = frozenset({"asc", "cast", "desc", "end", "glob", "like", "match", "regexp"})
_CONSTANT = re.compile(r"[xX]?'(?:[^']|'')*'|[-+]? ?[\d.][\w.+-]*|true|false")
_CLOCK = re.compile(r"current_(?:date|time|timestamp)")
_KEY = re.compile(
    r"(?P<kind>PRIMARY KEY|UNIQUE) \((?P<keys>.*)\)(?P<inline> not the rowid)?(?P<auto> AUTOINCREMENT)?"
    r"(?P<conflict> ON CONFLICT \w+)?",
    re.DOTALL,
)


def create_table(table: Table, name: str | None = None) -> str:
    """Return CREATE TABLE for a table, without its indexes and triggers, under its own name or another one."""
    name = table.name if name is None else name
    if table.definition is not None:  # the parser could not read it
        return f"CREATE TABLE {_quote(name)} {render(tokenize(table.definition, DIALECT)[3:], DIALECT)}"
    names = _DeclaredNames(table, name)
    inline = {it.columns[0]: it for it in table.constraints if _is_inline(it)}
    parts = [_column(column, names, inline.get(column.name)) for column in table.columns]
    parts += [_constraint(it, names) for it in table.constraints if not _is_inline(it)]
    options = f" {', '.join(table.options)}" if table.options else ""
    body = ",\n    ".join(parts)
    return f"CREATE TABLE {_quote(name)} (\n    {body}\n){options}"


def add_column(table: Table, column: Column, constraints: Iterable[Constraint] = ()) -> str:
    """Return the statement that adds a column at the end of a table, with constraints on it."""
    names = _DeclaredNames(table, table.name)
    parts = [_column(column, names), *(_inline_constraint(it, names) for it in constraints)]
    return f"ALTER TABLE {_quote(table.name)} ADD COLUMN {' '.join(parts)}"


def create_index(table: Table, index: Index) -> str:
    """Return CREATE INDEX for an index of a table."""
    if not index.keys:  # the parser could not read its table: the definition is the whole statement
        return index.definition
    names = _DeclaredNames(table, table.name)
    keys = ", ".join(names.restore(key) for key in index.keys)
    where = f" WHERE {names.restore(index.predicate)}" if index.predicate else ""
    return f"CREATE {'UNIQUE ' * index.unique}INDEX {_quote(index.name)} ON {_quote(table.name)} ({keys}){where}"


def create_trigger(trigger: Trigger) -> str:
    """Return CREATE TRIGGER for a trigger."""
    return f"CREATE TRIGGER {_quote(trigger.name)} {trigger.definition}"


def create_view(view: View) -> str:
    """Return CREATE VIEW for a view, without its triggers."""
    return f"CREATE VIEW {_quote(view.name)} {view.definition}"


def is_constant(default: str) -> bool:
    """Return whether a default is a plain value: only then can a column be added to a table with rows."""
    return _CONSTANT.fullmatch(default) is not None


def default_expression(default: str) -> str:
    """Return a default as it stands in a query and behind DEFAULT: in parentheses unless it is a plain value."""
    if _CLOCK.fullmatch(default):
        return default.upper()
    return default if is_constant(default) else f"({default})"


class _DeclaredNames:
    """The names of a table's columns, as they were declared, and the name that the table is going to have."""

    def __init__(self, table: Table, name: str) -> None:
        columns = {column.name.lower(): column.name for column in table.columns}
        self._columns = {lower: declared for lower, declared in columns.items() if lower != declared}
        self._table, self._name = table.name.lower(), name

    def restore(self, expression: str) -> str:
        """Return an expression of a snapshot on the columns of the table, with the names as they were declared."""
        return render(self._tokens(tokenize(expression, DIALECT)), DIALECT, fold=False)

    def _tokens(self, tokens: list[Token]) -> Iterator[Token]:
        for token, following in zip(tokens, [*(it.text for it in tokens[1:]), ""], strict=True):
            text = token.text.lower()
            if token.is_name and text == self._table and following == ".":
                yield Token(TokenKind.WORD, _quote(self._name))
            elif token.is_name and text in self._columns and following != "(" and token.word not in _OPERATORS:
                yield Token(TokenKind.WORD, _quote(self._columns[text]))
            else:
                yield token


def _column(column: Column, names: _DeclaredNames, key: Constraint | None = None) -> str:
    parts = [_quote(column.name), column.type]
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.generated:
        parts.append(f"GENERATED ALWAYS AS ({names.restore(column.generated)}) {column.storage}")
    if column.default is not None:
        parts.append(f"DEFAULT {default_expression(column.default)}")
    if not column.nullable:
        parts.append(f"NOT NULL {column.not_null_note or ''}")
    if key is not None:
        parts.append(_inline_constraint(key, names))
    return " ".join(part.strip() for part in parts if part)


def _is_inline(constraint: Constraint) -> bool:
    """Return whether a key must stand at its column: `x INTEGER PRIMARY KEY DESC` is not the rowid only there."""
    found = _KEY.fullmatch(constraint.definition)
    return bool(found and found["inline"])


def _inline_constraint(constraint: Constraint, names: _DeclaredNames) -> str:
    """Return a constraint of one column, at the column."""
    found = _KEY.fullmatch(constraint.definition)
    if found:
        text = f"{found['kind']}{' DESC' * found['keys'].endswith(' DESC')}{found['conflict'] or ''}"
    elif constraint.references is not None:
        text = _references(constraint)
    else:
        text = names.restore(constraint.definition)
    return _label(constraint) + text


def _constraint(constraint: Constraint, names: _DeclaredNames) -> str:
    found = _KEY.fullmatch(constraint.definition)
    if found:
        keys = f"({names.restore(found['keys'])}{found['auto'] or ''})"
        text = f"{found['kind']} {keys}{found['conflict'] or ''}"
    elif constraint.references is not None:
        columns = ", ".join(_quote(name) for name in constraint.columns)
        text = f"FOREIGN KEY ({columns}) {_references(constraint)}"
    else:
        text = f"CHECK ({names.restore(constraint.expression or '')})"
    return _label(constraint) + text


def _label(constraint: Constraint) -> str:
    return f"CONSTRAINT {_quote(constraint.name)} " if constraint.name is not None else ""


def _references(constraint: Constraint) -> str:
    """Return the text of a foreign key from REFERENCES on."""
    reference = constraint.references
    assert reference is not None  # noqa: S101  # asked by the callers
    words = [f"REFERENCES {_quote(reference.table)}"]
    if reference.columns:  # of a table that does not exist the key is unknown
        words.append(f"({', '.join(_quote(name) for name in reference.columns)})")
    words += [f"MATCH {reference.match}"] * (reference.match != "SIMPLE")
    words += [f"ON UPDATE {reference.on_update}"] * (reference.on_update != "NO ACTION")
    words += [f"ON DELETE {reference.on_delete}"] * (reference.on_delete != "NO ACTION")
    words += ["DEFERRABLE INITIALLY DEFERRED"] * constraint.definition.endswith(" DEFERRABLE INITIALLY DEFERRED")
    return " ".join(words)
