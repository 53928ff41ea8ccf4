"""The objects of a snapshot that is read repeatedly: an unchanged one stays the same Python object."""

from __future__ import annotations

from bisect import bisect_left, insort
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dormatory.schema.snapshot import IDENTITY_FIELDS, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Sequence as Values

    CacheKey = tuple[str, Any]  # a kind and what identifies a value of it

_FEW_FRACTION = 1 / 16  # of all values: replacing so few one by one is faster than sorting all


class SnapshotCache:
    """Keeps values, and the snapshot that consists of them."""

    def __init__(self, *, namespaces: bool) -> None:
        self._sort_keys: dict[str, Callable[[Any], Any]] = {
            field: attrgetter(*(name for name in names if namespaces or name != "namespace"))
            for field, (_, names) in IDENTITY_FIELDS.items()
        }
        self._values: dict[CacheKey, Any] = {}
        self._removed: list[Any] = []
        self._added: list[Any] = []
        self.snapshot = Snapshot()

    def put(self, key: CacheKey, value: Any) -> None:
        """Replace the value of a key by another one, None to remove it; an equal value changes nothing."""
        before = self._values.get(key)
        if value == before:
            return
        if before is not None:
            self._removed.append(before)
            del self._values[key]
        if value is not None:
            self._added.append(value)
            self._values[key] = value

    def put_all(self, kind: str, values: Mapping[Any, Any]) -> None:
        """Replace all values of a kind."""
        for name in {*values, *self.keys(kind)}:
            self.put((kind, name), values.get(name))

    def keys(self, kind: str) -> list[Any]:
        """Return the keys of the values of a kind."""
        return [key[1] for key in self._values if key[0] == kind]

    def update_snapshot(self, not_compared: Iterable[str]) -> None:
        """Replace the snapshot if anything changed."""
        notes = tuple(sorted(not_compared))
        if not (self._removed or self._added) and self.snapshot.not_compared == notes:
            return
        found: dict[str, Any] = {}
        for field, (kind, _) in IDENTITY_FIELDS.items():
            removed = [it for it in self._removed if type(it) is kind]
            added = [it for it in self._added if type(it) is kind]
            before = getattr(self.snapshot, field)
            found[field] = (
                _with_replacements(before, removed, added, self._sort_keys[field]) if removed or added else before
            )
        self._removed, self._added = [], []
        self.snapshot = Snapshot(**found, not_compared=notes)


def _with_replacements(
    before: Values[Any], removed: Values[Any], added: Values[Any], sort_key: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Return sorted values without the removed and with the added ones."""
    if len(removed) + len(added) > len(before) * _FEW_FRACTION:
        left_out = set(map(id, removed))
        return tuple(sorted((*(it for it in before if id(it) not in left_out), *added), key=sort_key))
    found = list(before)
    for value in removed:
        place = bisect_left(found, sort_key(value), key=sort_key)
        while found[place] is not value:
            place += 1
        del found[place]
    for value in added:
        insort(found, value, key=sort_key)
    return tuple(found)
