"""Column types in portable form: types that are the same to an application have one name on all backends."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.sql.dialect import Dialect

_FAMILIES = {
    "integer": "int, int2, int4, int8, integer, smallint, mediumint, bigint, tinyint, serial, bigserial, smallserial",
    "float": "real, float, float4, float8, double, double precision",
    "numeric": "numeric, decimal",
    "boolean": "boolean, bool",
    "varchar": "varchar, character varying, nvarchar, varying character",
    "char": "char, character, nchar, bpchar",
    "text": "text, clob",
    "binary": "bytea, blob, binary, varbinary",
    "json": "json, jsonb",
    "timestamp": "datetime, timestamp, timestamptz, timestamp with time zone, timestamp without time zone",
    "time": "time, timetz, time with time zone, time without time zone",
}
_FAMILY_BY_NAME = {name: family for family, names in _FAMILIES.items() for name in names.split(", ")}
# The width of an integer and the precision of a timestamp or a float do not mean the same on both backends.
_WITHOUT_MODIFIERS = frozenset({"integer", "float", "boolean", "text", "json", "timestamp", "time"})
_DECLARED_TYPE = re.compile(r"([^(]*)(?:\(([^)]*)\))?([^()\[]*)((?:\[\d*\])*)")

NUMBER_FAMILIES = frozenset({"integer", "float", "numeric"})
# A comparison or a function that needs text or an exact number converts its operand, with or without a cast.
REDUNDANT_CAST_TYPES = frozenset({"text", "char", "numeric", "float"})
# What SQLAlchemy or people use on SQLite for a type that it lacks.
_SUBSTITUTES = {
    "uuid": frozenset({"char(32)", "char(36)", "varchar(32)", "varchar(36)", "binary(16)"}),
    "interval": frozenset({"timestamp"}),  # SQLAlchemy stores it as a moment, counted from 1970
}
# The rules of SQLite, in their order; a type without any of these words has the affinity NUMERIC.
_AFFINITIES = (
    (("INT",), "INTEGER"),
    (("CHAR", "CLOB", "TEXT"), "TEXT"),
    (("BLOB",), "BLOB"),
    (("REAL", "FLOA", "DOUB"), "REAL"),
)


@lru_cache(maxsize=4096)
def portable_type(declared: str) -> str:
    """Return the family of a type, with the modifiers that count: length, precision and scale."""
    found = _DECLARED_TYPE.fullmatch(" ".join(declared.lower().replace('"', "").split()))
    if not found:
        return declared.lower()
    words, modifiers, tail, brackets = (part or "" for part in found.groups())
    name = " ".join(f"{words} {tail}".split())
    family = _FAMILY_BY_NAME.get(name, name)
    numbers = [number for number in re.split(r"[, ]+", modifiers) if number]
    if family == "numeric" and numbers[1:] == ["0"]:
        del numbers[1:]
    if family == "varchar" and not numbers:
        family = "text"
    if family == "char" and not numbers and "bpchar" not in name:
        numbers = ["1"]
    kept = f"({', '.join(numbers)})" if numbers and family not in _WITHOUT_MODIFIERS else ""
    return family + kept + "[]" * bool(brackets)


def is_equivalent_type(sqlite: str, postgresql: str) -> bool:
    """Return whether a portable type of SQLite and one of PostgreSQL are the same to an application."""
    return sqlite == postgresql or sqlite in _SUBSTITUTES.get(postgresql, ())


def is_same_declared_type(one: str, other: str, dialect: Dialect) -> bool:
    """Return whether two types of one backend, as declared, make the same column.

    Where a column holds any value, a type is no more than an affinity (https://sqlite.org/datatype3.html) and a promise
    to readers: they are the same if both agree, and a length counts where both have one.
    """
    if one == other or dialect.has_static_types:
        return one == other
    if _affinity(one) != _affinity(other):
        return False
    if portable_type(one) == portable_type(other):
        return True
    lengths = varchar_length(one), varchar_length(other)
    return "" in lengths and None not in lengths


def varchar_length(declared: str) -> str | None:
    """Return the length of a VARCHAR, "" if it has none; None for another type."""
    name, _, length = declared.lower().partition("(")
    return length.rstrip(" )") if _FAMILY_BY_NAME.get(name.strip()) == "varchar" else None


def _affinity(declared: str) -> str:
    name = declared.upper()
    return next((affinity for words, affinity in _AFFINITIES if any(word in name for word in words)), "NUMERIC")
