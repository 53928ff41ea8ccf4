"""The database as far as filling it goes: what a table holds, and putting rows in, all or none of them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from dormatory.backends import cursor
from dormatory.rows import unique_values
from dormatory.sql import evaluate
from dormatory.sql.lexer import Kind, Syntax, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from dormatory.rows.plan import ColumnPlan, Link, TablePlan
    from dormatory.rows.row_factory import Row
    from dormatory.rows.unique_values import Value

_PARENTS = 200  # of many parents, these will do
_SAVEPOINT = "dormatory_rows"
_COLUMN = re.compile(r'column "([^"]+)"')
_FAILED = re.compile(r"constraint failed: (.*)|in \w+ column (.*)", re.DOTALL)


class RefusedRowError(Exception):
    """The database did not take rows; `columns` are those it named, in small letters, all of them if it named none."""

    def __init__(self, reason: str, columns: frozenset[str]) -> None:
        super().__init__(reason)
        self.reason, self.columns = reason, columns


class Store(Protocol):
    """One connected database, in the transaction the caller is in."""

    syntax: Syntax

    def held(self, plan: TablePlan) -> tuple[int, list[dict[str, Any]]]:
        """Return how many rows a table holds, and of each what its keys look at."""

    def parents(self, link: Link) -> list[tuple[Value, ...]]:
        """Return keys that a foreign key may name, in order."""

    def insert(self, plan: TablePlan, rows: Sequence[Row]) -> int:
        """Insert rows, and return how many were kept; RefusedRowError tells that none were."""


class _Common:
    syntax: Syntax

    def __init__(self, connection: Connection) -> None:
        self._cursor = cursor.cursor(connection)
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
    def all_or_none(self) -> Iterator[None]:
        """Take back what was done in this block if it raises."""
        self.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield
        except BaseException:
            self.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            raise
        self.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    def insert(self, plan: TablePlan, rows: Sequence[Row]) -> int:
        """Insert rows, and return how many were kept; RefusedRowError tells that none were."""
        try:
            with self.all_or_none():
                return self._insert(plan, rows)
        except self.error as error:
            raise RefusedRowError(said(error), blamed(error, plan)) from error

    def _insert(self, plan: TablePlan, rows: Sequence[Row]) -> int:
        raise NotImplementedError

    def held(self, plan: TablePlan) -> tuple[int, list[dict[str, Any]]]:
        """Return how many rows a table holds, and of each what its keys look at."""
        looked_at = {word for key in plan.keys for word in key.columns | evaluate.names(key.predicate)}
        columns = [column for column in plan.columns if column.word in looked_at]
        if not columns:
            ((count,),) = self.query(f"SELECT count(*) FROM {named(*plan.id)}")  # noqa: S608  # names are quoted
            return int(count), []
        listed = ", ".join(self._read(column.name) for column in columns)
        rows = self.query(f"SELECT {listed} FROM {named(*plan.id)}")  # noqa: S608
        return len(rows), [
            {column.word: self._typed(value, column) for column, value in zip(columns, row, strict=True)}
            for row in rows
        ]

    def parents(self, link: Link) -> list[tuple[Value, ...]]:
        """Return keys that a foreign key may name, in order."""
        listed = ", ".join(self._read(name) for name in link.referred)
        given = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in link.referred)
        places = ", ".join(str(place + 1) for place in range(len(link.referred)))
        statement = f"SELECT DISTINCT {listed} FROM {named(*link.parent)} WHERE {given} ORDER BY {places}"  # noqa: S608
        rows = self.query(f"{statement} LIMIT {_PARENTS}")
        return [tuple(self._typed(*pair) for pair in zip(row, link.columns, strict=True)) for row in rows]

    def _read(self, name: str) -> str:
        return quoted(name)

    def _typed(self, value: Any, _column: ColumnPlan) -> Any:
        return value


class SQLite(_Common):
    """Rows travel as parameters, grouped by the columns they fill: DEFAULT is no value there."""

    syntax = Syntax.SQLITE

    def _insert(self, plan: TablePlan, rows: Sequence[Row]) -> int:
        kept, at = 0, 0
        while at < len(rows):
            columns = [column for column in plan.columns if column.word in rows[at]]
            words = [column.word for column in columns]
            several = list(_alike(rows[at:]))
            at += len(several)
            listed = ", ".join(quoted(column.name) for column in columns)
            marks = ", ".join("?" * len(columns))
            into = f"INSERT INTO {named(*plan.id)}"
            if not columns:
                kept += sum(self.execute(f"{into} DEFAULT VALUES") for _ in several)
                continue
            parameters = [tuple(_plain(row[word]) for word in words) for row in several]
            kept += self.execute(f"{into} ({listed}) VALUES ({marks})", parameters)
        return kept

    def defer(self, _links: Sequence[Link]) -> None:
        """Let foreign keys wait until the transaction ends."""
        self.execute("PRAGMA defer_foreign_keys = ON")

    def check_now(self) -> None:
        """Nothing: SQLite looks again when the transaction ends."""


class PostgreSQL(_Common):
    """Rows travel as literals in one statement: any driver sends that, and DEFAULT can stand among them."""

    syntax = Syntax.POSTGRESQL

    def _insert(self, plan: TablePlan, rows: Sequence[Row]) -> int:
        columns = plan.columns
        listed = ", ".join(quoted(column.name) for column in columns)
        lines = (", ".join(_literal(row, column) for column in columns) for row in rows)
        tuples = ", ".join(f"({line})" for line in lines)
        return self.execute(f"INSERT INTO {named(*plan.id)} ({listed}) VALUES {tuples}")  # noqa: S608  # quoted

    def defer(self, links: Sequence[Link]) -> None:
        """Let these foreign keys wait."""
        names = [named(link.namespace, link.name) for link in links if link.name and "DEFERRABLE" in link.definition]
        if names:
            self.execute(f"SET CONSTRAINTS {', '.join(names)} DEFERRED")

    def check_now(self) -> None:
        """Check what waits."""
        self.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def _read(self, name: str) -> str:
        return f"{quoted(name)}::text"

    def _typed(self, value: Any, column: ColumnPlan) -> Any:
        if value is None:
            return None
        read = _READERS.get(column.kind.family)
        return read(value) if read else value


def store(connection: Connection) -> SQLite | PostgreSQL:
    """Return the database behind a connection."""
    return SQLite(connection) if connection.dialect.name == "sqlite" else PostgreSQL(connection)


_READERS: dict[str, Any] = {
    "integer": int,
    "numeric": Decimal,
    "float": float,
    "boolean": lambda text: text == "true",
    "binary": lambda text: bytes.fromhex(text.removeprefix("\\x")),
}


def quoted(name: str) -> str:
    """Return a name in quotes, which both databases read as it is."""
    return '"' + name.replace('"', '""') + '"'


def named(namespace: str | None, name: str) -> str:
    """Return the full name of a table or a constraint."""
    return f"{quoted(namespace)}.{quoted(name)}" if namespace else quoted(name)


def said(error: BaseException | None) -> str:
    """Return the first line of what the database said by an error of its driver."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(primary or error).strip().partition("\n")[0]


def blamed(error: Exception, plan: TablePlan) -> frozenset[str]:
    """Return the columns that an error is about, all that are not foreign keys if it names none."""
    text, words = said(error), {column.word for column in plan.columns if not column.left_out}
    found: set[str] = set()
    for it in plan.table.constraints:
        if it.name and (f'"{it.name}"' in text or text.endswith(f": {it.name}")):
            about = set(it.columns) or _words_in(it.definition)
            found |= {word.lower() for word in about}
    for index in plan.table.indexes:
        if f'"{index.name}"' in text or f"'{index.name}'" in text:
            found |= _words_in(index.definition)
    column = _COLUMN.search(text)
    failed = _FAILED.search(text)
    if column:
        found.add(column[1].lower())
    elif failed and not found:
        found = _words_in(failed[1] or failed[2])
    if not found & words:
        found = {it.word for it in plan.columns if it.kind.checks and f" {it.kind.name} " in text}
    linked = {it.word for link in plan.links for it in link.columns}
    return frozenset(found & words) or frozenset(words - linked) or frozenset(words)


def _words_in(text: str) -> set[str]:
    return {token.text.lower() for token in tokenize(text, Syntax.SQLITE) if token.kind in {Kind.WORD, Kind.NAME}}


def _alike(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows up to the first that fills other columns than they do."""
    for row in rows:
        if row.keys() != rows[0].keys():
            return
        yield row


def _plain(value: Value) -> Any:
    """Return a value as SQLite's driver takes it, numbers as SQLAlchemy stores them."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return int(value) if isinstance(value, bool) else value


def _literal(row: Row, column: ColumnPlan) -> str:
    """Return a value as text whose type the column decides; the E form does not depend on any setting."""
    if column.word not in row or column.left_out:
        return "DEFAULT"
    value = row[column.word]
    if value is None:
        return "NULL"
    text = unique_values.literal(value)
    if "\\" in text or "'" in text:
        text = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{text}'"
