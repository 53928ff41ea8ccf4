"""The differences between a SQLite and a PostgreSQL schema that are more than spelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.schema.describe import column_summary
from dormatory.schema.portable import PortableColumn, PortablePart, PortableTable, portable_tables
from dormatory.sql.types import is_equivalent_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dormatory.schema.snapshot import Snapshot
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.normal_form import Node

_MAX_CHARACTERS = 100
_ANY = "any"  # values that nothing restricts
_CHARACTER_TYPES = frozenset({"text", "varchar", "char"})


@dataclass(frozen=True, slots=True)
class ParityDifference:
    """One way in which one object differs; `sqlite` or `postgresql` is None if the object is missing there.

    `name` is what people call the object: its own name, or for a column `table.column`.
    """

    table: str
    name: str
    object: str
    aspect: str  # type, default, check, ...; "" where the object itself is missing
    sqlite: str | None
    postgresql: str | None

    @property
    def is_unchecked_enumeration(self) -> bool:
        """Whether a column takes the values of an enumeration on PostgreSQL, and any text on SQLite."""
        return self.aspect == "values" and self.sqlite == _ANY

    def __str__(self) -> str:
        """Return the difference as one sentence."""
        if self.sqlite is None or self.postgresql is None:
            side, text = ("SQLite", self.sqlite) if self.postgresql is None else ("PostgreSQL", self.postgresql)
            return f"{self.object}: only on {side}{f' ({_truncate(text)})' if text else ''}"
        aspect = f"{self.aspect} " if self.aspect else ""
        on_sqlite, on_postgresql = _truncate(self.sqlite), _truncate(self.postgresql)
        return f"{self.object}: {aspect}{on_sqlite} on SQLite, {on_postgresql} on PostgreSQL"


def _truncate(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"


def parity_differences(
    sqlite: Snapshot, postgresql: Snapshot, dialects: tuple[Dialect, Dialect]
) -> Iterator[ParityDifference]:
    """Yield the differences between two schemas, table by table; `dialects` are those of the two snapshots.

    Compared are tables, columns with type, nullability, default, numbering, generation and collation, primary keys,
    uniqueness, foreign keys with their actions, CHECKs, indexes, and the presence of views and triggers.  Names of
    constraints, order of columns, comments, storage and what only PostgreSQL can have (functions, policies, sequences,
    the type behind an enumeration) make no difference.
    """
    sqlite_tables, postgresql_tables = map(portable_tables, (sqlite, postgresql), dialects)
    for name in sorted(sqlite_tables.keys() | postgresql_tables.keys()):
        yield from _table_differences(name, sqlite_tables.get(name), postgresql_tables.get(name))
    sqlite_views = {view.name.lower() for view in sqlite.views}
    postgresql_views = {view.name.lower() for view in postgresql.views}
    for name in sorted(sqlite_views ^ postgresql_views):
        yield ParityDifference(name, name, f"view {name}", "", *_presence(name in sqlite_views))


def _table_differences(
    name: str, sqlite: PortableTable | None, postgresql: PortableTable | None
) -> Iterator[ParityDifference]:
    label = f"table {name}"
    if sqlite is None or postgresql is None:
        yield ParityDifference(name, name, label, "", *_presence(sqlite is not None))
        return
    if sqlite.kind != postgresql.kind:
        yield ParityDifference(name, name, label, "kind", sqlite.kind, postgresql.kind)
        return
    if sqlite.primary_key != postgresql.primary_key:
        keys = [", ".join(side.primary_key) or "none" for side in (sqlite, postgresql)]
        yield ParityDifference(name, name, label, "primary key", *keys)
    yield from _column_differences(sqlite, postgresql)
    if sqlite.has_unread_constraints:
        yield ParityDifference(name, name, label, "constraints", "not understood", "known")
    else:
        yield from _part_differences(sqlite, postgresql)
    for trigger in sorted({*sqlite.triggers} ^ {*postgresql.triggers}):
        yield ParityDifference(
            name, trigger, f"trigger {trigger} on {name}", "", *_presence(trigger in sqlite.triggers)
        )


def _presence(is_on_sqlite: bool) -> tuple[str | None, str | None]:  # noqa: FBT001  # it has no other parameter
    return ("", None) if is_on_sqlite else (None, "")


def _column_differences(sqlite: PortableTable, postgresql: PortableTable) -> Iterator[ParityDifference]:
    sqlite_columns, postgresql_columns = (
        {column.name: column for column in side.columns} for side in (sqlite, postgresql)
    )
    for name in sorted(sqlite_columns.keys() | postgresql_columns.keys()):
        label = f"{sqlite.name}.{name}"
        if name in sqlite_columns and name in postgresql_columns:
            for aspect, on_sqlite, on_postgresql in _differing_aspects(
                sqlite_columns[name], postgresql_columns[name], sqlite.parts
            ):
                yield ParityDifference(sqlite.name, label, f"column {label}", aspect, on_sqlite, on_postgresql)
        else:
            sides = [
                column_summary(side[name].source) if name in side else None
                for side in (sqlite_columns, postgresql_columns)
            ]
            yield ParityDifference(sqlite.name, label, f"column {label}", "", *sides)


def _differing_aspects(
    sqlite: PortableColumn, postgresql: PortableColumn, parts: Sequence[PortablePart]
) -> Iterator[tuple[str, str, str]]:
    """Yield each way in which a column differs: the aspect, and the text of either side."""
    sqlite_source, postgresql_source = sqlite.source, postgresql.source
    if not _is_same_type(sqlite, postgresql, parts):
        yield "type", sqlite_source.type or "none", postgresql_source.type
    elif postgresql.values is not None and (values := _allowed_values(sqlite.name, parts)) != set(postgresql.values):
        yield "values", ", ".join(sorted(values)) or _ANY, ", ".join(sorted(postgresql.values))
    if sqlite.nullable != postgresql.nullable:
        yield "nullability", _nullability(sqlite), _nullability(postgresql)
    if sqlite.generated != postgresql.generated:
        yield "generated as", sqlite_source.generated or "nothing", postgresql_source.generated or "nothing"
    elif sqlite.autoincrement not in {None, postgresql.autoincrement}:
        yield "numbering", _autoincrement_text(sqlite), _autoincrement_text(postgresql)
    elif sqlite.default != postgresql.default:
        yield "default", sqlite_source.default or "none", postgresql_source.default or "none"
    if sqlite.collation != postgresql.collation:
        yield "collation", sqlite.collation or "the usual", postgresql.collation or "the usual"


def _nullability(column: PortableColumn) -> str:
    return "NULL" if column.nullable else "NOT NULL"


def _autoincrement_text(column: PortableColumn) -> str:
    return "by the database" if column.autoincrement else "none"


def _is_same_type(sqlite: PortableColumn, postgresql: PortableColumn, parts: Sequence[PortablePart]) -> bool:
    if postgresql.values is not None:
        return sqlite.type.partition("(")[0] in _CHARACTER_TYPES
    if postgresql.type == "json" and sqlite.type == "text":
        return any(part.meaning == _json_check(sqlite.name) for part in parts)
    return is_equivalent_type(sqlite.type, postgresql.type)


def _json_check(column: str) -> Node:
    return ("call", "json_valid", ("name", column))


def _allowed_values(column: str, parts: Iterable[PortablePart]) -> set[str]:
    """Return the values that a CHECK allows in a column on SQLite; empty if there is no such CHECK."""
    for part in parts:
        if _is_value_list(part, column):
            return {str(item[1]) for item in part.meaning[2:]}
    return set()


def _is_value_list(part: PortablePart, column: str) -> bool:
    return part.kind == "check" and part.meaning[0] in {"in", "="} and part.meaning[1] == ("name", column)


def _part_differences(sqlite: PortableTable, postgresql: PortableTable) -> Iterator[ParityDifference]:
    implied = {part for column in postgresql.columns for part in sqlite.parts if _is_implied_by_type(part, column)}
    sqlite_parts = [part for part in sqlite.parts if part not in implied]
    for sqlite_part, postgresql_part in _pair_unequal_parts(sqlite_parts, postgresql.parts):
        part = postgresql_part or sqlite_part
        if part is None:
            continue
        name = part.name or (sqlite_part.name if sqlite_part else None)
        yield ParityDifference(
            sqlite.name,
            name or sqlite.name,
            f"{part.kind} {name} on {sqlite.name}" if name else f"table {sqlite.name}",
            "" if name else part.kind,
            sqlite_part.text if sqlite_part else None,
            postgresql_part.text if postgresql_part else None,
        )


def _is_implied_by_type(part: PortablePart, column: PortableColumn) -> bool:
    """Return whether a CHECK on SQLite does what the type of its column does on PostgreSQL."""
    name: Node = ("name", column.name)
    if column.values is not None:
        return _is_value_list(part, column.name)  # whether the values are equal is compared as an aspect of the column
    if column.type == "boolean":
        return part.meaning == ("in", name, ("number", "0"), ("number", "1"))
    if column.type == "json":
        return part.meaning == _json_check(column.name)
    length = column.type.removeprefix("varchar(").removesuffix(")")
    return part.meaning == ("<=", ("call", "length", name), ("number", length))


def _pair_unequal_parts(
    sqlite_parts: Sequence[PortablePart], postgresql_parts: Sequence[PortablePart]
) -> Iterator[tuple[PortablePart | None, PortablePart | None]]:
    """Yield the parts without an equal on the other side, in pairs where two are meant to be the same."""
    sqlite_meanings = {part.meaning for part in sqlite_parts}
    postgresql_meanings = {part.meaning for part in postgresql_parts}
    left = [part for part in sqlite_parts if part.meaning not in postgresql_meanings]
    right = [part for part in postgresql_parts if part.meaning not in sqlite_meanings]
    for pairing_key in _PAIRING_KEYS:
        for part in tuple(left):
            found = next(
                (other for other in right if pairing_key(part) and pairing_key(part) == pairing_key(other)), None
            )
            if found is not None:
                left.remove(part)
                right.remove(found)
                yield part, found
    yield from ((part, None) for part in left)
    yield from ((None, part) for part in right)


# By name; then by kind and columns, because a part needs no name on SQLite.
_PAIRING_KEYS: tuple[Callable[[PortablePart], object], ...] = (
    lambda part: part.name and part.name.lower(),
    lambda part: part.columns and (part.kind, part.columns),
)
