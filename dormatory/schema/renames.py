"""Probable renames: pairs of a removed and an added object that differ only in their names."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dormatory.schema.snapshot import Column, Table

NamePairs = frozenset[tuple[str, str]]  # (name before, name after)
# The words of canonical text on any backend; the tokens of a dialect would lose how a name is quoted.
_WORDS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|[^\w\s]""")


def name_pairs(names: Iterable[tuple[str, str]]) -> NamePairs:
    """Return pairs of names for is_equal_after_renames(), in small letters, too, as texts of SQLite have them."""
    return frozenset(pair for old, new in names for pair in ((old, new), (old.lower(), new.lower())))


def is_equal_after_renames(before: Any, after: Any, renamed: NamePairs) -> bool:
    """Return whether two values are equal when the names in their texts are renamed."""
    if before == after:
        return True
    if not renamed or type(before) is not type(after):
        return False
    if isinstance(before, str):
        return _is_renamed_text(before, after, renamed)
    if isinstance(before, tuple):
        return len(before) == len(after) and all(map(is_equal_after_renames, before, after, [renamed] * len(before)))
    if is_dataclass(before):
        return all(
            is_equal_after_renames(getattr(before, it.name), getattr(after, it.name), renamed) for it in fields(before)
        )
    return False


def renamed_tables(removed: Sequence[Table], added: Sequence[Table]) -> list[tuple[Table, Table]]:
    """Return the pairs of tables that differ only in their names, if each has only one match."""
    candidates = [(old, new) for old in removed for new in added if old.columns and _is_same_table(old, new)]
    return _unambiguous_pairs(candidates)


def renamed_columns(before: Table, after: Table) -> list[tuple[Column, Column, str]]:
    """Return pairs of a removed and an added column with equal place, attributes and constraints, and the evidence."""
    old_names = [column.name for column in before.columns]
    new_names = [column.name for column in after.columns]
    old_slots = _slots(old_names, set(new_names))
    new_slots = {slot: name for name, slot in _slots(new_names, set(old_names)).items()}
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    found = [(old[name], new[new_slots[slot]]) for name, slot in old_slots.items() if slot in new_slots]
    while True:
        names = name_pairs((one.name, other.name) for one, other in found)
        kept = [(one, other) for one, other in found if is_same_column(one, other, names, before, after)]
        if len(kept) == len(found):
            return [(one, other, _column_evidence(one, before)) for one, other in kept]
        found = kept


def is_same_column(one: Column, other: Column, renamed: NamePairs, before: Table, after: Table) -> bool:
    """Return whether two columns are equal but for their names, with the constraints and indexes that name them."""
    return is_equal_after_renames(replace(one, name=other.name), other, renamed) and _has_same_parts(
        one.name, other.name, renamed, before, after
    )


def has_equal_parts_after_rename(old: Column, new: Column, before: Table, after: Table) -> bool:
    """Return whether constraints or indexes name a column, and equal ones name the other column after it."""
    names = name_pairs([(old.name, new.name)])
    return any(_has_word(text, old.name) for text in _part_definitions(before)) and _has_same_parts(
        old.name, new.name, names, before, after
    )


def table_evidence(table: Table) -> str:
    """Return why a table is probably renamed."""
    count = len(table.columns)
    return f"same {count} column{'s' * (count > 1)} and constraints"


def _column_evidence(column: Column, table: Table) -> str:
    words = f"same place, type {column.type or 'none'} and facts"
    mentions = sum(_has_word(text, column.name) for text in _part_definitions(table))
    parts = "constraint or index" if mentions == 1 else "constraints or indexes"
    return f"{words}, also in {mentions} {parts}" if mentions else words


def _is_renamed_text(before: str, after: str, renamed: NamePairs) -> bool:
    """Return whether two texts are the same word for word, apart from renamed names.

    PostgreSQL keeps the name that a column of a view had: `SELECT old` becomes `SELECT new AS old`.
    """
    if (before, after) in renamed:
        return True
    old, new = (_WORDS.findall(text) for text in (before, after))
    old_place = new_place = 0
    while old_place < len(old) and new_place < len(new):
        one, other = old[old_place].strip('"'), new[new_place].strip('"')
        old_place, new_place = old_place + 1, new_place + 1
        if one != other:
            if (one, other) not in renamed:
                return False
            old_place, new_place = _after_alias(old, old_place, other), _after_alias(new, new_place, one)
    return old_place == len(old) and new_place == len(new)


def _after_alias(words: Sequence[str], place: int, name: str) -> int:
    """Return the place after `AS name` if that comes next, else `place`."""
    alias = [word.strip('"') for word in words[place : place + 2]]
    return place + 2 if alias == ["AS", name] else place


def _is_same_table(before: Table, after: Table) -> bool:
    if before.namespace != after.namespace:
        return False
    renamed = name_pairs([(before.name, after.name)])
    return is_equal_after_renames(
        replace(_without_part_names(before), name=after.name), _without_part_names(after), renamed
    )


def _without_part_names(table: Table) -> Table:
    """Return a table without the names of its constraints and indexes: they often change with the table's name."""
    constraints = (replace(constraint, name=None) for constraint in table.constraints)
    indexes = (replace(index, name="") for index in table.indexes)
    return replace(
        table,
        constraints=tuple(sorted(constraints, key=lambda it: it.definition)),
        indexes=tuple(sorted(indexes, key=lambda it: it.definition)),
    )


def _unambiguous_pairs(pairs: list[tuple[Table, Table]]) -> list[tuple[Table, Table]]:
    return [
        (old, new)
        for old, new in pairs
        if sum(one is old for one, _ in pairs) == 1 and sum(other is new for _, other in pairs) == 1
    ]


def _slots(names: Sequence[str], kept: set[str]) -> dict[str, tuple[str | None, int]]:
    """Return for each name that is not kept the last kept name before it and the distance from there."""
    slots, anchor, distance = dict[str, tuple[str | None, int]](), None, 0
    for name in names:
        if name in kept:
            anchor, distance = name, 0
        else:
            distance += 1
            slots[name] = (anchor, distance)
    return slots


def _has_same_parts(one: str, other: str, renamed: NamePairs, before: Table, after: Table) -> bool:
    """Return whether the constraints and indexes that name a column are those that name the other one afterwards."""
    left = [text for text in _part_definitions(after) if _has_word(text, other)]
    for text in _part_definitions(before):
        if _has_word(text, one):
            match = next((it for it in left if is_equal_after_renames(text, it, renamed)), None)
            if match is None:
                return False
            left.remove(match)
    return not left


def _part_definitions(table: Table) -> list[str]:
    return [*(part.definition for part in table.constraints), *(part.definition for part in table.indexes)]


def _has_word(text: str, name: str) -> bool:
    return any(word.strip('"') in {name, name.lower()} for word in _WORDS.findall(text))
