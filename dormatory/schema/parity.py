"""The differences between a SQLite and a PostgreSQL schema in portable terms: what is more than spelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.schema.describe import outline
from dormatory.schema.portable import PortableColumn, PortablePart, PortableTable, portable_tables
from dormatory.sql.lexer import Syntax
from dormatory.sql.types import stands_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dormatory.schema.snapshot import Snapshot
    from dormatory.sql.normal_form import Node

_LONG = 100  # characters
_OF_CHARACTERS = frozenset({"text", "varchar", "char"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which one object differs; `sqlite` and `postgresql` are None where it is not there at all.

    `name` is what people call the object: its own name, or for a column `table.column`.
    """

    table: str
    name: str
    object: str
    aspect: str  # type, default, check, ...; "" where the object itself is missing
    sqlite: str | None
    postgresql: str | None

    def __str__(self) -> str:
        """Say it in one sentence."""
        if self.sqlite is None or self.postgresql is None:
            side, there = ("SQLite", self.sqlite) if self.postgresql is None else ("PostgreSQL", self.postgresql)
            return f"{self.object}: only on {side}{f' ({_shortened(there)})' if there else ''}"
        aspect = f"{self.aspect} " if self.aspect else ""
        here, there = _shortened(self.sqlite), _shortened(self.postgresql)
        return f"{self.object}: {aspect}{here} on SQLite, {there} on PostgreSQL"


def _shortened(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def differences(sqlite: Snapshot, postgresql: Snapshot) -> Iterator[Difference]:
    """Yield what the two schemas do not have in common, table by table.

    Compared are tables, columns with type, nullability, default, numbering, generation and collation, primary keys,
    uniqueness, foreign keys with their actions, CHECKs, indexes, and the presence of views and triggers.  Names of
    constraints, order of columns, comments, storage and what only PostgreSQL can have (functions, policies, sequences,
    the type behind an enumeration) make no difference.
    """
    ours, theirs = portable_tables(sqlite, Syntax.SQLITE), portable_tables(postgresql, Syntax.POSTGRESQL)
    for name in sorted(ours.keys() | theirs.keys()):
        yield from _table(name, ours.get(name), theirs.get(name))
    ours_viewed = {view.name.lower() for view in sqlite.views}
    theirs_viewed = {view.name.lower() for view in postgresql.views}
    for name in sorted(ours_viewed ^ theirs_viewed):
        yield Difference(name, name, f"view {name}", "", *_presence(name in ours_viewed))


def _table(name: str, ours: PortableTable | None, theirs: PortableTable | None) -> Iterator[Difference]:
    said = f"table {name}"
    if ours is None or theirs is None:
        yield Difference(name, name, said, "", *_presence(ours is not None))
        return
    if ours.kind != theirs.kind:
        yield Difference(name, name, said, "kind", ours.kind, theirs.kind)
        return
    if ours.primary_key != theirs.primary_key:
        keys = [", ".join(side.primary_key) or "none" for side in (ours, theirs)]
        yield Difference(name, name, said, "primary key", *keys)
    yield from _columns(ours, theirs)
    if ours.unread:
        yield Difference(name, name, said, "constraints", "not understood", "known")
    else:
        yield from _parts(ours, theirs)
    for trigger in sorted({*ours.triggers} ^ {*theirs.triggers}):
        yield Difference(name, trigger, f"trigger {trigger} on {name}", "", *_presence(trigger in ours.triggers))


def _presence(here: bool) -> tuple[str | None, str | None]:  # noqa: FBT001  # the claim is all there is to pass
    return ("", None) if here else (None, "")


def _columns(ours: PortableTable, theirs: PortableTable) -> Iterator[Difference]:
    mine, others = ({column.name: column for column in side.columns} for side in (ours, theirs))
    for name in sorted(mine.keys() | others.keys()):
        said = f"{ours.name}.{name}"
        if name in mine and name in others:
            for aspect, here, there in _ways(mine[name], others[name], ours.parts):
                yield Difference(ours.name, said, f"column {said}", aspect, here, there)
        else:
            sides = [outline(side[name].source) if name in side else None for side in (mine, others)]
            yield Difference(ours.name, said, f"column {said}", "", *sides)


def _ways(mine: PortableColumn, other: PortableColumn, parts: Sequence[PortablePart]) -> Iterator[tuple[str, str, str]]:
    """Yield each way in which a column differs: the aspect, and what either side says."""
    here, there = mine.source, other.source
    if not _same_type(mine, other, parts):
        yield "type", here.type or "none", there.type
    elif other.values is not None and (values := _checked_values(mine.name, parts)) != set(other.values):
        yield "values", ", ".join(sorted(values)) or "any", ", ".join(sorted(other.values))
    if mine.nullable != other.nullable:
        yield "nullability", _nullability(mine), _nullability(other)
    if mine.generated != other.generated:
        yield "generated as", here.generated or "nothing", there.generated or "nothing"
    elif mine.numbered not in {None, other.numbered}:
        yield "numbering", _numbering(mine), _numbering(other)
    elif mine.default != other.default:
        yield "default", here.default or "none", there.default or "none"
    if mine.collation != other.collation:
        yield "collation", mine.collation or "the usual", other.collation or "the usual"


def _nullability(column: PortableColumn) -> str:
    return "NULL" if column.nullable else "NOT NULL"


def _numbering(column: PortableColumn) -> str:
    return "by the database" if column.numbered else "none"


def _same_type(mine: PortableColumn, other: PortableColumn, parts: Sequence[PortablePart]) -> bool:
    if other.values is not None:
        return mine.type.partition("(")[0] in _OF_CHARACTERS
    if other.type == "json" and mine.type == "text":
        return any(part.meaning == _is_json(mine.name) for part in parts)
    return stands_for(mine.type, other.type)


def _is_json(column: str) -> Node:
    return ("call", "json_valid", ("name", column))


def _checked_values(column: str, parts: Iterable[PortablePart]) -> set[str]:
    """Return the values that a CHECK of SQLite allows in a column, none if there is no such CHECK."""
    for part in parts:
        if _lists_values(part, column):
            return {str(item[1]) for item in part.meaning[2:]}
    return set()


def _lists_values(part: PortablePart, column: str) -> bool:
    return part.kind == "check" and part.meaning[0] in {"in", "="} and part.meaning[1] == ("name", column)


def _parts(ours: PortableTable, theirs: PortableTable) -> Iterator[Difference]:
    implied = {part for column in theirs.columns for part in ours.parts if _is_implied(part, column)}
    mine = [part for part in ours.parts if part not in implied]
    for here, there in _paired(mine, theirs.parts):
        part = there or here
        if part is None:
            continue
        name = part.name or (here.name if here else None)
        yield Difference(
            ours.name,
            name or ours.name,
            f"{part.kind} {name} on {ours.name}" if name else f"table {ours.name}",
            "" if name else part.kind,
            here.text if here else None,
            there.text if there else None,
        )


def _is_implied(part: PortablePart, column: PortableColumn) -> bool:
    """Tell whether a CHECK of SQLite says what the type of the column says on PostgreSQL."""
    name: Node = ("name", column.name)
    if column.values is not None:
        return _lists_values(part, column.name)  # whether they are the same values is asked elsewhere
    if column.type == "boolean":
        return part.meaning == ("in", name, ("number", "0"), ("number", "1"))
    if column.type == "json":
        return part.meaning == _is_json(column.name)
    length = column.type.removeprefix("varchar(").removesuffix(")")
    return part.meaning == ("<=", ("call", "length", name), ("number", length))


def _paired(
    mine: Sequence[PortablePart], others: Sequence[PortablePart]
) -> Iterator[tuple[PortablePart | None, PortablePart | None]]:
    """Yield the parts that have no equal on the other side, two together where they are meant to be the same one."""
    known, there = {part.meaning for part in others}, {part.meaning for part in mine}
    left = [part for part in mine if part.meaning not in known]
    right = [part for part in others if part.meaning not in there]
    for likeness in _LIKENESSES:
        for part in tuple(left):
            found = next((other for other in right if likeness(part) and likeness(part) == likeness(other)), None)
            if found is not None:
                left.remove(part)
                right.remove(found)
                yield part, found
    yield from ((part, None) for part in left)
    yield from ((None, part) for part in right)


# By name, then, since SQLite's need not have one, by kind and columns.
_LIKENESSES: tuple[Callable[[PortablePart], object], ...] = (
    lambda part: part.name and part.name.lower(),
    lambda part: part.about and (part.kind, part.about),
)
