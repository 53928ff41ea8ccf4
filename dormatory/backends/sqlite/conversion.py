"""From one type to another on SQLite, where CAST makes 0 of a text and a year of a date, without any error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.sqlite.dialect import DIALECT
from dormatory.schema.alteration import TypeConversion
from dormatory.sql.literals import quote_literal
from dormatory.sql.types import NUMBER_FAMILIES, portable_type

if TYPE_CHECKING:
    from dormatory.schema.snapshot import Table

_TEXTS = frozenset({"text", "varchar", "char"})
_MOMENTS = frozenset({"date", "timestamp", "time"})
_MIDNIGHT = "00:00:00.000000"  # as SQLAlchemy stores it


def type_conversion(table: Table, column: str, new_type: str) -> TypeConversion | None:
    """Return how a column takes another type without a wrong value (see parts.Alter)."""
    old_type = next(it.type for it in table.columns if it.name == column)
    name = DIALECT.quote_identifier(column)
    found = _values(name, _family(old_type), _family(new_type))
    if found is None:
        return None
    values, unfit = found
    if not unfit:
        return TypeConversion(values)
    message = quote_literal(f"{table.name}.{column} holds values that {new_type} would change")
    rows = f"{DIALECT.quote_identifier(table.name)} WHERE {name} IS NOT NULL AND ({unfit})"
    # A wrong path is an error, with the path in its text.
    return TypeConversion(values, f"SELECT json_extract('{{}}', {message}) FROM {rows}")  # noqa: S608  # quoted


def _values(name: str, old: str, new: str) -> tuple[str, str] | None:
    """Return the values of a column in another family of types, and the condition for those that would change."""
    if old == new or not {old, new} & (_MOMENTS | NUMBER_FAMILIES):
        return None
    found: tuple[str, str] | None = (name, "") if new in _MOMENTS else None
    if old in _TEXTS and new == "integer":
        found = f"CAST({name} AS INTEGER)", f"CAST(CAST({name} AS INTEGER) AS TEXT) <> {name}"
    elif old in _TEXTS and new in NUMBER_FAMILIES:
        found = f"CAST({name} AS NUMERIC)", f"NOT json_valid({name}) OR json_type({name}) NOT IN ('integer', 'real')"
    elif old in NUMBER_FAMILIES and new == "integer":
        found = f"CAST({name} AS INTEGER)", f"{name} <> CAST({name} AS INTEGER)"
    elif old in _TEXTS and new in _MOMENTS:
        found = name, f"{'datetime' if new == 'timestamp' else new}({name}) IS NULL"
    elif (old, new) == ("timestamp", "date"):
        found = f"date({name})", f"substr({name}, 12) NOT IN ('', '00:00:00', '{_MIDNIGHT}')"
    elif (old, new) == ("date", "timestamp"):
        found = f"{name} || ' {_MIDNIGHT}'", ""
    return found


def _family(declared: str) -> str:
    return portable_type(declared).partition("(")[0]
