"""Makes rows for one table, in memory: each row by its turn, then changed until it violates nothing that is known."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from dormatory.rows.condition_repair import changes_to_meet
from dormatory.rows.turns import (
    FIRST_EXTREME_ROW,
    KEY_SHARING_ROWS,
    ROWS_PER_NULL,
    is_default_turn,
    is_null_turn,
    is_parentless_turn,
    value_for_turn,
)
from dormatory.rows.used_keys import UsedKeys
from dormatory.sql.evaluate import is_surely_false, referenced_columns

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from dormatory.rows.plan import ColumnPlan, ForeignKeyPlan, TablePlan, UniqueKey
    from dormatory.rows.unique_values import GeneratedValue

    # What is not in it is left to the database.
    GeneratedRow: TypeAlias = dict[str, GeneratedValue]

_MAX_ATTEMPTS = 40
# How a random number between 0 and 1 decides what a column gets instead of a value that was refused.
_NEW_VALUE_BELOW, _ACCEPTED_VALUE_BELOW, _NULL_BELOW, _DEFAULT_BELOW, _EXTREME_ABOVE = 0.3, 0.6, 0.7, 0.8, 0.9
_MAX_LISTED_ROWS = 64  # of a longer enumeration, not all values are tried


class RowFactory:
    """Makes rows that differ where they must, from each other and from the existing rows.

    `existing_rows` hold only the columns of the table's keys; `reserved_keys` are keys that rows of other tables
    already refer to; the `plain_columns`, in small letters, get no extremes. Set `parent_keys` to the keys that each
    foreign key may refer to.
    """

    def __init__(
        self,
        plan: TablePlan,
        *,
        existing_rows: Sequence[Mapping[str, Any]] = (),
        existing_count: int = 0,
        with_extremes: bool = True,
        reserved_keys: Sequence[Mapping[str, GeneratedValue]] = (),
        plain_columns: frozenset[str] = frozenset(),
    ) -> None:
        self.plan, self._existing_count, self._with_extremes = plan, existing_count, with_extremes
        self._reserved_keys, self._plain_columns = reserved_keys, plain_columns
        self.parent_keys: dict[ForeignKeyPlan, Sequence[tuple[GeneratedValue, ...]]] = {}
        self._columns = [column for column in plan.columns if not column.is_generated]
        self._columns_by_name = {column.lower_name: column for column in self._columns}
        self._not_null_columns = {column.lower_name for column in self._columns if not column.nullable}
        self._unique_columns = {
            next(iter(key.columns)) for key in plan.unique_keys if len(key.columns) == 1 and not key.predicate
        }
        self._new_values = {column.lower_name: self._values_apart(column, existing_count) for column in self._columns}
        self._used_keys = UsedKeys(plan)
        self._rejected: list[tuple[frozenset[str], GeneratedRow]] = []
        self._first_row: GeneratedRow | None = None
        self._accepted_rows: list[GeneratedRow] = []
        for row in existing_rows:
            self._used_keys.add(self._used_keys.keys_of(row))

    def _values_apart(self, column: ColumnPlan, start: int) -> Iterator[GeneratedValue]:
        """Return different values for a column. Extreme keys would leave none for a revision that counts on."""
        is_number_key = column.column_type.family == "integer" and column.name in self.plan.table.primary_key
        return column.varied_values(start, with_extremes=self._has_extremes(column) and not is_number_key)

    def _has_extremes(self, column: ColumnPlan) -> bool:
        return self._with_extremes and column.lower_name not in self._plain_columns

    @property
    def listed_row_count(self) -> int:
        """How many rows are needed to show each value of an enumeration or of a hint, after the special turns."""
        listed = [len(it.plausible) for it in self._columns if it.enumerated]
        known = (len(it.extreme or it.plausible) for it in self._columns if it.known)
        listed += [count * ROWS_PER_NULL // (ROWS_PER_NULL - 1) + 2 for count in known]
        return min(_MAX_LISTED_ROWS, max(listed, default=0) + FIRST_EXTREME_ROW + 1)

    def make_row(self, row_index: int, total: int) -> GeneratedRow | None:
        """Return the row for a turn, None if none was found; the last row repeats the first as far as it may."""
        draft = self._draft_row(row_index, total)
        found = None if draft is None else self._repair(draft, row_index)
        self._first_row = self._first_row or found
        return found

    def make_replacement(self, row: GeneratedRow, column_names: Iterable[str], row_index: int) -> GeneratedRow | None:
        """Return another row for one that the database refused because of these columns."""
        columns = frozenset(column_names)
        self._rejected.append((columns, {word: row[word] for word in columns if word in row}))
        return self._repair(row, row_index, len(self._rejected))

    def release_keys(self, row: GeneratedRow) -> None:
        """Allow the keys of a row that was not inserted to be used again."""
        self._used_keys.discard(self._used_keys.keys_of(self._with_defaults(row)))

    def accept(self, row: GeneratedRow) -> None:
        """Remember a row that the database accepted."""
        self._accepted_rows.append(row)

    def _repair(self, draft: GeneratedRow, row_index: int, repetition: int = 0) -> GeneratedRow | None:
        row = dict(draft)
        for attempt in range(_MAX_ATTEMPTS):
            typed = self._with_defaults(row)
            keys = self._used_keys.keys_of(typed)
            violating = self._violating_columns(row, keys)
            unmet = next((it for it in self.plan.conditions if is_surely_false(it, typed)), None)
            random = Random(f"{self.plan.table.name}:{self._existing_count}:{row_index}:{repetition}:{attempt}")  # noqa: S311  # the same each time
            if violating:
                is_changed = self._change_columns(row, violating, random)
            elif unmet:
                columns = (self._columns_by_name.get(word) for word in sorted(referenced_columns(unmet)))
                options = {column.lower_name: self._possible_values(column) for column in columns if column}
                changes = changes_to_meet(unmet, typed, options, random)
                row, is_changed = row | changes, bool(changes)
            else:
                self._used_keys.add(keys)
                return row
            if not is_changed:
                return None
        return None

    def _possible_values(self, column: ColumnPlan) -> list[GeneratedValue]:
        """Return values with which a column may meet a condition."""
        links = [link for link in self.plan.foreign_keys if column in link.columns]
        found = [key[0] for key in self.parent_keys.get(links[0], ()) if len(key) == 1] if links else []
        if not links:
            found += [next(self._new_values[column.lower_name], None)]
            found += () if self._needs_new_value(column) else column.plausible
        return [value for value in (None, *found) if value is not None or column.nullable]

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
        if self._first_row and row_index in KEY_SHARING_ROWS:
            self._share_keys(row, self._first_row, KEY_SHARING_ROWS.index(row_index))
        return row

    def _share_keys(self, row: GeneratedRow, first: GeneratedRow, turn: int) -> None:
        """Let a row have the keys of the first row, except for one column of each, whose values are almost equal."""
        for key in self.plan.unique_keys:
            words = sorted(key.columns & self._columns_by_name.keys())
            if not words[1:] or any(self._needs_new_value(self._columns_by_name[word]) for word in words):
                continue
            differing = words[turn % len(words)]
            row |= {word: first[word] for word in words if word != differing and word in first}
            similar = self._columns_by_name[differing].near_duplicates(first.get(differing))
            if similar:
                row[differing] = similar[turn // len(words) % len(similar)]

    def _repeat_row(self, row: GeneratedRow) -> GeneratedRow:
        """Return the same row, with new values in the columns that must differ."""
        distinct = [word for word in self._unique_columns | self.plan.distinct_columns if row.get(word) is not None]
        return row | {word: next(self._new_values[word], None) for word in distinct}

    def _set_foreign_key(self, row: GeneratedRow, foreign_key: ForeignKeyPlan, row_index: int) -> bool:
        """Let a foreign key refer to a parent, or to none; return whether the row is possible."""
        words = [column.lower_name for column in foreign_key.columns]
        known = self.parent_keys.get(foreign_key, ())
        fixed = row.keys() & set(words)
        compatible = [keys for keys in known if _is_compatible(row, words, keys, fixed)] if fixed else known
        is_parentless = is_parentless_turn(row_index, with_extremes=self._with_extremes)
        if (is_parentless or not compatible) and not foreign_key.is_required:
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
        """Let the first row of a table refer to itself, if it must; return whether it can."""
        for column, referred in zip(foreign_key.columns, foreign_key.parent_columns, strict=True):
            if referred.lower() not in self._columns_by_name:
                return False
            value = row.get(referred.lower()) or next(self._new_values[referred.lower()], None)
            row |= {referred.lower(): value, column.lower_name: value}
        return True

    def _is_left_to_default(self, column: ColumnPlan, row_index: int) -> bool:
        if column.is_auto_numbered and column.column_type.family != "integer":
            return True
        is_turn = is_default_turn(column, row_index) and column.lower_name not in self._unique_columns
        return column.has_default and (is_turn or not (column.plausible or column.nullable))

    def _value_for_row(self, column: ColumnPlan, row_index: int, column_index: int) -> GeneratedValue:
        if is_null_turn(column, row_index, column_index, with_extremes=self._with_extremes):
            return None
        if self._needs_new_value(column) or column.is_auto_numbered:
            return next(self._new_values[column.lower_name], None)
        return value_for_turn(column, row_index, column_index, with_extremes=self._has_extremes(column))

    def _needs_new_value(self, column: ColumnPlan) -> bool:
        return column.lower_name in self._unique_columns or column.lower_name in self.plan.distinct_columns

    def _change_columns(self, row: GeneratedRow, violating: frozenset[str], random: Random) -> bool:
        """Change the violating columns; return whether there was anything to change."""
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
        """Give a column another value: also NULL, the default or an extreme, once the database has refused a row."""
        draw, word = random.random(), column.lower_name
        accepted = [it[word] for it in self._accepted_rows if word in it]
        if self._needs_new_value(column) or draw < _NEW_VALUE_BELOW:
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

    def _violating_columns(self, row: GeneratedRow, keys: Mapping[UniqueKey, tuple[Any, ...]]) -> frozenset[str]:
        """Return the columns because of which a row will surely be refused, whatever its conditions say."""
        for word, value in row.items():
            if value is None and word in self._not_null_columns:
                return frozenset({word})
        for columns, values in self._rejected:
            if values == {word: row[word] for word in columns if word in row} and columns:
                return columns
        if key := self._used_keys.first_used(keys):
            return key.columns
        return next(
            (columns for link in self.plan.foreign_keys if (columns := self._dangling_columns(row, link))), frozenset()
        )

    def _dangling_columns(self, row: GeneratedRow, foreign_key: ForeignKeyPlan) -> frozenset[str]:
        """Return the columns of a foreign key that refers to no row; with a NULL in it, it does so on purpose."""
        words = [column.lower_name for column in foreign_key.columns]
        keys = tuple(row.get(word) for word in words)
        known = self.parent_keys.get(foreign_key, ())
        is_self_reference = foreign_key.parent == self.plan.id and keys == tuple(
            row.get(name.lower()) for name in foreign_key.parent_columns
        )
        return frozenset() if None in keys or keys in known or is_self_reference else frozenset(words)

    def _with_defaults(self, row: GeneratedRow) -> dict[str, Any]:
        """Return a row with its defaults, as conditions are evaluated for it."""
        return row | {it.lower_name: it.default for it in self._columns if it.lower_name not in row}


def _is_compatible(
    row: Mapping[str, Any], words: Sequence[str], keys: Sequence[GeneratedValue], fixed: Container[str]
) -> bool:
    """Return whether a parent's key has the values that the row has in the fixed columns."""
    return all(row[word] == key for word, key in zip(words, keys, strict=True) if word in fixed)
