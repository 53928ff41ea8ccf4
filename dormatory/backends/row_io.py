"""Read and insert the rows of one connected database, through its driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from dormatory.backends.driver import open_cursor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import TableId
    from dormatory.sql.dialect import Dialect

    TypedColumn: TypeAlias = tuple[str, str]  # name, and family of the values' type

_SAVEPOINT = "dormatory_rows"


class CellForm(Enum):
    """The form in which a cell arrives that was selected with `select_expression`."""

    STORED = "stored"  # as the database stores it, whatever the column is declared as
    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    BINARY = "binary"  # hexadecimal digits
    JSON = "json"
    TIMESTAMP = "timestamp"
    UTC_TIMESTAMP = "UTC timestamp"


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows of one table as its database stores them; `RowWriter.replace_rows` can put them back."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class RowWriter(ABC):
    """One connected database, in the transaction of the caller."""

    dialect: ClassVar[Dialect]

    def __init__(self, connection: Connection) -> None:
        self._cursor = open_cursor(connection)
        self.error: type[Exception] = connection.dialect.loaded_dbapi.Error
        """What the driver raises."""

    @abstractmethod
    def insert(self, table: TableId, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows, and return how many were kept; a row without a column gets the column's default."""

    @abstractmethod
    def defer(self, constraints: Sequence[TableId]) -> None:
        """Let foreign keys, given by namespace and name, wait until the transaction ends."""

    @abstractmethod
    def check_deferred(self) -> None:
        """Check the foreign keys that wait."""

    @abstractmethod
    def stored_rows(self) -> dict[TableId, StoredRows]:
        """Return the rows of all tables that hold any."""

    @abstractmethod
    def replace_rows(self, tables: Sequence[TableId], stored: Mapping[TableId, StoredRows]) -> None:
        """Empty tables and insert their stored rows; no trigger fires, and foreign keys are not checked meanwhile.

        Where `foreign_keys_act` is true, other tables lose the rows that refer to those that are deleted.
        """

    @property
    def foreign_keys_act(self) -> bool:
        """Whether foreign keys with actions act in `replace_rows`."""
        return False

    @abstractmethod
    def names_in_error(self, message: str) -> str:
        """Return the part of an error message that names columns, "" if there is none."""

    def advance_counter(self, table: TableId, column: str, default: str | None, first_key: int) -> None:  # noqa: B027
        """Let the counter of a column go on behind the rows that were inserted with keys from `first_key` on.

        A counter that was behind the other rows stays so. Nothing is to be done where the database sees to it.
        """

    def close(self) -> None:
        """Close the driver's cursor."""
        self._cursor.close()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Roll back what was done in the block if it raises."""
        self._execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield
        except BaseException:
            self._execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            self._execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            raise
        self._execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    def count(self, table: TableId) -> int:
        """Return how many rows a table holds."""
        ((count,),) = self._query(f"SELECT count(*) FROM {self.dialect.qualified_name(*table)}")  # noqa: S608  # names are quoted
        return int(count)

    def values(self, table: TableId, columns: Sequence[TypedColumn]) -> list[tuple[Any, ...]]:
        """Return the values of these columns in all rows."""
        return self._select(f"{self._select_list(columns)} FROM {self.dialect.qualified_name(*table)}", columns)

    def distinct_values(self, table: TableId, columns: Sequence[TypedColumn], limit: int) -> list[tuple[Any, ...]]:
        """Return the different values of these columns where none is NULL, in order, at most `limit` of them."""
        is_not_null = " AND ".join(f"{self.dialect.quote_identifier(name)} IS NOT NULL" for name, _ in columns)
        places = ", ".join(str(place + 1) for place in range(len(columns)))
        source = f"{self.dialect.qualified_name(*table)} WHERE {is_not_null} ORDER BY {places} LIMIT {limit}"
        return self._select(f"DISTINCT {self._select_list(columns)} FROM {source}", columns)

    def _select(self, query: str, columns: Sequence[TypedColumn]) -> list[tuple[Any, ...]]:
        rows = self._query(f"SELECT {query}")
        return [
            tuple(self._python_value(value, family) for value, (_, family) in zip(row, columns, strict=True))
            for row in rows
        ]

    def _select_list(self, columns: Sequence[TypedColumn]) -> str:
        return ", ".join(self._select_expression(name) for name, _ in columns)

    def _select_expression(self, name: str) -> str:
        return self.dialect.quote_identifier(name)

    def _python_value(self, value: Any, family: str) -> Any:  # noqa: ARG002
        return value

    def _execute(self, statement: str, parameters: Any = None) -> int:
        """Send a statement as it is, or once for each set of parameters; return how many rows it wrote."""
        if parameters is not None:
            self._cursor.executemany(statement, parameters)
        else:
            self._cursor.execute(statement)
        return int(self._cursor.rowcount)

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(statement)
        return list(self._cursor.fetchall())


def driver_message(error: BaseException | None) -> str:
    """Return the first line of a driver's error."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(primary or error).strip().partition("\n")[0]
