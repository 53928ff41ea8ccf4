"""What a statement of PostgreSQL asks for, as far as its lock depends on it: read from its tokens, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.checks.locks.parts import statements
from dormatory.sql.cursor import Cursor, UnreadableError, split
from dormatory.sql.lexer import Kind, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Verb(Enum):
    """What an act does; the name of the statement or of the part of ALTER TABLE."""

    ADD_COLUMN = "ADD COLUMN"
    ADD_CONSTRAINT = "ADD CONSTRAINT"
    ALTER_COLUMN = "ALTER COLUMN"
    ALTER_TABLE = "ALTER TABLE"  # any other part of it
    ALTER_TYPE = "TYPE"
    CLUSTER = "CLUSTER"
    CREATE_INDEX = "CREATE INDEX"
    CREATE_TABLE = "CREATE TABLE"
    DROP_COLUMN = "DROP COLUMN"
    DROP_INDEX = "DROP INDEX"
    DROP_TABLE = "DROP TABLE"
    REINDEX = "REINDEX"
    RENAME_COLUMN = "RENAME COLUMN"
    RENAME_LABEL = "RENAME VALUE"
    RENAME_TABLE = "RENAME TO"  # or SET SCHEMA
    SET_NOT_NULL = "SET NOT NULL"
    SET_STORAGE = "SET LOGGED"  # or UNLOGGED, TABLESPACE, ACCESS METHOD: how the whole table lies on the disk
    VACUUM = "VACUUM"
    VALIDATE = "VALIDATE CONSTRAINT"
    WRITE = "WRITE"  # of rows that are in a table, or as many as are in one
    OTHER = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a statement does; names are bare, a table's with its namespace unless that is public.

    `name` is what is made, altered or dropped, `new` what it is renamed to. `kind` is that of a constraint, or the type
    of a label. `columns` are an index's or a constraint's, `refers` the table and columns of a foreign key. `is_gentle`
    is CONCURRENTLY, NOT VALID or USING INDEX. `words` are the words that stand behind a new column's name, outside of
    parentheses.
    """

    verb: Verb
    table: str = ""
    name: str = ""
    new: str = ""
    kind: str = ""
    columns: tuple[str, ...] = ()
    refers: tuple[str, tuple[str, ...]] = ("", ())
    is_gentle: bool = False
    words: tuple[str, ...] = ()


@lru_cache(maxsize=1 << 10)
def acts(sql: str) -> tuple[Act, ...]:
    """Return what a text of one or more statements does, in order; what is not known is an act OTHER."""
    return tuple(act for tokens in statements(sql) for act in _acts(tokens))


def _acts(tokens: Sequence[Token]) -> list[Act]:
    try:
        return list(_read(Cursor(tokens))) if tokens else []
    except UnreadableError:
        return [Act(Verb.OTHER)]


def _read(cursor: Cursor) -> Iterator[Act]:
    word = cursor.take().word
    match word:
        case "create":
            yield _create(cursor)
        case "alter" if cursor.skip("table"):
            yield from _alter_table(cursor)
        case "alter" if cursor.skip("type"):
            yield _alter_type(cursor)
        case "drop":
            yield from _drop(cursor)
        case "reindex":
            yield Act(Verb.REINDEX, is_gentle="concurrently" in _words(cursor.rest()))
        case "cluster":
            yield Act(Verb.CLUSTER, "" if cursor.done else _name(cursor))
        case "vacuum":
            yield Act(Verb.VACUUM)
        case "update" | "delete" | "merge" | "insert":
            yield _write(word, cursor)
        case "with":
            yield _with(cursor)
        case _:
            yield Act(Verb.OTHER)


def _create(cursor: Cursor) -> Act:
    while cursor.word in {"or", "replace", "unique", "temp", "temporary", "unlogged", "global", "local"}:
        is_unique = cursor.take().word == "unique"
        if is_unique and cursor.word == "index":
            return _create_index(cursor, "UNIQUE")
    if cursor.word == "index":
        return _create_index(cursor, "")
    if cursor.skip("table"):
        cursor.skip("if", "not", "exists")
        return Act(Verb.CREATE_TABLE, _name(cursor))
    return Act(Verb.OTHER)


def _create_index(cursor: Cursor, kind: str) -> Act:
    cursor.expect("index")
    is_gentle = cursor.skip("concurrently")
    cursor.skip("if", "not", "exists")
    name = "" if cursor.word == "on" else _name(cursor)
    cursor.expect("on")
    is_gentle = cursor.skip("only") or is_gentle  # of a partitioned table alone: nothing is built
    table = _name(cursor)
    is_plain = cursor.word == "("
    if cursor.skip("using"):
        cursor.name()
    keys = split(cursor.group())
    is_plain = is_plain and cursor.done and all(len(key) == 1 for key in keys)
    columns = tuple(_folded(key[0]) for key in keys) if is_plain else ()
    return Act(Verb.CREATE_INDEX, table, name, kind=kind, columns=columns, is_gentle=is_gentle)


def _drop(cursor: Cursor) -> Iterator[Act]:
    verb = {"index": Verb.DROP_INDEX, "table": Verb.DROP_TABLE}.get(cursor.take().word, Verb.OTHER)
    if verb is Verb.OTHER:
        yield Act(verb)
        return
    is_gentle = cursor.skip("concurrently")
    cursor.skip("if", "exists")
    for run in split([token for token in cursor.rest() if token.word not in {"cascade", "restrict"}]):
        name = _name(Cursor(run))
        yield Act(verb, "" if verb is Verb.DROP_INDEX else name, name, is_gentle=is_gentle)


def _alter_table(cursor: Cursor) -> Iterator[Act]:
    cursor.skip("if", "exists")
    cursor.skip("only")
    table = _name(cursor)
    cursor.skip("*")
    for run in split(cursor.rest()):
        try:
            yield _part(Cursor(run), table)
        except UnreadableError:
            yield Act(Verb.ALTER_TABLE, table)


def _part(cursor: Cursor, table: str) -> Act:
    """Read one part of ALTER TABLE."""
    word = cursor.take().word
    if cursor.word != "constraint" or word in {"add", "validate"}:
        match word:
            case "add":
                return _add(cursor, table)
            case "drop":
                cursor.skip("column")
                cursor.skip("if", "exists")
                return Act(Verb.DROP_COLUMN, table, _name(cursor))
            case "alter":
                cursor.skip("column")
                return _alter_column(cursor, table)
            case "rename":
                return _rename(cursor, table)
            case "validate" if cursor.skip("constraint"):
                return Act(Verb.VALIDATE, table, _name(cursor))
    return _of_all(cursor, table, word)


def _of_all(cursor: Cursor, table: str, word: str) -> Act:
    """Read the rest of a part of ALTER TABLE that is about no column and no constraint."""
    if word == "set" and cursor.skip("schema"):
        return Act(Verb.RENAME_TABLE, table, new=f"{_name(cursor)}.{table.rpartition('.')[2]}")
    is_storage = word == "set" and cursor.word in {"logged", "unlogged", "tablespace", "access"}
    return Act(Verb.SET_STORAGE if is_storage else Verb.ALTER_TABLE, table, words=tuple(_words(cursor.rest())))


def _alter_type(cursor: Cursor) -> Act:
    kind = _name(cursor)
    if not cursor.skip("rename", "value"):
        return Act(Verb.OTHER)
    old = cursor.take().text
    cursor.expect("to")
    return Act(Verb.RENAME_LABEL, name=_unquoted(old), new=_unquoted(cursor.take().text), kind=kind)


def _unquoted(literal: str) -> str:
    return literal.strip("'").replace("''", "'")


def _rename(cursor: Cursor, table: str) -> Act:
    if cursor.skip("to"):
        return Act(Verb.RENAME_TABLE, table, new=_name(cursor))
    cursor.skip("column")
    name = _name(cursor)
    cursor.expect("to")
    return Act(Verb.RENAME_COLUMN, table, name, new=_name(cursor))


_OF_CONSTRAINTS = frozenset({"check", "exclude", "foreign", "primary", "unique"})


def _add(cursor: Cursor, table: str) -> Act:
    if cursor.skip("constraint"):
        return _constraint(cursor, table, _name(cursor))
    if cursor.word in _OF_CONSTRAINTS:
        return _constraint(cursor, table, "")
    cursor.skip("column")
    cursor.skip("if", "not", "exists")
    return Act(Verb.ADD_COLUMN, table, _name(cursor), words=tuple(_words(cursor.rest())))


def _constraint(cursor: Cursor, table: str, name: str) -> Act:
    kind = {"foreign": "FOREIGN KEY", "primary": "PRIMARY KEY", "not": "NOT NULL"}.get(cursor.word, cursor.word.upper())
    cursor.take()
    _ = cursor.skip("key") or cursor.skip("null")
    columns, refers = tuple[str, ...](), ("", tuple[str, ...]())
    if kind in {"FOREIGN KEY", "PRIMARY KEY", "UNIQUE"} and cursor.word == "(":
        columns = _columns(cursor)
    elif kind == "NOT NULL":
        columns = (_name(cursor),)
    if kind == "FOREIGN KEY":
        cursor.expect("references")
        refers = _name(cursor), _columns(cursor) if cursor.word == "(" else ()
    words = _words(cursor.rest())
    is_gentle = words[-2:] == ["not", "valid"] or words[:2] == ["using", "index"]
    return Act(Verb.ADD_CONSTRAINT, table, name, kind=kind, columns=columns, refers=refers, is_gentle=is_gentle)


def _alter_column(cursor: Cursor, table: str) -> Act:
    column = _name(cursor)
    if cursor.skip("set", "not", "null"):
        return Act(Verb.SET_NOT_NULL, table, column)
    if cursor.skip("type") or cursor.skip("set", "data", "type"):
        return Act(Verb.ALTER_TYPE, table, column, words=tuple(_words(cursor.rest())))
    return Act(Verb.ALTER_COLUMN, table, column, words=tuple(_words(cursor.rest())))


def _write(word: str, cursor: Cursor) -> Act:
    """Read a statement that writes rows; an INSERT writes as many as a table has only where a query makes them."""
    _ = cursor.skip("from") or cursor.skip("into")
    cursor.skip("only")
    table = _name(cursor)
    is_many = word != "insert" or "select" in [token.word for token in cursor.rest()]
    return Act(Verb.WRITE if is_many else Verb.OTHER, table, name=word)


def _with(cursor: Cursor) -> Act:
    """Find the statement that writes, behind the queries of a WITH or among them."""
    while not cursor.done:
        word = cursor.take().word
        if word in {"update", "delete", "merge", "insert"}:
            return _write(word, cursor)
    return Act(Verb.OTHER)


def _name(cursor: Cursor) -> str:
    """Take a name, with its namespace in front unless that is public."""
    parts = [_taken(cursor)]
    while cursor.skip("."):
        parts.append(_taken(cursor))
    return ".".join(parts[-2:]).removeprefix("public.")


def _taken(cursor: Cursor) -> str:
    token = cursor.take()
    if token.kind not in {Kind.WORD, Kind.NAME}:
        cursor.refuse()
    return _folded(token)


def _folded(token: Token) -> str:
    return token.text.lower() if token.kind is Kind.WORD else token.text


def _columns(cursor: Cursor) -> tuple[str, ...]:
    return tuple(_folded(run[0]) for run in split(cursor.group()) if run)


def _words(tokens: Sequence[Token]) -> list[str]:
    """Return the words that stand in no parentheses."""
    depth, words = 0, list[str]()
    for token in tokens:
        depth += (token.word == "(") - (token.word == ")")
        if not depth and token.kind is Kind.WORD:
            words.append(token.word)
    return words
