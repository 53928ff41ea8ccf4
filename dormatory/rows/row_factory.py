"""Makes rows for one table, in memory: each by its turn, then changed until nothing known speaks against it."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from dormatory.sql import evaluate
from dormatory.sql.evaluate import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from dormatory.rows.plan import ColumnPlan, Key, Link, TablePlan
    from dormatory.rows.unique_values import Value

    # What is not in it is left to the database.
    Row: TypeAlias = dict[str, Value]

_ATTEMPTS = 40
_BARE, _DEFAULTS, _EDGES = 1, 2, 3  # turns: NULL wherever it may be, defaults wherever they are, one edge after another
_NULL_EVERY = 7  # turns of a column with edges
# How a number between 0 and 1 decides what a column gets instead of a value that will not do.
_FRESH, _KNOWN, _NULL, _DEFAULT, _EXTREME = 0.3, 0.6, 0.7, 0.8, 0.9
_MANY_LISTED = 64  # of an enumeration, more are not all tried


class Maker:
    """Makes rows that differ where they must, from each other and from those that are there.

    `there` are the rows the table holds, as far as its keys are concerned; `parents` are the keys that each foreign
    key may name; `promised` are keys that rows of other tables already name.
    """

    def __init__(
        self,
        plan: TablePlan,
        *,
        there: Sequence[Mapping[str, Any]] = (),
        count: int = 0,
        edges: bool = True,
        promised: Sequence[Mapping[str, Value]] = (),
    ) -> None:
        self.plan, self._count, self._edges, self._promised = plan, count, edges, promised
        self.parents: dict[Link, Sequence[tuple[Value, ...]]] = {}
        self.plain: frozenset[str] = frozenset()  # columns that get no extremes, in small letters
        self._columns = [column for column in plan.columns if not column.left_out]
        self._by_word = {column.word: column for column in self._columns}
        self._required = {column.word for column in self._columns if not column.nullable}
        self._single = {next(iter(key.columns)) for key in plan.keys if len(key.columns) == 1 and not key.predicate}
        self._streams = {column.word: column.fresh(count) for column in self._columns}
        self._taken: dict[Key, set[Any]] = {key: set() for key in plan.keys}
        self._refused: list[tuple[frozenset[str], Row]] = []
        self._first: Row | None = None
        self._accepted: list[Row] = []
        for row in there:
            self._take((key, _key_of(key, row, self._by_word)) for key in plan.keys)

    @property
    def wanted(self) -> int:
        """How many rows it takes to show every value of each enumeration, besides those with turns of their own."""
        listed = [len(column.plausible) for column in self._columns if column.enumerated]
        return min(_MANY_LISTED, max(listed, default=0) + _EDGES + 1)

    def row(self, turn: int, of: int) -> Row | None:
        """Return the row for a turn, None if none was found; the last of them repeats the first where it can."""
        draft = self._drafted(turn, of)
        found = None if draft is None else self._mended(draft, turn)
        self._first = self._first or found
        return found

    def another(self, row: Row, words: Iterable[str], turn: int) -> Row | None:
        """Return a row instead of one that the database refused because of these columns."""
        about = frozenset(words)
        self._refused.append((about, {word: row[word] for word in about if word in row}))
        return self._mended(row, turn, len(self._refused))

    def forget(self, row: Row) -> None:
        """Let the values of a row that was not inserted be used again."""
        typed = self._typed(row)
        for key in self.plan.keys:
            self._taken[key].discard(_key_of(key, typed, self._by_word))

    def accept(self, row: Row) -> None:
        """Remember a row that the database took."""
        self._accepted.append(row)

    def _mended(self, draft: Row, turn: int, again: int = 0) -> Row | None:
        row = dict(draft)
        for attempt in range(_ATTEMPTS):
            typed = self._typed(row)
            keys = [(key, _key_of(key, typed, self._by_word)) for key in self.plan.keys]
            blamed = self._blamed(row, typed, keys)
            if not blamed:
                self._take(keys)
                return row
            by_chance = Random(f"{self.plan.table.name}:{self._count}:{turn}:{again}:{attempt}")  # noqa: S311  # the same each time
            if not self._redraw(row, blamed, by_chance):
                return None
        return None

    def _drafted(self, turn: int, of: int) -> Row | None:
        if turn == of - 1 and self._first is not None:
            return self._repeated(self._first)
        row: Row = {}
        if turn < len(self._promised):
            row |= self._promised[turn]
        for link in self.plan.links:
            if not self._linked(row, link, turn):
                return None
        for place, column in enumerate(self._columns):
            if column.word not in row and not self._is_defaulted(column, turn):
                row[column.word] = self._turned(column, turn, place)
        return row

    def _repeated(self, row: Row) -> Row:
        """Return the same row but for what may not be there twice."""
        alone = [word for word in self._single | self.plan.apart if row.get(word) is not None]
        return row | {word: next(self._streams[word], None) for word in alone}

    def _linked(self, row: Row, link: Link, turn: int) -> bool:
        """Give the columns of a foreign key a parent, and tell whether there is one."""
        words = [column.word for column in link.columns]
        known = self.parents.get(link, ())
        settled = row.keys() & set(words)
        fitting = [keys for keys in known if _agree(row, words, keys, settled)] if settled else known
        alone = turn == _BARE or (self._edges and turn % 7 == 5)  # noqa: PLR2004
        if (alone or not fitting) and not link.is_required:
            loose = [column for column in link.columns if column.nullable and column.word not in row]
            if loose and not (link.is_full and len(loose) < len(words)):
                row |= dict.fromkeys((column.word for column in loose), None)
                if not link.is_full and fitting:
                    keys = fitting[turn % len(fitting)]
                    row |= {word: row.get(word, key) for word, key in zip(words, keys, strict=True)}
                return True
        if not fitting and not known and link.parent == self.plan.id:
            return self._rooted(row, link)
        if not fitting:
            return any(row.get(word, 0) is None for word in words)
        row |= zip(words, fitting[(turn + len(self._refused)) % len(fitting)], strict=True)
        return True

    def _rooted(self, row: Row, link: Link) -> bool:
        """Let the first row of a table that must refer to itself refer to itself, and tell whether it can."""
        for column, referred in zip(link.columns, link.referred, strict=True):
            if referred.lower() not in self._by_word:
                return False
            own = row.get(referred.lower()) or next(self._streams[referred.lower()], None)
            row |= {referred.lower(): own, column.word: own}
        return True

    def _is_defaulted(self, column: ColumnPlan, turn: int) -> bool:
        if column.numbered and column.kind.family != "integer":
            return True
        steady = column.is_steady and turn == _DEFAULTS and column.word not in self._single
        return column.has_default and (steady or not (column.plausible or column.nullable))

    def _turned(self, column: ColumnPlan, turn: int, place: int) -> Value:
        """Return the value that a column has its turn for."""
        if column.nullable and (
            turn == _BARE
            or not column.plausible
            or (self._edges and not column.enumerated and self._is_null(turn, place))
        ):
            return None
        if column.word in self._single or column.word in self.plan.apart or column.numbered:
            return next(self._streams[column.word], None)
        if column.extreme and self._edges and turn >= _EDGES and column.word not in self.plain:
            return column.extreme[self._edge(turn, place, len(column.extreme), nullable=column.nullable)]
        if not column.plausible:
            return None
        step = turn - _EDGES if column.enumerated and turn >= _EDGES else turn
        return column.plausible[step % len(column.plausible)]

    @staticmethod
    def _edge(turn: int, place: int, of: int, *, nullable: bool) -> int:
        """Return which edge has its turn: the first ones all in one row, the others beside different ones."""
        if turn == _EDGES or of == 1:
            return 0
        passed, since = divmod(turn - _EDGES - 1, _NULL_EVERY)
        rank = passed * (_NULL_EVERY - 1) + since - (since > place % _NULL_EVERY) if nullable else turn
        return 1 + (rank + place * 3) % (of - 1)

    @staticmethod
    def _is_null(turn: int, place: int) -> bool:
        return turn > _EDGES and (turn - _EDGES - 1 - place) % _NULL_EVERY == 0

    def _redraw(self, row: Row, blamed: frozenset[str], by_chance: Random) -> bool:
        """Change what is blamed, and tell whether there was anything to change."""
        links = [link for link in self.plan.links if any(column.word in blamed for column in link.columns)]
        linked = {column.word for link in links for column in link.columns}
        changed = False
        for place, link in enumerate(links):
            words = [column.word for column in link.columns]
            settled = {column.word for before in links[:place] for column in before.columns}
            fitting = [keys for keys in self.parents.get(link, ()) if _agree(row, words, keys, settled)]
            if fitting and not any(row.get(word, 0) is None for word in words if word not in settled):
                row |= zip(words, by_chance.choice(fitting), strict=True)
                changed = True
        for word in sorted(blamed - linked):
            column = self._by_word.get(word)
            if column is not None:
                self._put(row, column, by_chance)
                changed = True
        return changed

    def _put(self, row: Row, column: ColumnPlan, by_chance: Random) -> None:
        """Give a column another value; where the database refused some, NULL, the default or an extreme may be it."""
        draw, word = by_chance.random(), column.word
        accepted = [it[word] for it in self._accepted if word in it]
        if word in self._single or word in self.plan.apart or draw < _FRESH:
            found = next(self._streams[word], None)
            if found is not None or column.nullable:
                row[word] = found
        elif accepted and self._refused and draw < _KNOWN:
            row[word] = by_chance.choice(accepted)
        elif column.nullable and self._refused and draw < _NULL:
            row[word] = None
        elif column.has_default and self._refused and draw < _DEFAULT:
            row.pop(word, None)
        elif column.plausible:
            extreme = column.extreme if self._refused and draw > _EXTREME else ()
            row[word] = by_chance.choice(extreme or column.plausible)

    def _blamed(self, row: Row, typed: Mapping[str, Any], keys: Sequence[tuple[Key, Any]]) -> frozenset[str]:
        """Return the columns because of which a row will surely not do; none if it may."""
        for word, value in row.items():
            if value is None and word in self._required:
                return frozenset({word})
        for condition in self.plan.conditions:
            if evaluate.refuses(condition, typed):
                return frozenset(evaluate.names(condition) & self._by_word.keys())
        for about, values in self._refused:
            if values == {word: row[word] for word in about if word in row} and about:
                return about
        for key, found in keys:
            if found is not None and found in self._taken[key]:
                return key.columns
        return next((about for link in self.plan.links if (about := self._dangling(row, link))), frozenset())

    def _dangling(self, row: Row, link: Link) -> frozenset[str]:
        """Return the columns of a foreign key that names no row; one with a NULL in it names none on purpose."""
        words = [column.word for column in link.columns]
        keys = tuple(row.get(word) for word in words)
        known = self.parents.get(link, ())
        itself = link.parent == self.plan.id and keys == tuple(row.get(name.lower()) for name in link.referred)
        return frozenset() if None in keys or keys in known or itself else frozenset(words)

    def _typed(self, row: Row) -> dict[str, Any]:
        """Return a row as conditions look at it: with its defaults."""
        if len(row) == len(self._columns):
            return row
        return {**row, **{column.word: column.default for column in self._columns if column.word not in row}}

    def _take(self, keys: Iterable[tuple[Key, Any]]) -> None:
        for key, found in keys:
            if found is not None:
                self._taken[key].add(found)


def _agree(row: Mapping[str, Any], words: Sequence[str], keys: Sequence[Value], settled: Container[str]) -> bool:
    """Tell whether a key of a parent is what stands in the columns that are settled already."""
    return all(row[word] == key for word, key in zip(words, keys, strict=True) if word in settled)


def _key_of(key: Key, row: Mapping[str, Any], columns: Mapping[str, ColumnPlan]) -> tuple[Any, ...] | None:
    """Return what must not be there twice, None for a row that cannot be in the way of another."""
    if key.predicate is not None and evaluate.refuses(key.predicate, row):
        return None
    found = tuple(
        _same(row.get(str(part[1]), UNKNOWN), columns.get(str(part[1])))
        if part[0] == "name"
        else evaluate.evaluate(part, row)
        for part in key.parts
    )
    if any(value is UNKNOWN for value in found) or (key.nulls_distinct and any(value is None for value in found)):
        return None
    return found


def _same(value: Any, column: ColumnPlan | None) -> Any:
    """Return one form for all values that the database takes for the same."""
    if not isinstance(value, str) or column is None:
        return value
    if column.kind.family == "timestamptz":
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            return value
    if column.kind.family in {"timestamp", "time"}:
        return value.removesuffix(".000000")
    value = value.rstrip(" ") if column.kind.padded else value
    return value.lower() if column.kind.caseless else value
