"""From one type to another: whether PostgreSQL converts values by itself, and the cast where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.schema.alteration import TypeConversion

if TYPE_CHECKING:
    from dormatory.schema.snapshot import Table

_STRINGS = frozenset({"text", "character varying", "character", "name", '"char"', "citext"})
_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision", "oid", "money"})
_MOMENT = "timestamp with time zone"
_TIMES = frozenset({"date", "timestamp without time zone", _MOMENT})
_ASSIGNED = (
    _STRINGS - {'"char"'},
    frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    _TIMES,
    frozenset({"json", "jsonb"}),
    frozenset({"bit", "bit varying"}),
    frozenset({"inet", "cidr"}),
    frozenset({"time without time zone", "time with time zone"}),
    frozenset({"macaddr", "macaddr8"}),
)
_ASSIGNED_PAIRS = frozenset(
    {
        *((one, "time without time zone") for one in _TIMES - {"date"}),
        ("timestamp with time zone", "time with time zone"),
        ("interval", "time without time zone"),
        ("time without time zone", "interval"),
    }
)


def using_clause(column: str, old: str, new: str, *, is_exchanged: bool = False) -> str:
    """Return the USING of a change of type, "" where PostgreSQL converts by assignment.

    An assignment refuses a text that is too long, which a cast would cut. `is_exchanged` says that the type is another
    one of the same name.
    """
    if not is_exchanged and has_assignment_cast(old, new):
        return ""
    return f" USING {cast_expression(column, old, new, is_exchanged=is_exchanged)}"


def has_assignment_cast(old: str, new: str) -> bool:
    """Return whether PostgreSQL converts a value of a type on its own when it is stored in a column of another."""
    if old.endswith("[]") and new.endswith("[]"):
        return has_assignment_cast(old.removesuffix("[]"), new.removesuffix("[]"))
    one, other = _without_modifier(old), _without_modifier(new)
    if one == other or other in _STRINGS - {'"char"'}:
        return True
    return (one, other) in _ASSIGNED_PAIRS or any({one, other} <= group for group in _ASSIGNED)


def cast_expression(column: str, old: str, new: str, *, is_exchanged: bool = False) -> str:
    """Return the value of a column as another type; by its text where there is no cast."""
    one, other = _without_modifier(old), _without_modifier(new)
    if is_exchanged:
        return f"{column}::text{'[]' * new.endswith('[]')}::{new}"
    if one in _NUMBERS and other == "boolean":
        return f"{column} <> 0"
    if one == "boolean" and other in _NUMBERS:
        return f"{column}::integer" + f"::{new}" * (other != "integer")
    if has_assignment_cast(old, new) or one in _STRINGS:
        return f"{column}::{new}"
    return f"{column}::text::{new}"


def _without_modifier(type_: str) -> str:
    """Return a type without its length or precision, which stands in the middle of some names."""
    if type_.endswith("[]"):
        return type_
    head, _, rest = type_.partition("(")
    return head.strip() + rest.partition(")")[2] if rest else type_


def type_conversion(table: Table, column: str, new_type: str) -> TypeConversion | None:
    """Return how a moment gets or loses its time zone; all else the server converts or refuses (see parts.Alter).

    It would take the time zone of the session. UTC is the one in which SQLAlchemy's users store moments without one.
    """
    old_type = next(it.type for it in table.columns if it.name == column)
    old, new = _without_modifier(old_type), _without_modifier(new_type)
    if not {old, new} <= _TIMES or (old == _MOMENT) == (new == _MOMENT):
        return None
    name = DIALECT.quote_identifier(column)
    return TypeConversion(f"{name}{'::timestamp' * (old == 'date')} AT TIME ZONE 'UTC'")
