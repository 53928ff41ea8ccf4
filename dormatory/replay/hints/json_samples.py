"""JSON documents that have what a revision's code reads of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dormatory.sql.value_hints import JSONPath

ELEMENT = "[]"  # in a path: each element of a list
ANY_KEY = "*"  # in a path: each value of an object, whatever its key
_LEAVES = ("7", "12")  # texts that are numbers as well: of the two elements of a list
_MAX_DOCUMENTS = 8


def json_samples(paths: Mapping[JSONPath, Sequence[str | int]]) -> list[Any]:
    """Return documents with a value at each of these paths: at first any value, then those listed for the path."""
    total = max((len(values) for values in paths.values()), default=0)
    return [_document(paths, number) for number in range(min(total, _MAX_DOCUMENTS - 1) + 1)]


def _document(paths: Mapping[JSONPath, Sequence[str | int]], number: int, leaf: str = _LEAVES[0]) -> Any:
    """Return the document of a number: 0 for one without listed values, in which `leaf` stands for any value."""
    keys = list(dict.fromkeys(path[0] for path in paths if path))
    if not keys:
        values = paths.get((), ())
        return values[(number - 1) % len(values)] if number and values else leaf
    below = {key: {path[1:]: it for path, it in paths.items() if path[:1] == (key,)} for key in keys}
    if ELEMENT in below:
        return [_document(below[ELEMENT], number, text) for text in _LEAVES]
    inner = {key: _document(below[key], number, leaf) for key in keys}
    if ANY_KEY in inner:
        return {"one": inner.pop(ANY_KEY), **inner}
    return inner
