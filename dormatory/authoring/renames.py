"""Probable renames: what the history has and the models do not, and the other way round, that may be the same.

A wrong rename puts values under a name that means something else, a missed one loses them. So a rename is sure only if
nothing but the name differs, no other one is possible, and the names or the edits of the source say the same. What only
resembles is a question. A column or table that resembles nothing is new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.authoring.spelling import is_close_spelling, is_same_spelling
from dormatory.dataloss.renames import SUSPECTED, is_similar_name, rename_facts, resembling_table
from dormatory.schema.renames import is_same_column, name_pairs, renamed_columns, renamed_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.authoring.source_edits import NameReplacement, SourceEdits
    from dormatory.schema.snapshot import Column, Snapshot, Table, TableId

_SUSPICION, _LIKENESS, _IDENTITY = 1, 2, 3  # ranks
_MIN_TELLING_COLUMNS = 5  # a table with fewer is often made like another one
_MIN_COMMON_COLUMNS = 0.5  # the share, where the source was edited like a rename
_TYPE_FAMILIES = {
    "text": r"char|text|clob|string",
    "number": r"int|serial|numeric|decimal|real|double|float",
    "time": r"date|time",
}


@dataclass(frozen=True, slots=True)
class ProbableRename:
    """A table, or a column of a table that both sides have, and the name that it may have in the models."""

    table: TableId
    column: str | None
    new_name: str
    evidence: str
    rank: int
    is_sure: bool

    @property
    def namespace(self) -> str | None:
        """The schema as an operation names it, None for the default one."""
        return None if self.table[0] == "public" else self.table[0]

    @property
    def old_name(self) -> str:
        """The name in the history."""
        return self.column or self.table[1]

    @property
    def lossy_name(self) -> str:
        """The name as a revision's `lossy` has it."""
        return f"{self.table[1]}.{self.column}" if self.column else f"table {self.table[1]}"

    @property
    def subject(self) -> str:
        """The table or column, as the developer calls it."""
        return f"column {self.table[1]}.{self.column}" if self.column else f"table {self.table[1]}"


def probable_renames(found: Snapshot, models: Snapshot, edits: SourceEdits) -> list[ProbableRename]:
    """Return the renames that may lead from the history to the models, sure ones first, tables before columns.

    Each name is in no more than one sure rename, and then in no other.
    """
    found, models = _with_own_counters(found), _with_own_counters(models)
    wanted = {table.id: table for table in models.tables}
    renames = _unambiguous(_table_renames(found, models, edits))
    for table in found.tables:
        if table.id in wanted:
            renames += _unambiguous(_column_renames(table, wanted[table.id], edits))
    return sorted(renames, key=lambda it: (not it.is_sure, it.column is not None, -it.rank))


def _with_own_counters(snapshot: Snapshot) -> Snapshot:
    """Return a structure without the names of sequences that columns own: they follow the names of the columns."""
    names = {sequence.owner: sequence.name for sequence in snapshot.sequences if sequence.owner}

    def without_name(table: Table, column: Column) -> Column:
        name = names.get(f"{table.namespace}.{table.name}.{column.name}")
        return replace(column, default=column.default.replace(name, "")) if name and column.default else column

    return replace(
        snapshot,
        tables=tuple(
            replace(table, columns=tuple(without_name(table, it) for it in table.columns)) for table in snapshot.tables
        ),
    )


def _unambiguous(renames: Iterator[ProbableRename]) -> list[ProbableRename]:
    """Return the renames that share no name with a sure one; a likely one with the same name makes a question of it."""
    candidates = list(renames)

    def rivals(rename: ProbableRename) -> Iterator[ProbableRename]:
        names = rename.old_name, rename.new_name
        return (it for it in candidates if it is not rename and (it.old_name == names[0] or it.new_name == names[1]))

    sure = [it for it in candidates if it.is_sure and all(other.rank < _LIKENESS for other in rivals(it))]
    taken = {it.old_name for it in sure}, {it.new_name for it in sure}
    left = [it for it in candidates if it.old_name not in taken[0] and it.new_name not in taken[1]]
    return sure + [_as_question(it) for it in left]


def _as_question(rename: ProbableRename) -> ProbableRename:
    return replace(rename, is_sure=False)


def _table_renames(found: Snapshot, models: Snapshot, edits: SourceEdits) -> Iterator[ProbableRename]:
    before, after = ({table.id for table in it.tables} for it in (found, models))
    removed = [table for table in found.tables if table.id not in after]
    added = [table for table in models.tables if table.id not in before]
    exact = {(one.id, other.id) for one, other in renamed_tables(removed, added)}
    for old in removed:
        for new in added:
            if (old.namespace, old.kind) == (new.namespace, new.kind):
                replacement = edits.replacement(old.name, new.name)
                yield from _table_rename(old, new, replacement, is_exact=(old.id, new.id) in exact)


def _table_rename(old: Table, new: Table, replacement: NameReplacement, *, is_exact: bool) -> Iterator[ProbableRename]:
    columns, new_columns = ({(it.name, it.type) for it in table.columns} for table in (old, new))
    common = len(columns & new_columns) / len(columns | new_columns) if columns | new_columns else 0
    is_spelt = is_same_spelling(old.name, new.name)
    resemblance = resembling_table(old, new) if columns else None
    is_telling = len(columns) >= _MIN_TELLING_COLUMNS
    is_confirmed = is_spelt or replacement.is_certain or (is_telling and not replacement.is_apart)
    evidence = _listing(
        f"{len(columns & new_columns)} of {len(columns)} columns are the same",
        "so are the constraints" if is_exact else "",
        "another spelling" if is_spelt else "a similar name" if is_similar_name(old.name, new.name) else "",
        str(replacement) if replacement.replaced else "",
    )
    is_sure = (is_exact and common == 1 and is_confirmed) or (replacement.is_certain and common >= _MIN_COMMON_COLUMNS)
    if is_sure and _numbers(old.name) == _numbers(new.name):
        yield ProbableRename(old.id, None, new.name, evidence, _IDENTITY, is_sure=True)
    elif is_spelt or resemblance or (replacement.replaced and common >= _MIN_COMMON_COLUMNS):
        yield ProbableRename(old.id, None, new.name, evidence, _LIKENESS, is_sure=False)
    elif is_exact and not replacement.is_apart:
        yield ProbableRename(old.id, None, new.name, evidence, _SUSPICION, is_sure=False)


def _column_renames(before: Table, after: Table, edits: SourceEdits) -> Iterator[ProbableRename]:
    kept = {column.name for column in before.columns} & {column.name for column in after.columns}
    in_place = {(one.name, other.name) for one, other, _ in renamed_columns(before, after)}
    for old in before.columns:
        for new in after.columns:
            if not kept & {old.name, new.name} and old.generated is None is new.generated:
                replacement = edits.replacement(old.name, new.name)
                is_in_place = (old.name, new.name) in in_place
                likeness = _Likeness.of_columns(old, new, before, after, replacement, is_in_place=is_in_place)
                if likeness.rank:
                    yield ProbableRename(
                        before.id, old.name, new.name, likeness.evidence, likeness.rank, likeness.rank == _IDENTITY
                    )


@dataclass(frozen=True, slots=True)
class _Likeness:
    """How much two columns resemble each other, and in what; rank 0 is not at all."""

    rank: int
    evidence: str

    @classmethod
    def of_columns(
        cls, old: Column, new: Column, before: Table, after: Table, replacement: NameReplacement, *, is_in_place: bool
    ) -> _Likeness:
        is_spelt = is_same_spelling(old.name, new.name, before.name)
        is_close = is_close_spelling(old.name, new.name)
        is_similar = is_spelt or is_close or is_similar_name(old.name, new.name)
        name = "another spelling" if is_spelt else "a similar name" if is_similar else ""
        edits = str(replacement) if replacement.replaced else ""
        facts = rename_facts(before, after, old, new)
        if old.type != new.type:
            rank = cls._of_other_type(facts, replacement, name) if _type_family(old) == _type_family(new) else 0
            words = [it for it in dict.fromkeys(facts) if it not in {"a similar name", "the same size"}]
            return cls(rank, _listing(f"type {old.type} becomes {new.type}", name, *words, edits))
        is_same = is_in_place or is_same_column(old, new, name_pairs([(old.name, new.name)]), before, after)
        words = [it for it in dict.fromkeys(facts) if it != "a similar name"]
        words += ["the same place"] * (is_in_place and "the same place" not in words)
        evidence = _listing("the same type", name, *words, edits)
        if is_same and (is_spelt or (is_close and replacement.is_likely) or replacement.is_certain):
            return cls(_IDENTITY, evidence)
        if is_similar or "the same constraints or indexes" in facts or replacement.replaced:
            return cls(_LIKENESS, evidence)
        is_suspect = (is_in_place or len(facts) >= SUSPECTED) and not replacement.is_apart
        return cls(_SUSPICION * is_suspect, evidence)

    @staticmethod
    def _of_other_type(facts: Sequence[str], replacement: NameReplacement, name: str) -> int:
        """Return the rank where the type is of the same family, but another one: never sure."""
        others = {*facts} - {"a similar name", "the same size"}
        if name or replacement.replaced or "the same constraints or indexes" in others:
            return _LIKENESS
        return _SUSPICION * (len(others) >= SUSPECTED and not replacement.is_apart)


def _type_family(column: Column) -> str:
    text = column.type.lower()
    return next((name for name, words in _TYPE_FAMILIES.items() if re.search(words, text)), text.split("(")[0])


def _numbers(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _listing(*words: str) -> str:
    return ", ".join(filter(None, words))
