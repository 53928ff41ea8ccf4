"""The opposite of a list of changes: what the diff of two snapshots holds when they are swapped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dormatory.schema.changes import (
    Change,
    ColumnAdded,
    ColumnRemoved,
    ObjectAdded,
    ObjectRemoved,
    PartAdded,
    PartRemoved,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_OPPOSITES: dict[type[Change], type[Change]] = {
    ObjectAdded: ObjectRemoved,
    ColumnAdded: ColumnRemoved,
    PartAdded: PartRemoved,
}
_OPPOSITES |= {removed: added for added, removed in _OPPOSITES.items()}


def inverse_changes(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that undo the given ones, in the order of a diff."""
    return sorted(map(_inverse, changes), key=lambda change: change.sort_key)


def _inverse(change: Any) -> Change:
    if opposite := _OPPOSITES.get(type(change)):
        return opposite(*(getattr(change, name) for name in type(change).__match_args__))
    undone: Change = replace(change, before=change.after, after=change.before)
    return undone
