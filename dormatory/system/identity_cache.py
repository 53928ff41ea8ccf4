"""Caches results by the identity of a value: hashing a whole table would cost more than the cache saves."""

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
    """Decorate a function of an unchangeable value, so that it is called only once for the same object.

    The cache holds the value, so that no other object gets its identity; the second argument is compared as usual.
    Beyond `max_entries` results the cache is cleared, which is simpler than forgetting the oldest.
    """

    def decorate(function: Callable[[_Value, _Context], _Result]) -> Callable[[_Value, _Context], _Result]:
        cache: dict[tuple[int, _Context], tuple[_Value, _Result]] = {}

        @wraps(function)
        def look_up(value: _Value, context: _Context) -> _Result:
            key = id(value), context
            found = cache.get(key)
            if found is None:
                if len(cache) >= max_entries:
                    cache.clear()
                found = cache[key] = value, function(value, context)
            return found[1]

        return look_up

    return decorate
