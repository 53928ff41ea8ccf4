"""Which value a column gets in which row: plausible ones, then NULLs, then defaults, then extremes one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.rows.plan import ColumnPlan
    from dormatory.rows.unique_values import GeneratedValue

_NULL_ROW = 1  # NULL wherever it is allowed
_DEFAULTS_ROW = 2  # the default wherever there is one
FIRST_EXTREME_ROW = 3  # the first extreme of all columns
KEY_SHARING_ROWS = (4, 6, 8, 10)  # half of a composite key is that of the first row
ROWS_PER_NULL = 7  # rows of a column with extremes until the next NULL


def is_null_turn(column: ColumnPlan, row_index: int, column_index: int, *, with_extremes: bool) -> bool:
    """Return whether a column is NULL in a row: in the row of NULLs, if it has no values, or regularly."""
    if not column.nullable:
        return False
    is_regular = with_extremes and not column.enumerated and _is_regular_null(row_index, column_index)
    return row_index == _NULL_ROW or not column.plausible or is_regular


def is_default_turn(column: ColumnPlan, row_index: int) -> bool:
    """Return whether a row shows the default of a column."""
    return column.has_constant_default and row_index == _DEFAULTS_ROW


def is_parentless_turn(row_index: int, *, with_extremes: bool) -> bool:
    """Return whether the foreign keys of a row refer to no row, if they may."""
    return row_index == _NULL_ROW or (with_extremes and row_index % 7 == 5)  # noqa: PLR2004  # one row in seven


def value_for_turn(column: ColumnPlan, row_index: int, column_index: int, *, with_extremes: bool) -> GeneratedValue:
    """Return the extreme or the plausible value of a column in a row, None if the column has no values."""
    if column.extreme and with_extremes and row_index >= FIRST_EXTREME_ROW:
        return column.extreme[_extreme_index(column, row_index, column_index)]
    if not column.plausible:
        return None
    is_late = column.enumerated and row_index >= FIRST_EXTREME_ROW
    return column.plausible[(row_index - FIRST_EXTREME_ROW if is_late else row_index) % len(column.plausible)]


def _is_regular_null(row_index: int, column_index: int) -> bool:
    return row_index > FIRST_EXTREME_ROW and (row_index - FIRST_EXTREME_ROW - 1 - column_index) % ROWS_PER_NULL == 0


def _extreme_index(column: ColumnPlan, row_index: int, column_index: int) -> int:
    """Return which extreme a row shows: the first ones all in one row, the others next to changing ones."""
    total = len(column.extreme)
    if row_index == FIRST_EXTREME_ROW or total == 1:
        return 0
    rank = row_index
    if column.nullable:  # count only the rows in which it is not NULL
        passed, since = divmod(row_index - FIRST_EXTREME_ROW - 1, ROWS_PER_NULL)
        rank = passed * (ROWS_PER_NULL - 1) + since - (since > column_index % ROWS_PER_NULL)
    return 1 + (rank + column_index * 3) % (total - 1)
