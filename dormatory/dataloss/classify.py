"""Classifies what happened to changed values: truncated, shifted in time, written in another form, or replaced."""

from __future__ import annotations

import unicodedata
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dormatory.dataloss.values import JsonValue, as_number, as_text, canonical_form
from dormatory.recording.loss import LossKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dormatory.dataloss.values import CellValue

_OFFSET_STEP = timedelta(minutes=15)  # what all offsets are multiples of
_MAX_OFFSET = timedelta(hours=26)
_BINARY_ERROR = Decimal("1e-5")  # of the shortest binary type, which keeps six digits
_MAX_OFFSETS = 4  # summer and winter time of two zones


def loss_kind(changes: Sequence[tuple[CellValue, CellValue]]) -> LossKind:
    """Return what happened in most of the changes, each a value before and after."""
    offsets = {offset for pair in changes if (offset := _time_offset(*pair)) is not None}
    found = Counter(_change_kind(*pair, is_shifted=len(offsets) <= _MAX_OFFSETS) for pair in changes)
    return found.most_common(1)[0][0]


def is_at_dst_change(value: CellValue, zones: Collection[str]) -> bool:
    """Return whether a time does not exist, or exists twice, in one of the zones: converting it back may change it."""
    if not isinstance(value, datetime):
        return False
    for name in zones:
        with suppress(ZoneInfoNotFoundError, ValueError, OverflowError):
            zone = ZoneInfo(name)
            local = value.astimezone(zone) if value.tzinfo else value.replace(tzinfo=zone)
            if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
                return True
    return False


def is_normalised(before: CellValue, after: CellValue) -> bool:
    """Return whether two texts differ only in case and white space."""
    if not isinstance(before, str) or not isinstance(after, str):
        return False
    return before.casefold().split() == after.casefold().split()


def _change_kind(before: CellValue, after: CellValue, *, is_shifted: bool) -> LossKind:
    if after is None or (after == "" and before != ""):
        return LossKind.VALUES_LOST
    if is_shifted and _time_offset(before, after) is not None:
        return LossKind.SHIFTED
    if _is_truncated(before, after):
        return LossKind.TRUNCATED
    if _is_reencoded(before, after):
        return LossKind.REENCODED
    return LossKind.VALUES_CHANGED


def _time_offset(before: CellValue, after: CellValue) -> timedelta | None:
    """Return by how much a time has moved, if zones can differ by that much."""
    if not isinstance(before, datetime) or not isinstance(after, datetime):
        return None
    delta = after.replace(tzinfo=None) - before.replace(tzinfo=None)
    return delta if delta and not delta % _OFFSET_STEP and abs(delta) <= _MAX_OFFSET else None


def _is_truncated(before: CellValue, after: CellValue) -> bool:
    if isinstance(before, datetime):
        if isinstance(after, datetime):
            return after.replace(tzinfo=None) in _truncated_datetimes(before.replace(tzinfo=None))
        text = as_text(after)  # a number as well: CAST('2024-07-06' AS INTEGER) is 2024
        return bool(text) and before.isoformat(" ").startswith(text)
    if isinstance(before, str | bytes) and type(before) is type(after):
        whole, prefix = (before, after) if isinstance(before, bytes) else (before.rstrip(), str(after).rstrip())
        return len(prefix) < len(whole) and whole.startswith(prefix)  # type: ignore[arg-type]  # both are of one type
    one, other = as_number(before), as_number(after)
    if one is None or other is None or one == other:
        return False
    return other in _rounded_numbers(one) or _is_rounded_by_binary_type(one, other)


def _truncated_datetimes(moment: datetime) -> list[datetime]:
    seconds = moment.replace(microsecond=0)
    milliseconds = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    minutes = seconds.replace(second=0)
    found = [milliseconds, seconds, minutes, minutes.replace(minute=0), minutes.replace(minute=0, hour=0)]
    with suppress(OverflowError):
        found.append(seconds + timedelta(seconds=1))  # rounded
    return found


def _rounded_numbers(value: Decimal) -> set[Decimal]:
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    modes = (ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_EVEN)
    with suppress(ArithmeticError):
        return {value.quantize(Decimal(1).scaleb(-digits), mode) for digits in range(places) for mode in modes}
    return set()


def _is_rounded_by_binary_type(before: Decimal, after: Decimal) -> bool:
    """Return whether a number has come back with its first digits only, as from a REAL."""
    digits, left = (len(it.normalize().as_tuple().digits) for it in (before, after))
    return left < digits and abs(after - before) <= abs(before) * _BINARY_ERROR


def _is_reencoded(before: CellValue, after: CellValue) -> bool:
    """Return whether a value has the same meaning in another form, or was decoded with the wrong encoding."""
    if canonical_form(before) == canonical_form(after) or (
        as_number(before) is not None and as_number(before) == as_number(after)
    ):
        return True
    one, other = _decoded_text(before), _decoded_text(after)
    if unicodedata.normalize("NFKD", one) == unicodedata.normalize("NFKD", other):
        return True
    if (
        one
        and other
        and (one in other or other in one)
        and isinstance(before, JsonValue | bytes) != isinstance(after, JsonValue | bytes)
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


def _decoded_text(value: CellValue) -> str:
    if isinstance(value, bytes):
        with suppress(UnicodeError):
            return value.decode()
    return value if isinstance(value, str) else str(canonical_form(value))
