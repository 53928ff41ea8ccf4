"""Two snapshots of one backend with one spelling for what means the same, so that their diff shows real differences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from dormatory.sql.expression import EXACT, portable_index_key
from dormatory.sql.meaning import condition_meaning, default_meaning
from dormatory.sql.types import is_same_declared_type, portable_type, varchar_length

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from dormatory.schema.snapshot import Column, Constraint, Index, Sequence, Snapshot, Table, TableId
    from dormatory.sql.dialect import Dialect

PartName: TypeAlias = "tuple[TableId, str]"


def _never(_type: str, _one: str, _other: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What decides whether two spellings mean the same.

    `names` are the constraints and indexes whose names somebody chose, None for all. `derived_lengths` are columns
    whose models give no length: it is that of the longest value of an enumeration. With `accepts_unlimited`, a text
    without a limit is the same as one with a limit: it holds all of its values. `is_same_value` asks a server whether
    two defaults give the same value in a column of a type.
    """

    dialect: Dialect
    names: Collection[PartName] | None = None
    derived_lengths: Collection[PartName] = ()
    accepts_unlimited: bool = False
    is_same_value: Callable[[str, str, str], bool] = _never


def align_spelling(given: Snapshot, reference: Snapshot, equivalence: Equivalence) -> Snapshot:
    """Return `given` with the spelling of `reference` wherever the two mean the same.

    This goes for defaults, generated values, CHECKs, indexes and types; for the sequence of a serial column, which
    follows the column whatever it is called; and for the names of constraints and indexes that nobody chose.
    """
    references = {table.id: table for table in reference.tables}
    owned = {sequence.owner: sequence for sequence in reference.sequences if sequence.owner}
    owners = frozenset(owned.keys() & {sequence.owner for sequence in given.sequences})
    tables = tuple(
        _TableAlignment(table, references[table.id], equivalence, owners).table()
        if table.id in references and table != references[table.id]
        else table
        for table in given.tables
    )
    old_types, new_types = (_column_types(schema) for schema in (reference, given))
    same_type = {owner for owner in owners if owner and old_types.get(owner) == new_types.get(owner)}
    sequences = tuple(
        _with_owned(sequence, owned[sequence.owner], has_same_type=sequence.owner in same_type)
        if sequence.owner in owned
        else sequence
        for sequence in given.sequences
    )
    return replace(given, tables=tables, sequences=sequences)


def _with_owned(sequence: Sequence, other: Sequence, *, has_same_type: bool) -> Sequence:
    """Return the sequence of a column with the name of its counterpart; its type follows a type that differs."""
    found = replace(sequence, namespace=other.namespace, name=other.name)
    return found if has_same_type else replace(found, type=other.type, maximum=other.maximum)


def _column_types(schema: Snapshot) -> dict[str, str]:
    return {f"{it.namespace}.{it.name}.{column.name}": column.type for it in schema.tables for column in it.columns}


class _TableAlignment:
    """Aligns one table with its counterpart; `owners` are the columns that have a sequence on both sides."""

    def __init__(
        self, given: Table, reference: Table, equivalence: Equivalence, owners: Collection[str | None]
    ) -> None:
        self._given, self._reference, self._owners = given, reference, owners
        self._equivalence, self._dialect = equivalence, equivalence.dialect
        self._types = frozenset((column.name.lower(), portable_type(column.type)) for column in reference.columns)

    def table(self) -> Table:
        """Return the given table in the spelling of its counterpart."""
        columns = {column.name: column for column in self._reference.columns}
        return replace(
            self._given,
            columns=tuple(self._column(it, columns.get(it.name, it)) for it in self._given.columns),
            constraints=tuple(self._constraints()),
            indexes=tuple(self._indexes()),
        )

    def _column(self, column: Column, other: Column) -> Column:
        if self._is_same_type(column, other):
            column = replace(column, type=other.type)
        if column.default != other.default and self._is_same_default(column, other):
            column = replace(column, default=other.default)
        if column.generated and other.generated and self._meaning(column.generated) == self._meaning(other.generated):
            column = replace(column, generated=other.generated)
        return column

    def _is_same_type(self, column: Column, other: Column) -> bool:
        is_derived = (self._given.id, column.name) in self._equivalence.derived_lengths
        is_unlimited = self._equivalence.accepts_unlimited and varchar_length(other.type) == ""
        if (is_derived or is_unlimited) and _is_wider(other.type, column.type):
            return True
        return is_same_declared_type(column.type, other.type, self._dialect)

    def _is_same_default(self, column: Column, other: Column) -> bool:
        one, two = (default_meaning(it.default, column.type, self._dialect) for it in (column, other))
        if one == two:
            return True
        if one is None or two is None or column.default is None or other.default is None:
            return False
        if one[:2] == two[:2] == ("call", "nextval"):
            return f"{self._given.namespace}.{self._given.name}.{column.name}" in self._owners
        return column.type == other.type and self._equivalence.is_same_value(column.type, column.default, other.default)

    def _meaning(self, expression: str) -> object:
        return condition_meaning(expression, self._dialect, self._types)

    def _is_named(self, name: str | None) -> bool:
        names = self._equivalence.names
        return name is not None and (names is None or (self._given.id, name) in names)

    def _constraints(self) -> Iterator[Constraint]:
        """Yield the constraints in the spelling, and the unnamed ones with the names, of their counterparts.

        A UNIQUE over the columns of the primary key says nothing, and PostgreSQL drops it from a CREATE TABLE.
        """
        left = list(self._reference.constraints)
        rest: list[Constraint] = []
        for constraint in self._given.constraints:
            candidates = [it for it in left if it.kind == constraint.kind and self._may_match(constraint, it)]
            candidates.sort(key=lambda it: (it != constraint, it.name != constraint.name))
            same = next((it for it in candidates if self._is_same_constraint(constraint, it)), None)
            if same is None:
                rest.append(constraint)
            else:
                left.remove(same)
                yield replace(same, comment=constraint.comment)
        for constraint in rest:
            if not _repeats_key(constraint, self._given):
                yield self._with_name_of_counterpart(constraint, left)
        yield from (constraint for constraint in left if _repeats_key(constraint, self._given))

    def _with_name_of_counterpart(self, constraint: Constraint, left: list[Constraint]) -> Constraint:
        """Return a constraint that differs; an unnamed one with the name of the one that was meant, if it is clear."""
        if self._is_named(constraint.name):
            return constraint
        is_key = constraint.kind == "PRIMARY KEY"
        found = [it for it in left if it.kind == constraint.kind and (is_key or it.columns == constraint.columns)]
        if len(found) != 1:
            return constraint
        left.remove(found[0])
        return replace(constraint, name=found[0].name)

    def _may_match(self, given: Constraint | Index, other: Constraint | Index) -> bool:
        return given.name == other.name or not self._is_named(given.name)

    def _is_same_constraint(self, one: Constraint, other: Constraint) -> bool:
        if one.definition == other.definition:
            return True
        if one.expression is None or other.expression is None:
            return False
        if one.definition.replace(one.expression, "", 1) != other.definition.replace(other.expression, "", 1):
            return False
        return self._meaning(one.expression) == self._meaning(other.expression)

    def _indexes(self) -> Iterator[Index]:
        """Yield the indexes in the spelling, and the unnamed ones with the names, of their counterparts."""
        left = list(self._reference.indexes)
        for index in self._given.indexes:
            candidates = [it for it in left if self._may_match(index, it)]
            candidates.sort(key=lambda it: (it != index, it.name != index.name))
            same = next((it for it in candidates if self._is_same_index(index, it)), None)
            if same is not None:
                left.remove(same)
                yield replace(
                    index, name=same.name, definition=same.definition, keys=same.keys, predicate=same.predicate
                )
            else:
                yield index

    def _is_same_index(self, one: Index, other: Index) -> bool:
        if one.definition == other.definition:
            return True
        if _skeleton(one) != _skeleton(other) or len(one.keys) != len(other.keys):
            return False
        keys, other_keys = (
            [portable_index_key(key, self._dialect, self._types, EXACT) for key in it.keys] for it in (one, other)
        )
        return keys == other_keys and self._meaning(one.predicate or "") == self._meaning(other.predicate or "")


def _repeats_key(constraint: Constraint, table: Table) -> bool:
    return constraint.kind == "UNIQUE" and constraint.columns == table.primary_key


def _is_wider(one: str, other: str) -> bool:
    """Return whether a VARCHAR holds every text that another one holds."""
    length, other_length = varchar_length(one), varchar_length(other)
    if length is None or not other_length:
        return False
    return length == "" or int(length) >= int(other_length)


def _skeleton(index: Index) -> str:
    """Return the definition of an index without its keys and its predicate."""
    text = index.definition
    for expression in (*index.keys, index.predicate or ""):
        text = text.replace(expression, "", 1)
    return text
