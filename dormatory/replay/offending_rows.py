"""Finds the rows that a leg failed on, from its error, and deletes them for another attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from dormatory.backends.driver import execute_verbatim
from dormatory.backends.registry import backend_by_name, dialect_by_name
from dormatory.backends.violation import unquoted_name
from dormatory.recording.offending_rows import OffendingRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from dormatory.backends.violation import Violation
    from dormatory.errors.location import Location
    from dormatory.schema.snapshot import Snapshot
    from dormatory.sql.dialect import Dialect

MAX_SHOWN_KEYS = 10
_MAX_DEPTH = 4  # of tables that refer to each other


@dataclass(frozen=True, slots=True)
class StatementFailure:
    """A statement, the error of its driver, and what rows violate it, if the database can say that after the error."""

    sql: str
    error: BaseException
    location: Location
    violation: Violation | None = None
    rows: OffendingRows | None = None


def offending_rows_of(connection: Connection, failed: StatementFailure) -> OffendingRows | None:
    """Return the rows that a statement failed on, None if that is unknown.

    The connection sees the database as it was before the leg. Where the rows are not there, because one transaction
    holds all legs, they are those that the failed statement met.
    """
    raw: Any = connection.connection
    driver_error: type[Exception] = connection.dialect.loaded_dbapi.Error
    violation = failed.violation
    try:
        if violation is None:
            find_violation = backend_by_name(connection.dialect.name).violations.find_violation
            violation = find_violation(failed.error, failed.sql, raw)
        if violation is None:
            return None
        found = query_offending_rows(violation, raw, show_values=False)
    except driver_error:
        found = None
    finally:
        connection.rollback()
    if violation is None:
        return None
    unknown = OffendingRows(violation.rule, violation.display_name, violation.columns, 0)
    return next((rows for rows in (found, failed.rows) if rows and rows.count), unknown)


def delete_offending_rows(connection: Connection, schema: Snapshot, offending: Sequence[OffendingRows]) -> None:
    """Delete rows and those that refer to them; where the database refuses that, they stay."""
    dialect = dialect_by_name(connection.dialect.name)
    for rows in offending:
        try:
            with connection.begin_nested():
                for statement in _delete_statements(schema, dialect, rows.source, rows.condition):
                    execute_verbatim(connection, statement)
        except DBAPIError:
            continue


def _delete_statements(
    schema: Snapshot, dialect: Dialect, source: str, condition: str, depth: int = 0
) -> Iterator[str]:
    """Yield what deletes the rows of a table, those that refer to them first."""
    name = unquoted_name(source.rpartition(".")[2])
    links = [(table, it) for table in schema.tables for it in table.constraints if it.references]
    for table, constraint in links if depth < _MAX_DEPTH else ():
        if constraint.references and constraint.references.table == name:
            columns = ", ".join(f"c.{dialect.quote_identifier(it)}" for it in constraint.columns)
            parents = ", ".join(f"c.{dialect.quote_identifier(it)}" for it in constraint.references.columns)
            child = dialect.qualified_name(table.namespace, table.name)
            referring = f"({columns}) IN (SELECT {parents} FROM {source} AS c WHERE {condition})"  # noqa: S608  # quoted
            yield from _delete_statements(schema, dialect, child, referring, depth + 1)
    yield f"DELETE FROM {source} AS c WHERE {condition}"  # noqa: S608  # of the failed statement's own words


def query_offending_rows(violation: Violation, raw: Any, *, show_values: bool) -> OffendingRows:
    """Count the rows that violate something, and read the keys of the first ones if they may be shown."""
    rule, table, columns = violation.rule, violation.display_name, violation.columns
    if not violation.condition:
        return OffendingRows(rule, table, columns, 1)
    names = (
        *violation.key_columns,
        *(name for name in columns if name not in violation.key_columns and violation.has_column(name)),
    )
    cursor = raw.cursor()
    try:
        cursor.execute(violation.count_query)
        count = int(cursor.fetchone()[0])
        keys: tuple[str, ...] = ()
        if show_values:
            cursor.execute(violation.keys_query(names, MAX_SHOWN_KEYS))
            keys = tuple(
                ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
                for row in cursor.fetchall()
            )
    finally:
        cursor.close()
    query = violation.keys_query(violation.key_columns)
    found = OffendingRows(rule, table, columns, count, keys, violation.key_columns, query)
    return replace(found, source=violation.table, condition=violation.condition)
