"""Changes a row so that it meets a condition on several columns, such as a CHECK, in one of the ways that it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dormatory.sql.evaluate import is_surely_false, referenced_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from dormatory.rows.unique_values import GeneratedValue


def changes_to_meet(
    condition: Any,
    row: Mapping[str, Any],
    options: Mapping[str, Sequence[GeneratedValue]],
    random: Random,
) -> dict[str, GeneratedValue]:
    """Return new values, out of the `options` of each column, with which a row meets a condition, if any are found.

    Of several alternatives one is drawn. Where no single column makes a comparison true, the value of one is drawn.
    """
    if condition[0] == "or":
        return changes_to_meet(random.choice(condition[1:]), row, options, random)
    changes: dict[str, GeneratedValue] = {}
    if condition[0] == "and":
        for part in condition[1:]:
            if is_surely_false(part, {**row, **changes}):
                changes |= changes_to_meet(part, {**row, **changes}, options, random)
        return changes
    words = sorted(referenced_columns(condition) & options.keys())
    possible = [(word, value) for word in words for value in options[word] if row.get(word, ...) != value]
    random.shuffle(possible)
    meeting = (it for it in possible if not is_surely_false(condition, {**row, it[0]: it[1]}))
    found = next(meeting, possible[0] if possible else None)
    return dict([found] if found else [])
