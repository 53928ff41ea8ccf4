"""Remembers what was worked out of a value by which value it is: to hash a whole table costs more than it saves."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Value = TypeVar("_Value")
_Other = TypeVar("_Other", bound="Hashable")
_Result = TypeVar("_Result")


def by_identity(
    most: int = 1 << 12,
) -> Callable[[Callable[[_Value, _Other], _Result]], Callable[[_Value, _Other], _Result]]:
    """Give a function a memory: asked again of the very same, unchangeable value, it answers the same.

    The value is kept, so that its identity is not given to another one; the second argument is compared as usual.
    Beyond `most` answers all are forgotten, which is simpler than forgetting the oldest.
    """

    def remembering(function: Callable[[_Value, _Other], _Result]) -> Callable[[_Value, _Other], _Result]:
        known: dict[tuple[int, _Other], tuple[_Value, _Result]] = {}

        @wraps(function)
        def remembered(value: _Value, other: _Other) -> _Result:
            key = id(value), other
            found = known.get(key)
            if found is None:
                if len(known) >= most:
                    known.clear()
                found = known[key] = value, function(value, other)
            return found[1]

        return remembered

    return remembering
