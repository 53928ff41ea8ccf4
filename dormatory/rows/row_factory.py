"""Makes rows for one table, in memory: each by its turn, then changed until nothing known speaks against it."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from dormatory.sql import evaluate
from dormatory.sql.evaluate import UNDECIDED

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from dormatory.rows.plan import ColumnPlan, ForeignKeyPlan, TablePlan, UniqueKey
    from dormatory.rows.unique_values import GeneratedValue

    # What is not in it is left to the database.
    GeneratedRow: TypeAlias = dict[str, GeneratedValue]

_MAX_ATTEMPTS = 40
_NULL_ROW, _DEFAULTS_ROW, _FIRST_EXTREME_ROW = (
    1,
    2,
    3,
)  # turns: NULL wherever it may be, defaults wherever they are, one edge after another
_ROWS_PER_NULL = 7  # turns of a column with edges
# How a number between 0 and 1 decides what a column gets instead of a value that will not do.
_NEW_VALUE_BELOW, _ACCEPTED_VALUE_BELOW, _NULL_BELOW, _DEFAULT_BELOW, _EXTREME_ABOVE = 0.3, 0.6, 0.7, 0.8, 0.9
_MAX_ENUM_ROWS = 64  # of an enumeration, more are not all tried


class RowFactory:
    """Makes rows that differ where they must, from each other and from those that are there.

    `there` are the rows the table holds, as far as its keys are concerned; `parents` are the keys that each foreign
    key may name; `promised` are keys that rows of other tables already name.
    """

    def __init__(
        self,
        plan: TablePlan,
        *,
        existing_rows: Sequence[Mapping[str, Any]] = (),
        existing_count: int = 0,
        with_extremes: bool = True,
        reserved_keys: Sequence[Mapping[str, GeneratedValue]] = (),
    ) -> None:
        self.plan, self._existing_count, self._with_extremes, self._reserved_keys = (
            plan,
            existing_count,
            with_extremes,
            reserved_keys,
        )
        self.parent_keys: dict[ForeignKeyPlan, Sequence[tuple[GeneratedValue, ...]]] = {}
        self.plain_columns: frozenset[str] = frozenset()  # columns that get no extremes, in small letters
        self._columns = [column for column in plan.columns if not column.is_generated]
        self._columns_by_name = {column.lower_name: column for column in self._columns}
        self._not_null_columns = {column.lower_name for column in self._columns if not column.nullable}
        self._unique_columns = {
            next(iter(key.columns)) for key in plan.unique_keys if len(key.columns) == 1 and not key.predicate
        }
        self._new_values = {column.lower_name: column.distinct_values(existing_count) for column in self._columns}
        self._used_keys: dict[UniqueKey, set[Any]] = {key: set() for key in plan.unique_keys}
        self._rejected: list[tuple[frozenset[str], GeneratedRow]] = []
        self._first_row: GeneratedRow | None = None
        self._accepted_rows: list[GeneratedRow] = []
        for row in existing_rows:
            self._use_keys((key, _key_values(key, row, self._columns_by_name)) for key in plan.unique_keys)

    @property
    def enum_row_count(self) -> int:
        """How many rows it takes to show every value of each enumeration, besides those with turns of their own."""
        listed = [len(column.plausible) for column in self._columns if column.enumerated]
        return min(_MAX_ENUM_ROWS, max(listed, default=0) + _FIRST_EXTREME_ROW + 1)

    def make_row(self, row_index: int, total: int) -> GeneratedRow | None:
        """Return the row for a turn, None if none was found; the last of them repeats the first where it can."""
        draft = self._draft_row(row_index, total)
        found = None if draft is None else self._repair(draft, row_index)
        self._first_row = self._first_row or found
        return found

    def make_replacement(self, row: GeneratedRow, column_names: Iterable[str], row_index: int) -> GeneratedRow | None:
        """Return a row instead of one that the database refused because of these columns."""
        columns = frozenset(column_names)
        self._rejected.append((columns, {word: row[word] for word in columns if word in row}))
        return self._repair(row, row_index, len(self._rejected))

    def release_keys(self, row: GeneratedRow) -> None:
        """Let the values of a row that was not inserted be used again."""
        typed = self._with_defaults(row)
        for key in self.plan.unique_keys:
            self._used_keys[key].discard(_key_values(key, typed, self._columns_by_name))

    def accept(self, row: GeneratedRow) -> None:
        """Remember a row that the database took."""
        self._accepted_rows.append(row)

    def _repair(self, draft: GeneratedRow, row_index: int, repetition: int = 0) -> GeneratedRow | None:
        row = dict(draft)
        for attempt in range(_MAX_ATTEMPTS):
            typed = self._with_defaults(row)
            keys = [(key, _key_values(key, typed, self._columns_by_name)) for key in self.plan.unique_keys]
            violating = self._violating_columns(row, typed, keys)
            if not violating:
                self._use_keys(keys)
                return row
            random = Random(f"{self.plan.table.name}:{self._existing_count}:{row_index}:{repetition}:{attempt}")  # noqa: S311  # the same each time
            if not self._change_columns(row, violating, random):
                return None
        return None

    def _draft_row(self, row_index: int, total: int) -> GeneratedRow | None:
        if row_index == total - 1 and self._first_row is not None:
            return self._repeat_row(self._first_row)
        row: GeneratedRow = {}
        if row_index < len(self._reserved_keys):
            row |= self._reserved_keys[row_index]
        for foreign_key in self.plan.foreign_keys:
            if not self._set_foreign_key(row, foreign_key, row_index):
                return None
        for column_index, column in enumerate(self._columns):
            if column.lower_name not in row and not self._is_left_to_default(column, row_index):
                row[column.lower_name] = self._value_for_row(column, row_index, column_index)
        return row

    def _repeat_row(self, row: GeneratedRow) -> GeneratedRow:
        """Return the same row but for what may not be there twice."""
        distinct = [word for word in self._unique_columns | self.plan.distinct_columns if row.get(word) is not None]
        return row | {word: next(self._new_values[word], None) for word in distinct}

    def _set_foreign_key(self, row: GeneratedRow, foreign_key: ForeignKeyPlan, row_index: int) -> bool:
        """Give the columns of a foreign key a parent, and tell whether there is one."""
        words = [column.lower_name for column in foreign_key.columns]
        known = self.parent_keys.get(foreign_key, ())
        fixed = row.keys() & set(words)
        compatible = [keys for keys in known if _is_compatible(row, words, keys, fixed)] if fixed else known
        is_null_turn = row_index == _NULL_ROW or (self._with_extremes and row_index % 7 == 5)  # noqa: PLR2004
        if (is_null_turn or not compatible) and not foreign_key.is_required:
            nullable = [column for column in foreign_key.columns if column.nullable and column.lower_name not in row]
            if nullable and not (foreign_key.is_match_full and len(nullable) < len(words)):
                row |= dict.fromkeys((column.lower_name for column in nullable), None)
                if not foreign_key.is_match_full and compatible:
                    keys = compatible[row_index % len(compatible)]
                    row |= {word: row.get(word, key) for word, key in zip(words, keys, strict=True)}
                return True
        if not compatible and not known and foreign_key.parent == self.plan.id:
            return self._set_self_reference(row, foreign_key)
        if not compatible:
            return any(row.get(word, 0) is None for word in words)
        row |= zip(words, compatible[(row_index + len(self._rejected)) % len(compatible)], strict=True)
        return True

    def _set_self_reference(self, row: GeneratedRow, foreign_key: ForeignKeyPlan) -> bool:
        """Let the first row of a table that must refer to itself refer to itself, and tell whether it can."""
        for column, referred in zip(foreign_key.columns, foreign_key.parent_columns, strict=True):
            if referred.lower() not in self._columns_by_name:
                return False
            own = row.get(referred.lower()) or next(self._new_values[referred.lower()], None)
            row |= {referred.lower(): own, column.lower_name: own}
        return True

    def _is_left_to_default(self, column: ColumnPlan, row_index: int) -> bool:
        if column.is_auto_numbered and column.column_type.family != "integer":
            return True
        is_default_turn = (
            column.has_constant_default and row_index == _DEFAULTS_ROW and column.lower_name not in self._unique_columns
        )
        return column.has_default and (is_default_turn or not (column.plausible or column.nullable))

    def _value_for_row(self, column: ColumnPlan, row_index: int, column_index: int) -> GeneratedValue:
        """Return the value that a column has its turn for."""
        if column.nullable and (
            row_index == _NULL_ROW
            or not column.plausible
            or (self._with_extremes and not column.enumerated and self._is_null_turn(row_index, column_index))
        ):
            return None
        if (
            column.lower_name in self._unique_columns
            or column.lower_name in self.plan.distinct_columns
            or column.is_auto_numbered
        ):
            return next(self._new_values[column.lower_name], None)
        if (
            column.extreme
            and self._with_extremes
            and row_index >= _FIRST_EXTREME_ROW
            and column.lower_name not in self.plain_columns
        ):
            return column.extreme[
                self._extreme_index(row_index, column_index, len(column.extreme), nullable=column.nullable)
            ]
        if not column.plausible:
            return None
        step = row_index - _FIRST_EXTREME_ROW if column.enumerated and row_index >= _FIRST_EXTREME_ROW else row_index
        return column.plausible[step % len(column.plausible)]

    @staticmethod
    def _extreme_index(row_index: int, column_index: int, total: int, *, nullable: bool) -> int:
        """Return which edge has its turn: the first ones all in one row, the others beside different ones."""
        if row_index == _FIRST_EXTREME_ROW or total == 1:
            return 0
        passed, since = divmod(row_index - _FIRST_EXTREME_ROW - 1, _ROWS_PER_NULL)
        rank = (
            passed * (_ROWS_PER_NULL - 1) + since - (since > column_index % _ROWS_PER_NULL) if nullable else row_index
        )
        return 1 + (rank + column_index * 3) % (total - 1)

    @staticmethod
    def _is_null_turn(row_index: int, column_index: int) -> bool:
        return (
            row_index > _FIRST_EXTREME_ROW and (row_index - _FIRST_EXTREME_ROW - 1 - column_index) % _ROWS_PER_NULL == 0
        )

    def _change_columns(self, row: GeneratedRow, violating: frozenset[str], random: Random) -> bool:
        """Change what is blamed, and tell whether there was anything to change."""
        foreign_keys = [
            link for link in self.plan.foreign_keys if any(column.lower_name in violating for column in link.columns)
        ]
        referencing = {column.lower_name for link in foreign_keys for column in link.columns}
        changed = False
        for column_index, foreign_key in enumerate(foreign_keys):
            words = [column.lower_name for column in foreign_key.columns]
            fixed = {column.lower_name for before in foreign_keys[:column_index] for column in before.columns}
            compatible = [
                keys for keys in self.parent_keys.get(foreign_key, ()) if _is_compatible(row, words, keys, fixed)
            ]
            if compatible and not any(row.get(word, 0) is None for word in words if word not in fixed):
                row |= zip(words, random.choice(compatible), strict=True)
                changed = True
        for word in sorted(violating - referencing):
            column = self._columns_by_name.get(word)
            if column is not None:
                self._change_value(row, column, random)
                changed = True
        return changed

    def _change_value(self, row: GeneratedRow, column: ColumnPlan, random: Random) -> None:
        """Give a column another value; where the database refused some, NULL, the default or an extreme may be it."""
        draw, word = random.random(), column.lower_name
        accepted = [it[word] for it in self._accepted_rows if word in it]
        if word in self._unique_columns or word in self.plan.distinct_columns or draw < _NEW_VALUE_BELOW:
            found = next(self._new_values[word], None)
            if found is not None or column.nullable:
                row[word] = found
        elif accepted and self._rejected and draw < _ACCEPTED_VALUE_BELOW:
            row[word] = random.choice(accepted)
        elif column.nullable and self._rejected and draw < _NULL_BELOW:
            row[word] = None
        elif column.has_default and self._rejected and draw < _DEFAULT_BELOW:
            row.pop(word, None)
        elif column.plausible:
            extreme = column.extreme if self._rejected and draw > _EXTREME_ABOVE else ()
            row[word] = random.choice(extreme or column.plausible)

    def _violating_columns(
        self, row: GeneratedRow, typed: Mapping[str, Any], keys: Sequence[tuple[UniqueKey, Any]]
    ) -> frozenset[str]:
        """Return the columns because of which a row will surely not do; none if it may."""
        for word, value in row.items():
            if value is None and word in self._not_null_columns:
                return frozenset({word})
        for condition in self.plan.conditions:
            if evaluate.is_surely_false(condition, typed):
                return frozenset(evaluate.referenced_columns(condition) & self._columns_by_name.keys())
        for columns, values in self._rejected:
            if values == {word: row[word] for word in columns if word in row} and columns:
                return columns
        for key, found in keys:
            if found is not None and found in self._used_keys[key]:
                return key.columns
        return next(
            (columns for link in self.plan.foreign_keys if (columns := self._dangling_columns(row, link))), frozenset()
        )

    def _dangling_columns(self, row: GeneratedRow, foreign_key: ForeignKeyPlan) -> frozenset[str]:
        """Return the columns of a foreign key that names no row; one with a NULL in it names none on purpose."""
        words = [column.lower_name for column in foreign_key.columns]
        keys = tuple(row.get(word) for word in words)
        known = self.parent_keys.get(foreign_key, ())
        is_self_reference = foreign_key.parent == self.plan.id and keys == tuple(
            row.get(name.lower()) for name in foreign_key.parent_columns
        )
        return frozenset() if None in keys or keys in known or is_self_reference else frozenset(words)

    def _with_defaults(self, row: GeneratedRow) -> dict[str, Any]:
        """Return a row as conditions look at it: with its defaults."""
        if len(row) == len(self._columns):
            return row
        return {
            **row,
            **{column.lower_name: column.default for column in self._columns if column.lower_name not in row},
        }

    def _use_keys(self, keys: Iterable[tuple[UniqueKey, Any]]) -> None:
        for key, found in keys:
            if found is not None:
                self._used_keys[key].add(found)


def _is_compatible(
    row: Mapping[str, Any], words: Sequence[str], keys: Sequence[GeneratedValue], fixed: Container[str]
) -> bool:
    """Tell whether a key of a parent is what stands in the columns that are settled already."""
    return all(row[word] == key for word, key in zip(words, keys, strict=True) if word in fixed)


def _key_values(key: UniqueKey, row: Mapping[str, Any], columns: Mapping[str, ColumnPlan]) -> tuple[Any, ...] | None:
    """Return what must not be there twice, None for a row that cannot be in the way of another."""
    if key.predicate is not None and evaluate.is_surely_false(key.predicate, row):
        return None
    found = tuple(
        _canonical_value(row.get(str(part[1]), UNDECIDED), columns.get(str(part[1])))
        if part[0] == "name"
        else evaluate.evaluate(part, row)
        for part in key.expressions
    )
    if any(value is UNDECIDED for value in found) or (key.nulls_distinct and any(value is None for value in found)):
        return None
    return found


def _canonical_value(value: Any, column: ColumnPlan | None) -> Any:
    """Return one form for all values that the database takes for the same."""
    if not isinstance(value, str) or column is None:
        return value
    if column.column_type.family == "timestamptz":
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            return value
    if column.column_type.family in {"timestamp", "time"}:
        return value.removesuffix(".000000")
    value = value.rstrip(" ") if column.column_type.padded else value
    return value.lower() if column.column_type.caseless else value
