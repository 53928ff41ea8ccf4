"""The values of a snapshot that is taken again and again: what did not change stays the very same object."""

from __future__ import annotations

from bisect import bisect_left, insort
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dormatory.schema.snapshot import (
    Composite,
    Domain,
    Enum,
    Extension,
    Function,
    Namespace,
    Other,
    Range,
    Sequence,
    Snapshot,
    Table,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Sequence as Values

    Key = tuple[str, Any]  # a kind and what tells its values apart

_KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "tables": (Table, ("namespace", "name")),
    "views": (View, ("namespace", "name")),
    "sequences": (Sequence, ("namespace", "name")),
    "functions": (Function, ("namespace", "name", "arguments", "kind")),
    "enums": (Enum, ("namespace", "name")),
    "domains": (Domain, ("namespace", "name")),
    "composites": (Composite, ("namespace", "name")),
    "ranges": (Range, ("namespace", "name")),
    "namespaces": (Namespace, ("name",)),
    "extensions": (Extension, ("namespace", "name")),
    "others": (Other, ("name", "kind")),
}
_FEW = 1 / 16  # of all: so many are found quicker one by one than all are sorted


class Shelf:
    """Keeps values, and the snapshot made of them."""

    def __init__(self, *, namespaces: bool) -> None:
        self._orders: dict[str, Callable[[Any], Any]] = {
            field: attrgetter(*(name for name in names if namespaces or name != "namespace"))
            for field, (_, names) in _KINDS.items()
        }
        self._values: dict[Key, Any] = {}
        self._gone: list[Any] = []
        self._come: list[Any] = []
        self.snapshot = Snapshot()

    def put(self, key: Key, value: Any) -> None:
        """Put a value, or None, into the place of the one before, unless the two are equal."""
        before = self._values.get(key)
        if value == before:
            return
        if before is not None:
            self._gone.append(before)
            del self._values[key]
        if value is not None:
            self._come.append(value)
            self._values[key] = value

    def put_all(self, kind: str, values: Mapping[Any, Any]) -> None:
        """Put all values that there are of a kind."""
        for name in {*values, *self.names(kind)}:
            self.put((kind, name), values.get(name))

    def names(self, kind: str) -> list[Any]:
        """Return what tells the values of a kind apart."""
        return [key[1] for key in self._values if key[0] == kind]

    def take(self, not_compared: Iterable[str]) -> None:
        """Make the snapshot anew, if anything changed."""
        notes = tuple(sorted(not_compared))
        if not (self._gone or self._come) and self.snapshot.not_compared == notes:
            return
        found: dict[str, Any] = {}
        for field, (kind, _) in _KINDS.items():
            gone = [it for it in self._gone if type(it) is kind]
            come = [it for it in self._come if type(it) is kind]
            before = getattr(self.snapshot, field)
            found[field] = _exchanged(before, gone, come, self._orders[field]) if gone or come else before
        self._gone, self._come = [], []
        self.snapshot = Snapshot(**found, not_compared=notes)


def _exchanged(
    before: Values[Any], gone: Values[Any], come: Values[Any], order: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Return values in their order, without some and with some others."""
    if len(gone) + len(come) > len(before) * _FEW:
        left_out = set(map(id, gone))
        return tuple(sorted((*(it for it in before if id(it) not in left_out), *come), key=order))
    found = list(before)
    for value in gone:
        place = bisect_left(found, order(value), key=order)
        while found[place] is not value:
            place += 1
        del found[place]
    for value in come:
        insort(found, value, key=order)
    return tuple(found)
