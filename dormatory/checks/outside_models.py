"""What only revisions make, because no model can describe it: a difference in it is no drift."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.schema.changes import (
    ColumnAltered,
    CoverageChanged,
    ObjectAdded,
    ObjectAltered,
    ObjectRemoved,
    PartAltered,
    PartRemoved,
)
from dormatory.schema.snapshot import Constraint, Index, Sequence, Table, Trigger

if TYPE_CHECKING:
    from collections.abc import Collection

    from dormatory.schema.changes import Change
    from dormatory.schema.describe import Part

# Attributes that models leave at the server's default, with that default.
_DEFAULT_ATTRIBUTES: dict[str, tuple[object, ...]] = {
    "grants": ((),),
    "row_security": (None,),
    "enabled": ("yes",),
    "options": ((),),
    "persistence": ("permanent",),
    "partition_key": (None,),
}
_OPTIONS_OF_MODELS = frozenset({"STRICT", "WITHOUT ROWID"})  # they change which rows a table accepts
_STORAGE = re.compile(r" WITH \([^()]*\)| CLUSTER$| REPLICA IDENTITY$")
_TABLE_KINDS = ("table", "partitioned table")


def is_consequence(change: Change) -> bool:
    """Return whether another change already says it.

    The sequence of a serial column follows from its column, and a kind of object that is not compared shows by the
    object.
    """
    match change:
        case CoverageChanged():
            return True
        case ObjectRemoved(value=Sequence() as sequence) | ObjectAdded(value=Sequence() as sequence):
            return sequence.owner is not None
    return False


def is_outside_models(change: Change, extension_indexes: Collection[str] = ()) -> bool:
    """Return whether only the history has something, and models say nothing about it.

    An index that an extension makes possible is among it: no other database accepts it, so models leave it out.
    """
    match change:
        case ObjectRemoved(value=Table() as table):
            return table.partition_bound is not None or table.kind not in _TABLE_KINDS
        case PartRemoved(part=Index() as index):
            return index.name in extension_indexes and not index.unique
        case ObjectRemoved(value=found) | PartRemoved(part=found):
            # Models describe the others only through DDL events, and an enumeration only with a column that has it.
            return not isinstance(found, Sequence | Constraint)
        case ObjectAltered(attribute=attribute, after=after) | ColumnAltered(attribute=attribute, after=after):
            limits_rows = attribute == "options" and bool(set(_words(change.before)) & _OPTIONS_OF_MODELS)
            return after in _DEFAULT_ATTRIBUTES.get(attribute, ()) and not limits_rows
        case PartAltered(before=before, after=after):
            return _without_storage(before) == after
    return False


def _without_storage(part: Part) -> Part:
    """Return a part without what only says how it is stored, used or commented on."""
    match part:
        case Index():
            return replace(part, definition=_STORAGE.sub("", part.definition), options=(), comment=None)
        case Constraint():
            return replace(part, definition=_STORAGE.sub("", part.definition))
        case Trigger():
            return replace(part, enabled="yes")
    return part


def _words(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()
