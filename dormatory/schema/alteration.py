"""Statements that turn one structure into another, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dormatory.schema.snapshot import TableId

ColumnId: TypeAlias = tuple[TableId, str]
# For a column of the new structure, the expression over the old columns of its table that gives its values.
Conversions: TypeAlias = Mapping[ColumnId, str]


@dataclass(frozen=True, slots=True)
class AlterStatement:
    """A statement that changes the structure of a database; an `is_online` one must run outside a transaction."""

    sql: str
    is_online: bool = False


@dataclass(frozen=True, slots=True)
class TypeConversion:
    """How values of a column take another type, where a backend does not do it right by itself.

    `expression` gives the values; `guard` is a statement that fails where a row has a value that would become another.
    """

    expression: str
    guard: str = ""
