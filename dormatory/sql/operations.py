"""What a PostgreSQL statement does, as far as its locks depend on it: read from its tokens, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from dormatory.sql.cursor import SQLParseError, TokenCursor
from dormatory.sql.lexer import Token, TokenKind
from dormatory.sql.literals import string_value
from dormatory.sql.nesting import split_at_commas, top_level
from dormatory.sql.split import executed_statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.sql.dialect import Dialect


class OperationKind(Enum):
    """What an operation does, named after the statement or the part of ALTER TABLE."""

    ADD_COLUMN = "ADD COLUMN"
    ADD_CONSTRAINT = "ADD CONSTRAINT"
    ALTER_COLUMN = "ALTER COLUMN"
    ALTER_TABLE = "ALTER TABLE"  # any other part of it
    ALTER_COLUMN_TYPE = "TYPE"
    CLUSTER = "CLUSTER"
    CREATE_INDEX = "CREATE INDEX"
    CREATE_TABLE = "CREATE TABLE"
    DETACH_PARTITION = "DETACH PARTITION"
    DROP_COLUMN = "DROP COLUMN"
    DROP_INDEX = "DROP INDEX"
    DROP_OBJECT = "DROP"  # of a view, a function, a type, ...
    DROP_TABLE = "DROP TABLE"
    REINDEX = "REINDEX"
    RENAME_COLUMN = "RENAME COLUMN"
    RENAME_LABEL = "RENAME VALUE"
    RENAME_TABLE = "RENAME TO"  # or SET SCHEMA
    SET_NOT_NULL = "SET NOT NULL"
    SET_STORAGE = "SET LOGGED"  # or UNLOGGED, TABLESPACE, ACCESS METHOD: how the whole table lies on the disk
    VACUUM = "VACUUM"
    VALIDATE_CONSTRAINT = "VALIDATE CONSTRAINT"
    WRITE = "WRITE"  # of existing rows, or of as many new ones as a query returns
    OTHER = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a statement does; names are bare, a table's with its namespace unless that is public.

    `name` is what is created, altered, dropped or detached, `new_name` what it is renamed to. `object_type` is the kind
    of a constraint or of what is dropped, the word UNIQUE of an index, or the type that a label belongs to. `columns`
    are those of an index or a constraint, `referenced` the table and the columns that a foreign key points to.
    `is_online` is CONCURRENTLY, FINALIZE, NOT VALID or USING INDEX. `words` are the words after the name of a new
    column, outside of parentheses.
    """

    kind: OperationKind
    table: str = ""
    name: str = ""
    new_name: str = ""
    object_type: str = ""
    columns: tuple[str, ...] = ()
    referenced: tuple[str, tuple[str, ...]] = ("", ())
    is_online: bool = False
    words: tuple[str, ...] = ()


@lru_cache(maxsize=1 << 10)
def parse_operations(sql: str, dialect: Dialect) -> tuple[Operation, ...]:
    """Return the operations of one or more statements, in order; an unknown statement is one of kind OTHER."""
    return tuple(operation for tokens in executed_statements(sql, dialect) for operation in _parse_statement(tokens))


def _parse_statement(tokens: Sequence[Token]) -> list[Operation]:
    try:
        return list(_read_statement(TokenCursor(tokens))) if tokens else []
    except SQLParseError:
        return [Operation(OperationKind.OTHER)]


def _read_statement(cursor: TokenCursor) -> Iterator[Operation]:
    word = cursor.take().word
    match word:
        case "create":
            yield _read_create(cursor)
        case "alter" if cursor.accept("table"):
            yield from _read_alter_table(cursor)
        case "alter" if cursor.accept("type"):
            yield _read_alter_type(cursor)
        case "drop":
            yield from _read_drop(cursor)
        case "reindex":
            yield Operation(OperationKind.REINDEX, is_online="concurrently" in _top_level_words(cursor.take_rest()))
        case "cluster":
            yield Operation(OperationKind.CLUSTER, "" if cursor.is_at_end else _read_name(cursor))
        case "vacuum":
            yield Operation(OperationKind.VACUUM)
        case "update" | "delete" | "merge" | "insert":
            yield _read_row_write(word, cursor)
        case "with":
            yield _read_with(cursor)
        case _:
            yield Operation(OperationKind.OTHER)


def _read_create(cursor: TokenCursor) -> Operation:
    while cursor.word in {"or", "replace", "unique", "temp", "temporary", "unlogged", "global", "local"}:
        is_unique = cursor.take().word == "unique"
        if is_unique and cursor.word == "index":
            return _read_create_index(cursor, "UNIQUE")
    if cursor.word == "index":
        return _read_create_index(cursor, "")
    if cursor.accept("table"):
        cursor.accept("if", "not", "exists")
        return Operation(OperationKind.CREATE_TABLE, _read_name(cursor))
    return Operation(OperationKind.OTHER)


def _read_create_index(cursor: TokenCursor, object_type: str) -> Operation:
    cursor.expect("index")
    is_online = cursor.accept("concurrently")
    cursor.accept("if", "not", "exists")
    name = "" if cursor.word == "on" else _read_name(cursor)
    cursor.expect("on")
    is_online = cursor.accept("only") or is_online  # of a partitioned table alone: nothing is built
    table = _read_name(cursor)
    is_plain = cursor.word == "("
    if cursor.accept("using"):
        cursor.take_name()
    keys = split_at_commas(cursor.take_group())
    is_plain = is_plain and cursor.is_at_end and all(len(key) == 1 for key in keys)
    columns = tuple(_folded_name(key[0]) for key in keys) if is_plain else ()
    return Operation(
        OperationKind.CREATE_INDEX, table, name, object_type=object_type, columns=columns, is_online=is_online
    )


def _read_drop(cursor: TokenCursor) -> Iterator[Operation]:
    object_type = cursor.take().word
    if object_type in {"materialized", "foreign", "event", "text"}:
        object_type += f" {cursor.take().word}"
    kind = {"index": OperationKind.DROP_INDEX, "table": OperationKind.DROP_TABLE}.get(
        object_type, OperationKind.DROP_OBJECT
    )
    is_online = cursor.accept("concurrently")
    cursor.accept("if", "exists")
    for run in split_at_commas([token for token in cursor.take_rest() if token.word not in {"cascade", "restrict"}]):
        name = _read_name(TokenCursor(run))
        table = name if kind is OperationKind.DROP_TABLE else ""
        yield Operation(kind, table, name, object_type=object_type.upper(), is_online=is_online)


def _read_alter_table(cursor: TokenCursor) -> Iterator[Operation]:
    cursor.accept("if", "exists")
    cursor.accept("only")
    table = _read_name(cursor)
    cursor.accept("*")
    for run in split_at_commas(cursor.take_rest()):
        try:
            yield _read_alter_table_action(TokenCursor(run), table)
        except SQLParseError:
            yield Operation(OperationKind.ALTER_TABLE, table)


def _read_alter_table_action(cursor: TokenCursor, table: str) -> Operation:
    """Return the operation of one part of ALTER TABLE."""
    word = cursor.take().word
    if cursor.word != "constraint" or word in {"add", "validate"}:
        match word:
            case "add":
                return _read_add(cursor, table)
            case "drop":
                cursor.accept("column")
                cursor.accept("if", "exists")
                return Operation(OperationKind.DROP_COLUMN, table, _read_name(cursor))
            case "alter":
                cursor.accept("column")
                return _read_alter_column(cursor, table)
            case "rename":
                return _read_rename(cursor, table)
            case "validate" if cursor.accept("constraint"):
                return Operation(OperationKind.VALIDATE_CONSTRAINT, table, _read_name(cursor))
    return _read_table_action(cursor, table, word)


def _read_table_action(cursor: TokenCursor, table: str, word: str) -> Operation:
    """Return the operation of a part of ALTER TABLE that names neither a column nor a constraint."""
    if word == "set" and cursor.accept("schema"):
        return Operation(OperationKind.RENAME_TABLE, table, new_name=f"{_read_name(cursor)}.{table.rpartition('.')[2]}")
    if word == "detach" and cursor.accept("partition"):
        partition, is_online = _read_name(cursor), not cursor.is_at_end  # CONCURRENTLY or FINALIZE
        return Operation(OperationKind.DETACH_PARTITION, table, partition, is_online=is_online)
    is_storage = word == "set" and cursor.word in {"logged", "unlogged", "tablespace", "access"}
    return Operation(
        OperationKind.SET_STORAGE if is_storage else OperationKind.ALTER_TABLE,
        table,
        words=tuple(_top_level_words(cursor.take_rest())),
    )


def _read_alter_type(cursor: TokenCursor) -> Operation:
    type_name = _read_name(cursor)
    if not cursor.accept("rename", "value"):
        return Operation(OperationKind.OTHER)
    old = cursor.take().text
    cursor.expect("to")
    return Operation(
        OperationKind.RENAME_LABEL,
        name=string_value(old),
        new_name=string_value(cursor.take().text),
        object_type=type_name,
    )


def _read_rename(cursor: TokenCursor, table: str) -> Operation:
    if cursor.accept("to"):
        return Operation(OperationKind.RENAME_TABLE, table, new_name=_read_name(cursor))
    cursor.accept("column")
    name = _read_name(cursor)
    cursor.expect("to")
    return Operation(OperationKind.RENAME_COLUMN, table, name, new_name=_read_name(cursor))


_CONSTRAINT_KEYWORDS = frozenset({"check", "exclude", "foreign", "primary", "unique"})


def _read_add(cursor: TokenCursor, table: str) -> Operation:
    if cursor.accept("constraint"):
        return _read_constraint(cursor, table, _read_name(cursor))
    if cursor.word in _CONSTRAINT_KEYWORDS:
        return _read_constraint(cursor, table, "")
    cursor.accept("column")
    cursor.accept("if", "not", "exists")
    return Operation(
        OperationKind.ADD_COLUMN, table, _read_name(cursor), words=tuple(_top_level_words(cursor.take_rest()))
    )


def _read_constraint(cursor: TokenCursor, table: str, name: str) -> Operation:
    constraint_type = {"foreign": "FOREIGN KEY", "primary": "PRIMARY KEY", "not": "NOT NULL"}.get(
        cursor.word, cursor.word.upper()
    )
    cursor.take()
    _ = cursor.accept("key") or cursor.accept("null")
    columns, referenced = tuple[str, ...](), ("", tuple[str, ...]())
    if constraint_type in {"FOREIGN KEY", "PRIMARY KEY", "UNIQUE"} and cursor.word == "(":
        columns = _read_columns(cursor)
    elif constraint_type == "NOT NULL":
        columns = (_read_name(cursor),)
    if constraint_type == "FOREIGN KEY":
        cursor.expect("references")
        referenced = _read_name(cursor), _read_columns(cursor) if cursor.word == "(" else ()
    words = _top_level_words(cursor.take_rest())
    is_online = words[-2:] == ["not", "valid"] or words[:2] == ["using", "index"]
    return Operation(
        OperationKind.ADD_CONSTRAINT,
        table,
        name,
        object_type=constraint_type,
        columns=columns,
        referenced=referenced,
        is_online=is_online,
    )


def _read_alter_column(cursor: TokenCursor, table: str) -> Operation:
    column = _read_name(cursor)
    if cursor.accept("set", "not", "null"):
        return Operation(OperationKind.SET_NOT_NULL, table, column)
    if cursor.accept("type") or cursor.accept("set", "data", "type"):
        return Operation(
            OperationKind.ALTER_COLUMN_TYPE, table, column, words=tuple(_top_level_words(cursor.take_rest()))
        )
    return Operation(OperationKind.ALTER_COLUMN, table, column, words=tuple(_top_level_words(cursor.take_rest())))


def _read_row_write(word: str, cursor: TokenCursor) -> Operation:
    """Return the operation of a statement that writes rows; an INSERT counts only if a query supplies its rows."""
    _ = cursor.accept("from") or cursor.accept("into")
    cursor.accept("only")
    table = _read_name(cursor)
    is_many = word != "insert" or "select" in [token.word for token in cursor.take_rest()]
    return Operation(OperationKind.WRITE if is_many else OperationKind.OTHER, table, name=word)


def _read_with(cursor: TokenCursor) -> Operation:
    """Return the operation of the statement that writes, which may be one of the queries of the WITH."""
    while not cursor.is_at_end:
        word = cursor.take().word
        if word in {"update", "delete", "merge", "insert"}:
            return _read_row_write(word, cursor)
    return Operation(OperationKind.OTHER)


def _read_name(cursor: TokenCursor) -> str:
    """Take a name, and return it with its namespace unless that is public."""
    parts = [_read_identifier(cursor)]
    while cursor.accept("."):
        parts.append(_read_identifier(cursor))
    return ".".join(parts[-2:]).removeprefix("public.")


def _read_identifier(cursor: TokenCursor) -> str:
    token = cursor.take()
    if not token.is_name:
        cursor.raise_unexpected()
    return _folded_name(token)


def _folded_name(token: Token) -> str:
    return token.text.lower() if token.kind is TokenKind.WORD else token.text


def _read_columns(cursor: TokenCursor) -> tuple[str, ...]:
    return tuple(_folded_name(run[0]) for run in split_at_commas(cursor.take_group()) if run)


def _top_level_words(tokens: Sequence[Token]) -> list[str]:
    """Return the words that stand in no parentheses."""
    return [token.word for token in top_level(tokens) if token.kind is TokenKind.WORD]
