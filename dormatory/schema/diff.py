"""The difference between two snapshots: pure, complete, in a stable order."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from dormatory.schema.changes import (
    Change,
    ColumnAdded,
    ColumnAltered,
    ColumnRemoved,
    ColumnRenamed,
    ColumnsReordered,
    CoverageChanged,
    ObjectAdded,
    ObjectAltered,
    ObjectRemoved,
    PartAdded,
    PartAltered,
    PartRemoved,
    PartRenamed,
    TableRenamed,
)
from dormatory.schema.describe import object_kind, object_name
from dormatory.schema.renames import (
    is_equal_after_renames,
    name_pairs,
    renamed_columns,
    renamed_tables,
    table_evidence,
)
from dormatory.schema.snapshot import IDENTITY_FIELDS, PART_FIELDS, Constraint, Snapshot, Table, View

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from dormatory.schema.describe import Part, SchemaObject
    from dormatory.schema.snapshot import Column

_NOT_VALID = "NOT VALID"
_ObjectsByIdentity = dict[Any, Any]
_T = TypeVar("_T")


def diff(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """Return the changes that turn `before` into `after`; there are none exactly when the two are equal.

    The same structure under another name is reported as a rename, and texts that differ only by such a rename are
    not reported again. `diff(after, before)` returns the opposite changes.
    """
    if before == after:
        return ()
    return tuple(sorted(_Comparison(before, after).changes(), key=lambda change: change.sort_key))


def residue(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """Return what a downgrade did not restore: the diff without validations, which nothing reverts."""
    return tuple(change for change in diff(before, after) if not _is_validation(change))


def _is_validation(change: Change) -> bool:
    """Return whether a change only validated a constraint that was NOT VALID."""
    match change:
        case PartAltered(before=Constraint() as old, after=Constraint() as new):
            return old == replace(new, definition=f"{new.definition} {_NOT_VALID}")
        case ColumnAltered(attribute="not_null_note", before=str(old), after=new):
            return old == f"{new or ''} {_NOT_VALID}".strip()
    return False


class _Comparison:
    """Two snapshots and what was probably renamed between them."""

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._before, self._after = before, after
        self._differing = {
            field: _differing_objects(getattr(before, field), getattr(after, field), identity)
            for field, (_, identity) in IDENTITY_FIELDS.items()
        }
        old, new = self._differing["tables"]
        self._renamed_tables = renamed_tables(
            [old[key] for key in old if key not in new], [new[key] for key in new if key not in old]
        )
        self._renamed_columns = {id(old[key]): renamed_columns(old[key], new[key]) for key in old.keys() & new.keys()}
        self._renamed_names = name_pairs(
            [(one.name, other.name) for one, other in self._renamed_tables]
            + [(one.name, other.name) for found in self._renamed_columns.values() for one, other, _ in found]
        )

    def changes(self) -> Iterator[Change]:
        """Yield all changes, unsorted."""
        for one, other in self._renamed_tables:
            yield TableRenamed(one, other, table_evidence(one))
            yield from self._object_changes(one, other)
        removed_ids = {id(one) for one, _ in self._renamed_tables}
        added_ids = {id(other) for _, other in self._renamed_tables}
        for old, new in self._differing.values():
            for key in old.keys() | new.keys():
                if key not in new:
                    yield from () if id(old[key]) in removed_ids else (ObjectRemoved(old[key]),)
                elif key not in old:
                    yield from () if id(new[key]) in added_ids else (ObjectAdded(new[key]),)
                else:
                    yield from self._object_changes(old[key], new[key])
        if self._before.not_compared != self._after.not_compared:
            yield CoverageChanged(self._before.not_compared, self._after.not_compared)

    def _object_changes(self, before: SchemaObject, after: SchemaObject) -> Iterator[Change]:
        """Yield the changes of an object that both sides have."""
        name = object_name(before)
        where = name if isinstance(before, Table | View) else f"{object_kind(before)} {name}"
        if isinstance(before, View) and isinstance(after, View):
            after = self._with_previous_columns(before, after)
        for field in fields(before):
            old, new = getattr(before, field.name), getattr(after, field.name)
            if field.name == "columns":
                yield from self._column_changes(before, old, new)
            elif field.name in PART_FIELDS:
                yield from self._part_changes(where, old, new)
            elif field.name not in {"name", "namespace"} and not is_equal_after_renames(old, new, self._renamed_names):
                yield ObjectAltered(object_kind(before), name, field.name, old, new)

    def _with_previous_columns(self, before: View, after: View) -> View:
        """Return a view with the columns it had before, if a new definition changes them: they follow from it."""
        if is_equal_after_renames(before.definition, after.definition, self._renamed_names):
            return after
        new = {column.name: column for column in after.columns}
        kept = [
            replace(column, default=it.default, comment=it.comment, grants=it.grants, options=it.options)
            for column in before.columns
            for it in (new.get(column.name, column),)
        ]
        return replace(after, columns=tuple(kept))

    def _column_changes(
        self, owner: SchemaObject, before: Sequence[Column], after: Sequence[Column]
    ) -> Iterator[Change]:
        name = object_name(owner)
        renamed = self._renamed_columns.get(id(owner), [])
        for one, other, evidence in renamed:
            yield ColumnRenamed(name, one, other, evidence)
        new_names = {one.name: other.name for one, other, _ in renamed}
        old = {new_names.get(column.name, column.name): column for column in before}
        new = {column.name: column for column in after}
        for key in old.keys() - new.keys():
            yield ColumnRemoved(name, old[key])
        for key in new.keys() - old.keys():
            yield ColumnAdded(name, new[key])
        for key in old.keys() & new.keys():
            for field in fields(old[key]):
                one, other = getattr(old[key], field.name), getattr(new[key], field.name)
                if field.name != "name" and not is_equal_after_renames(one, other, self._renamed_names):
                    yield ColumnAltered(name, key, field.name, one, other)
        order = [key for key in old if key in new], [key for key in new if key in old]
        if order[0] != order[1]:
            yield ColumnsReordered(name, object_kind(owner), tuple(order[0]), tuple(order[1]))

    def _part_changes(self, where: str, before: Sequence[Part], after: Sequence[Part]) -> Iterator[Change]:
        """Yield changes of parts, which are matched by name, then by content, then by what can exist only once."""
        old, new = list(before), list(after)
        for one, other in _take_pairs(old, new, lambda part: part.name):
            if not is_equal_after_renames(one, other, self._renamed_names):
                yield PartAltered(where, one, other)
        for one, other in list(_product(old, new)):
            if (
                one in old
                and other in new
                and is_equal_after_renames(_with_name_of(one, other), other, self._renamed_names)
            ):
                old.remove(one)
                new.remove(other)
                if one.name != other.name:
                    yield PartRenamed(where, one, other)
        for one, other in _take_pairs(old, new, _unique_key):
            yield PartAltered(where, one, other)
        yield from (PartRemoved(where, part) for part in old)
        yield from (PartAdded(where, part) for part in new)


def _differing_objects(
    before: Sequence[Any], after: Sequence[Any], identity: Sequence[str]
) -> tuple[_ObjectsByIdentity, _ObjectsByIdentity]:
    """Return the objects that are not equal on both sides; most of the equal ones are the very same object."""
    shared = set(map(id, before)) & set(map(id, after))
    key_of = attrgetter(*identity)
    old, new = ({key_of(it): it for it in side if id(it) not in shared} for side in (before, after))
    for key in old.keys() & new.keys():
        if old[key] == new[key]:
            del old[key], new[key]
    return old, new


def _product(old: Sequence[_T], new: Sequence[_T]) -> Iterator[tuple[_T, _T]]:
    return ((one, other) for one in old for other in new)


def _with_name_of(part: Any, other: Part) -> Part:
    renamed: Part = replace(part, name=other.name)
    return renamed


def _unique_key(part: Part) -> Hashable:
    """Return the key of a part that can exist only once: a primary key, or a nameless constraint by its columns."""
    if not isinstance(part, Constraint):
        return None
    if part.kind == "PRIMARY KEY":
        return part.kind
    return None if part.name else (part.kind, part.columns)


def _take_pairs(old: list[Any], new: list[Any], key: Any) -> Iterator[tuple[Any, Any]]:
    """Take the pairs with the same key, if it is not None and occurs once on either side."""
    counts = Counter(map(key, old)), Counter(map(key, new))
    others = {key(part): part for part in new}
    for one in list(old):
        found = key(one)
        if found is not None and counts[0][found] == counts[1][found] == 1:
            old.remove(one)
            new.remove(others[found])
            yield one, others[found]
