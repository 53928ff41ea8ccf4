"""Remembers what was worked out of a value by which value it is: to hash a whole table costs more than it saves."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Value = TypeVar("_Value")
_Context = TypeVar("_Context", bound="Hashable")
_Result = TypeVar("_Result")


def cache_by_identity(
    max_entries: int = 1 << 12,
) -> Callable[[Callable[[_Value, _Context], _Result]], Callable[[_Value, _Context], _Result]]:
    """Give a function a memory: asked again of the very same, unchangeable value, it answers the same.

    The value is kept, so that its identity is not given to another one; the second argument is compared as usual.
    Beyond `most` answers all are forgotten, which is simpler than forgetting the oldest.
    """

    def decorate(function: Callable[[_Value, _Context], _Result]) -> Callable[[_Value, _Context], _Result]:
        cache: dict[tuple[int, _Context], tuple[_Value, _Result]] = {}

        @wraps(function)
        def cached(value: _Value, context: _Context) -> _Result:
            key = id(value), context
            found = cache.get(key)
            if found is None:
                if len(cache) >= max_entries:
                    cache.clear()
                found = cache[key] = value, function(value, context)
            return found[1]

        return cached

    return decorate
