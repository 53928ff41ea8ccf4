"""What became of values that are not what they were: cut off, shifted, written in another form, or replaced."""

from __future__ import annotations

import unicodedata
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dormatory.dataloss.values import Json, loose, number
from dormatory.recording.model import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dormatory.dataloss.values import Value

_QUARTER = timedelta(minutes=15)  # what all offsets are multiples of
_FARTHEST = timedelta(hours=26)
_OFFSETS = 4  # summer and winter time of two zones


def kind_of(changes: Sequence[tuple[Value, Value]]) -> Kind:
    """Return what most of the changes are, each a value before and after."""
    offsets = {offset for pair in changes if (offset := _offset(*pair)) is not None}
    found = Counter(_kind(*pair, is_shifted=len(offsets) <= _OFFSETS) for pair in changes)
    return found.most_common(1)[0][0]


def is_in_gap(value: Value, zones: Collection[str]) -> bool:
    """Tell whether a moment is one that a zone skips or has twice, so that no conversion there and back keeps it."""
    if not isinstance(value, datetime):
        return False
    for name in zones:
        with suppress(ZoneInfoNotFoundError, ValueError, OverflowError):
            zone = ZoneInfo(name)
            local = value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)
            if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
                return True
    return False


def is_normalised(before: Value, after: Value) -> bool:
    """Tell whether a text became a normal form of itself, which others share: other case, other white space."""
    if not isinstance(before, str) or not isinstance(after, str):
        return False
    return before.casefold().split() == after.casefold().split()


def _kind(before: Value, after: Value, *, is_shifted: bool) -> Kind:
    if after is None:
        return Kind.VALUES_LOST
    if is_shifted and _offset(before, after) is not None:
        return Kind.SHIFTED
    if _is_cut(before, after):
        return Kind.TRUNCATED
    if _is_reencoded(before, after):
        return Kind.REENCODED
    return Kind.VALUES_CHANGED


def _offset(before: Value, after: Value) -> timedelta | None:
    """Return by how much a moment has moved, if it is what zones differ by."""
    if not isinstance(before, datetime) or not isinstance(after, datetime):
        return None
    delta = after.replace(tzinfo=None) - before.replace(tzinfo=None)
    return delta if delta and not delta % _QUARTER and abs(delta) <= _FARTHEST else None


def _is_cut(before: Value, after: Value) -> bool:
    if isinstance(before, datetime):
        if isinstance(after, datetime):
            return after.replace(tzinfo=None) in _coarser(before.replace(tzinfo=None))
        return isinstance(after, str) and bool(after) and before.isoformat(" ").startswith(after)
    if isinstance(before, str | bytes) and type(before) is type(after):
        whole, rest = (before, after) if isinstance(before, bytes) else (before.rstrip(), str(after).rstrip())
        return len(rest) < len(whole) and whole.startswith(rest)  # type: ignore[arg-type]  # both are of one type
    one, other = number(before), number(after)
    return one is not None and other is not None and one != other and other in _rounded(one)


def _coarser(moment: datetime) -> list[datetime]:
    seconds = moment.replace(microsecond=0)
    milliseconds = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    minutes = seconds.replace(second=0)
    found = [milliseconds, seconds, minutes, minutes.replace(minute=0), minutes.replace(minute=0, hour=0)]
    with suppress(OverflowError):
        found.append(seconds + timedelta(seconds=1))  # rounded
    return found


def _rounded(value: Decimal) -> set[Decimal]:
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    modes = (ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_EVEN)
    with suppress(ArithmeticError):
        return {value.quantize(Decimal(1).scaleb(-digits), mode) for digits in range(places) for mode in modes}
    return set()


def _is_reencoded(before: Value, after: Value) -> bool:
    """Tell whether a value still says the same in another form, or what it said was read in the wrong encoding."""
    if loose(before) == loose(after) or (number(before) is not None and number(before) == number(after)):
        return True
    one, other = _spelled(before), _spelled(after)
    if unicodedata.normalize("NFKD", one) == unicodedata.normalize("NFKD", other):
        return True
    if (
        one
        and other
        and (one in other or other in one)
        and isinstance(before, Json | bytes) != isinstance(after, Json | bytes)
    ):
        return True
    with suppress(UnicodeError):
        if one.encode().decode("latin-1") == other:
            return True
    with suppress(UnicodeError):
        if one.encode("ascii", "replace").decode() == other or one.encode("ascii", "ignore").decode() == other:
            return True
    quoted = '"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return other == quoted or is_normalised(one, other)


def _spelled(value: Value) -> str:
    if isinstance(value, bytes):
        with suppress(UnicodeError):
            return value.decode()
    return value if isinstance(value, str) else str(loose(value))
