"""The database as far as filling it goes: what a table holds, and putting rows in, all or none of them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from dormatory.backends import driver
from dormatory.backends.registry import dialect_by_name
from dormatory.rows import unique_values
from dormatory.sql import evaluate
from dormatory.sql.lexer import TokenKind, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from dormatory.rows.plan import ColumnPlan, ForeignKeyPlan, TablePlan
    from dormatory.rows.row_factory import GeneratedRow
    from dormatory.rows.unique_values import GeneratedValue
    from dormatory.sql.dialect import Dialect

_MAX_PARENT_KEYS = 200  # of many parents, these will do
_SAVEPOINT = "dormatory_rows"
_COLUMN_IN_ERROR = re.compile(r'column "([^"]+)"')
_FAILED_CONSTRAINT = re.compile(r"constraint failed: (.*)|in \w+ column (.*)", re.DOTALL)


class RefusedRowError(Exception):
    """The database did not take rows; `columns` are those it named, in small letters, all of them if it named none."""

    def __init__(self, reason: str, columns: frozenset[str]) -> None:
        super().__init__(reason)
        self.reason, self.columns = reason, columns


class RowStore(Protocol):
    """One connected database, in the transaction the caller is in."""

    dialect: Dialect

    def existing_rows(self, plan: TablePlan) -> tuple[int, list[dict[str, Any]]]:
        """Return how many rows a table holds, and of each what its keys look at."""

    def parent_keys(self, foreign_key: ForeignKeyPlan) -> list[tuple[GeneratedValue, ...]]:
        """Return keys that a foreign key may name, in order."""

    def insert(self, plan: TablePlan, rows: Sequence[GeneratedRow]) -> int:
        """Insert rows, and return how many were kept; RefusedRowError tells that none were."""


class _BaseRowWriter:
    dialect: Dialect

    def __init__(self, connection: Connection) -> None:
        self._cursor = driver.open_cursor(connection)
        self.error: type[Exception] = connection.dialect.loaded_dbapi.Error  # what the driver raises

    def execute(self, statement: str, parameters: Any = None) -> int:
        """Send a statement as it is, or once for each set of parameters, and return how many rows it wrote."""
        if parameters is not None:
            self._cursor.executemany(statement, parameters)
        else:
            self._cursor.execute(statement)
        return int(self._cursor.rowcount)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that a statement gives."""
        self._cursor.execute(statement)
        return list(self._cursor.fetchall())

    def close(self) -> None:
        """Give the driver's cursor back."""
        self._cursor.close()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what was done in this block if it raises."""
        self.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield
        except BaseException:
            self.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            raise
        self.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    def insert(self, plan: TablePlan, rows: Sequence[GeneratedRow]) -> int:
        """Insert rows, and return how many were kept; RefusedRowError tells that none were."""
        try:
            with self.savepoint():
                return self._insert_rows(plan, rows)
        except self.error as error:
            raise RefusedRowError(driver_message(error), columns_in_error(error, plan, self.dialect)) from error

    def _insert_rows(self, plan: TablePlan, rows: Sequence[GeneratedRow]) -> int:
        raise NotImplementedError

    def existing_rows(self, plan: TablePlan) -> tuple[int, list[dict[str, Any]]]:
        """Return how many rows a table holds, and of each what its keys look at."""
        key_columns = {
            word for key in plan.unique_keys for word in key.columns | evaluate.referenced_columns(key.predicate)
        }
        columns = [column for column in plan.columns if column.lower_name in key_columns]
        if not columns:
            ((count,),) = self.query(f"SELECT count(*) FROM {qualified_name(*plan.id)}")  # noqa: S608  # names are quoted
            return int(count), []
        listed = ", ".join(self._select_expression(column.name) for column in columns)
        rows = self.query(f"SELECT {listed} FROM {qualified_name(*plan.id)}")  # noqa: S608
        return len(rows), [
            {column.lower_name: self._python_value(value, column) for column, value in zip(columns, row, strict=True)}
            for row in rows
        ]

    def parent_keys(self, foreign_key: ForeignKeyPlan) -> list[tuple[GeneratedValue, ...]]:
        """Return keys that a foreign key may name, in order."""
        listed = ", ".join(self._select_expression(name) for name in foreign_key.parent_columns)
        is_not_null = " AND ".join(f"{quote_name(name)} IS NOT NULL" for name in foreign_key.parent_columns)
        places = ", ".join(str(place + 1) for place in range(len(foreign_key.parent_columns)))
        statement = (
            f"SELECT DISTINCT {listed} FROM {qualified_name(*foreign_key.parent)} WHERE {is_not_null} ORDER BY {places}"  # noqa: S608
        )
        rows = self.query(f"{statement} LIMIT {_MAX_PARENT_KEYS}")
        return [tuple(self._python_value(*pair) for pair in zip(row, foreign_key.columns, strict=True)) for row in rows]

    def _select_expression(self, name: str) -> str:
        return quote_name(name)

    def _python_value(self, value: Any, _column: ColumnPlan) -> Any:
        return value


class SQLiteRowWriter(_BaseRowWriter):
    """Rows travel as parameters, grouped by the columns they fill: DEFAULT is no value there."""

    dialect = dialect_by_name("sqlite")

    def _insert_rows(self, plan: TablePlan, rows: Sequence[GeneratedRow]) -> int:
        kept, at = 0, 0
        while at < len(rows):
            columns = [column for column in plan.columns if column.lower_name in rows[at]]
            words = [column.lower_name for column in columns]
            alike = list(_rows_with_same_columns(rows[at:]))
            at += len(alike)
            listed = ", ".join(quote_name(column.name) for column in columns)
            marks = ", ".join("?" * len(columns))
            into = f"INSERT INTO {qualified_name(*plan.id)}"
            if not columns:
                kept += sum(self.execute(f"{into} DEFAULT VALUES") for _ in alike)
                continue
            parameters = [tuple(_sqlite_parameter(row[word]) for word in words) for row in alike]
            kept += self.execute(f"{into} ({listed}) VALUES ({marks})", parameters)
        return kept

    def defer(self, _links: Sequence[ForeignKeyPlan]) -> None:
        """Let foreign keys wait until the transaction ends."""
        self.execute("PRAGMA defer_foreign_keys = ON")

    def check_deferred(self) -> None:
        """Nothing: SQLite looks again when the transaction ends."""


class PostgreSQLRowWriter(_BaseRowWriter):
    """Rows travel as literals in one statement: any driver sends that, and DEFAULT can stand among them."""

    dialect = dialect_by_name("postgresql")

    def _insert_rows(self, plan: TablePlan, rows: Sequence[GeneratedRow]) -> int:
        columns = plan.columns
        listed = ", ".join(quote_name(column.name) for column in columns)
        lines = (", ".join(_postgresql_literal(row, column) for column in columns) for row in rows)
        tuples = ", ".join(f"({line})" for line in lines)
        return self.execute(f"INSERT INTO {qualified_name(*plan.id)} ({listed}) VALUES {tuples}")  # noqa: S608  # quoted

    def defer(self, foreign_keys: Sequence[ForeignKeyPlan]) -> None:
        """Let these foreign keys wait."""
        names = [
            qualified_name(link.namespace, link.name)
            for link in foreign_keys
            if link.name and "DEFERRABLE" in link.definition
        ]
        if names:
            self.execute(f"SET CONSTRAINTS {', '.join(names)} DEFERRED")

    def check_deferred(self) -> None:
        """Check what waits."""
        self.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def _select_expression(self, name: str) -> str:
        return f"{quote_name(name)}::text"

    def _python_value(self, value: Any, column: ColumnPlan) -> Any:
        if value is None:
            return None
        read = _VALUE_READERS.get(column.column_type.family)
        return read(value) if read else value


def row_writer(connection: Connection) -> SQLiteRowWriter | PostgreSQLRowWriter:
    """Return the database behind a connection."""
    return SQLiteRowWriter(connection) if connection.dialect.name == "sqlite" else PostgreSQLRowWriter(connection)


_VALUE_READERS: dict[str, Any] = {
    "integer": int,
    "numeric": Decimal,
    "float": float,
    "boolean": lambda text: text == "true",
    "binary": lambda text: bytes.fromhex(text.removeprefix("\\x")),
}


def quote_name(name: str) -> str:
    """Return a name in quotes, which both databases read as it is."""
    return '"' + name.replace('"', '""') + '"'


def qualified_name(namespace: str | None, name: str) -> str:
    """Return the full name of a table or a constraint."""
    return f"{quote_name(namespace)}.{quote_name(name)}" if namespace else quote_name(name)


def driver_message(error: BaseException | None) -> str:
    """Return the first line of what the database said by an error of its driver."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(primary or error).strip().partition("\n")[0]


def columns_in_error(error: Exception, plan: TablePlan, dialect: Dialect) -> frozenset[str]:
    """Return the columns that an error is about, all that are not foreign keys if it names none."""
    text, words = driver_message(error), {column.lower_name for column in plan.columns if not column.is_generated}
    found: set[str] = set()
    for it in plan.table.constraints:
        if it.name and (f'"{it.name}"' in text or text.endswith(f": {it.name}")):
            columns = set(it.columns) or _names_in(it.definition, dialect)
            found |= {word.lower() for word in columns}
    for index in plan.table.indexes:
        if f'"{index.name}"' in text or f"'{index.name}'" in text:
            found |= _names_in(index.definition, dialect)
    column = _COLUMN_IN_ERROR.search(text)
    failed = _FAILED_CONSTRAINT.search(text)
    if column:
        found.add(column[1].lower())
    elif failed and not found:
        found = _names_in(failed[1] or failed[2], dialect)
    if not found & words:
        found = {it.lower_name for it in plan.columns if it.column_type.checks and f" {it.column_type.name} " in text}
    foreign_key_columns = {it.lower_name for link in plan.foreign_keys for it in link.columns}
    return frozenset(found & words) or frozenset(words - foreign_key_columns) or frozenset(words)


def _names_in(text: str, dialect: Dialect) -> set[str]:
    return {token.text.lower() for token in tokenize(text, dialect) if token.kind in {TokenKind.WORD, TokenKind.NAME}}


def _rows_with_same_columns(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows up to the first that fills other columns than they do."""
    for row in rows:
        if row.keys() != rows[0].keys():
            return
        yield row


def _sqlite_parameter(value: GeneratedValue) -> Any:
    """Return a value as SQLite's driver takes it, numbers as SQLAlchemy stores them."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return int(value) if isinstance(value, bool) else value


def _postgresql_literal(row: GeneratedRow, column: ColumnPlan) -> str:
    """Return a value as text whose type the column decides; the E form does not depend on any setting."""
    if column.lower_name not in row or column.is_generated:
        return "DEFAULT"
    value = row[column.lower_name]
    if value is None:
        return "NULL"
    text = unique_values.postgresql_text(value)
    if "\\" in text or "'" in text:
        text = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{text}'"
