"""What there is to know about a table before rows are made for it: read once from its structure, kept for the next time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from dormatory.migrations.rows import conditions, hints, values
from dormatory.migrations.rows.kinds import Kinds
from dormatory.schema.expression import portable_expression, portable_key
from dormatory.schema.tokens import Kind as Token
from dormatory.schema.tokens import Syntax, identifier, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dormatory.migrations.rows.kinds import Kind
    from dormatory.migrations.rows.values import Value
    from dormatory.schema.meanings import Node
    from dormatory.schema.snapshot import Column, Constraint, Index, Snapshot, Table

_TRIED = 400  # numbers to try for one more value that passes the conditions


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A column, and the values it may be given."""

    name: str
    word: str  # in small letters, as conditions name it
    kind: Kind
    label: str
    nullable: bool
    left_out: bool  # the database alone fills it
    numbered: bool  # the database would number it
    has_default: bool
    default: Any  # of a constant: what it is; otherwise UNKNOWN
    is_steady: bool  # the default is the same at any time
    conditions: tuple[Node, ...]
    plausible: tuple[Value, ...]
    extreme: tuple[Value, ...]
    enumerated: bool  # `plausible` are all the values there are

    def passes(self, value: Value) -> bool:
        """Tell whether no condition on this column alone surely refuses a value."""
        return not any(conditions.refuses(condition, {self.word: value}) for condition in self.conditions)

    def fresh(self, start: int) -> Iterator[Value]:
        """Yield different values, as many as there are; those after `start` differ from the ones before it."""
        for number in range(start + 1, start + _TRIED):
            value = values.fresh(self.kind, self.label, number)
            if value is not None and self.passes(value):
                yield value
            elif self.conditions:
                yield from self._shaped(number)

    def _shaped(self, number: int) -> Iterator[Value]:
        """Yield at most one value, of a shape that the conditions ask for."""
        patterns = (hints.matching(condition, number) for condition in self.conditions)
        texts = [found[1] for found in patterns if found] if self.kind.family == "text" else []
        if self.kind.family == "text":
            texts += hints.forms(self.label, number)
            texts += [f"{text}{values.based(number)}" for text in self.plausible[:2] if isinstance(text, str)]
        size = self.kind.length
        found: Iterator[Value] = (text for text in texts if (not size or len(text) <= size) and self.passes(text))
        yield from islice(found, 1)
        if self.kind.family in {"integer", "float", "numeric"}:
            near = (value + number for value in self.plausible[:1] if isinstance(value, (int, float)))
            yield from (value for value in (*near, number) if self.passes(value))


@dataclass(frozen=True, slots=True)
class Key:
    """What must be unique: columns or expressions, where a predicate holds."""

    columns: frozenset[str]  # in small letters
    parts: tuple[Node, ...]
    predicate: Node | None
    nulls_distinct: bool


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key."""

    name: str | None
    columns: tuple[ColumnPlan, ...]
    parent: tuple[str | None, str]
    referred: tuple[str, ...]
    is_full: bool
    definition: str

    @property
    def is_required(self) -> bool:
        """Tell whether there is no row without a parent."""
        return not any(column.nullable for column in self.columns)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table, and what its rows must be like."""

    table: Table
    columns: tuple[ColumnPlan, ...]
    keys: tuple[Key, ...]
    links: tuple[Link, ...]
    conditions: tuple[Node, ...]  # those on more than one column
    apart: frozenset[str]  # columns whose values had better all be different

    @property
    def id(self) -> tuple[str | None, str]:
        """The table's namespace and name."""
        return self.table.namespace, self.table.name


def plan(table: Table, schema: Snapshot, syntax: Syntax) -> TablePlan:
    """Return what the rows of a table must be like; a table of the same structure gets the same plan again."""
    bounds: tuple[str, ...] = ()
    if table.partition_key:
        written = {f"{table.namespace}.{table.name}", table.name, identifier(table.name, syntax)}
        bounds = tuple(it.partition_bound for it in schema.tables if it.partition_bound and written & {*it.inherits})
    return _planned(table, (schema.enums, schema.domains, schema.composites, schema.ranges), bounds, syntax)


@lru_cache(maxsize=4096)
def _planned(table: Table, own: tuple[tuple[Any, ...], ...], bounds: tuple[str, ...], syntax: Syntax) -> TablePlan:
    return _Planner(table, Kinds(*own, syntax=syntax), bounds, syntax).plan()


class _Planner:
    """Reads the structure of one table."""

    def __init__(self, table: Table, kinds: Kinds, bounds: tuple[str, ...], syntax: Syntax) -> None:
        self._table, self._kinds, self._syntax = table, kinds, syntax
        self._words = frozenset(column.name.lower() for column in table.columns)
        texts = [it.expression for it in table.constraints if it.kind == "CHECK" and it.expression]
        self._conditions = [part for text in texts for part in conditions.conjuncts(self._read(text))]
        self._bounds = [value for bound in bounds for value in _bound_values(bound)]
        self._key = next((it.columns for it in table.constraints if it.kind == "PRIMARY KEY"), ())

    def plan(self) -> TablePlan:
        table = self._table
        columns = tuple(self._column(column) for column in table.columns)
        by_name = {column.name: column for column in columns}
        uniques = [it for it in table.constraints if it.kind in {"PRIMARY KEY", "UNIQUE"}]
        keys = [self._constraint_key(it) for it in uniques] + [self._index_key(it) for it in table.indexes if it.unique]
        links = (self._link(it, by_name) for it in table.constraints if it.kind == "FOREIGN KEY" and it.references)
        excluded = (it.definition for it in table.constraints if it.kind == "EXCLUDE")
        apart = (word for text in excluded for word in conditions.names(self._read_names(text)))
        return TablePlan(
            table,
            columns,
            tuple(keys),
            tuple(sorted(links, key=lambda link: (-len(link.columns), link.name or ""))),
            tuple(it for it in self._conditions if len(conditions.names(it) & self._words) > 1),
            frozenset(apart),
        )

    def _read(self, text: str) -> Node:
        return portable_expression(text, self._syntax)

    def _read_names(self, text: str) -> Node:
        """Return the columns that any text speaks of."""
        found = {token.text.lower() for token in tokenize(text, self._syntax) if token.kind in {Token.WORD, Token.NAME}}
        return tuple(("name", word) for word in sorted(found & self._words))

    def _column(self, column: Column) -> ColumnPlan:
        word = column.name.lower()
        kind = self._kinds.of(column, is_key=column.name in self._key or self._is_reference(column.name))
        own = [it for it in self._conditions if conditions.names(it) & self._words == {word}]
        domain = (renamed(part, word) for text in kind.checks for part in conditions.conjuncts(self._read(text)))
        default = column.default if column.default is not None else kind.default
        node = self._read(default) if default is not None else None
        steady = node is not None and node[0] in {"string", "number", "array", "null"}
        label = f"{self._table.name}.{column.name}"
        found = ColumnPlan(
            name=column.name,
            word=word,
            kind=kind,
            label=label,
            nullable=column.nullable and not kind.required and column.name not in self._key,
            left_out=column.generated is not None or (column.identity or "").startswith("ALWAYS"),
            numbered=column.identity is not None or (default or "").startswith("nextval(") or self._is_rowid(column),
            has_default=default is not None or column.identity is not None,
            default=conditions.evaluate(node, {}) if steady and node else conditions.UNKNOWN,
            is_steady=steady,
            conditions=(*own, *domain),
            plausible=(),
            extreme=(),
            enumerated=False,
        )
        return self._with_values(found)

    def _with_values(self, column: ColumnPlan) -> ColumnPlan:
        kind, label = column.kind, column.label
        plausible = [*values.plausible(kind, label)]
        said = [value for it in self._all_on(column) for word, value in hints.spoken_of(it) if word == column.word]
        said += self._bounds if column.word in self._partitioned() else []
        said = [value for value in said if _fits(value, kind)]
        listed = [value for it in column.conditions for value in _listed(it, column.word)]
        listed = [value for value in dict.fromkeys(listed) if _fits(value, kind) and column.passes(value)]
        if kind.family in {"enum", "boolean"}:
            listed = [value for value in plausible if column.passes(value)]
        passing = listed or [value for value in dict.fromkeys([*plausible, *said]) if column.passes(value)]
        if not passing or (column.conditions and not listed):
            passing += islice(column.fresh(0), 6)
        extreme = [] if listed else [it for it in dict.fromkeys(values.extremes(kind, label)) if column.passes(it)]
        return replace(column, plausible=tuple(dict.fromkeys(passing)), extreme=tuple(extreme), enumerated=bool(listed))

    def _all_on(self, column: ColumnPlan) -> list[Node]:
        several = [it for it in self._conditions if column.word in conditions.names(it)]
        return [*column.conditions, *(it for it in several if it not in column.conditions)]

    def _partitioned(self) -> set[str]:
        return conditions.names(self._read_names(self._table.partition_key or ""))

    def _is_reference(self, name: str) -> bool:
        return any(it.kind == "FOREIGN KEY" and name in it.columns for it in self._table.constraints)

    def _is_rowid(self, column: Column) -> bool:
        """Tell whether SQLite would number the rows by this column."""
        return (
            self._syntax is Syntax.SQLITE
            and self._key == (column.name,)
            and column.type == "INTEGER"
            and "WITHOUT ROWID" not in self._table.options
        )

    def _constraint_key(self, constraint: Constraint) -> Key:
        words = tuple(name.lower() for name in constraint.columns)
        distinct = "NULLS NOT DISTINCT" not in constraint.definition
        return Key(frozenset(words), tuple(("name", word) for word in words), None, distinct)

    def _index_key(self, index: Index) -> Key:
        nodes = tuple(portable_key(text, self._syntax)[0] for text in index.keys)
        about = set().union(*(conditions.names(node) for node in nodes)) & self._words
        predicate = self._read(index.predicate) if index.predicate else None
        return Key(frozenset(about), nodes, predicate, "NULLS NOT DISTINCT" not in index.definition)

    def _link(self, constraint: Constraint, columns: Mapping[str, ColumnPlan]) -> Link:
        reference = constraint.references
        if reference is None:
            raise AssertionError
        return Link(
            constraint.name,
            tuple(columns[name] for name in constraint.columns),
            (reference.namespace, reference.table),
            reference.columns,
            reference.match == "FULL",
            constraint.definition,
        )


def renamed(node: Any, word: str) -> Any:
    """Return a condition of a domain as one on a column."""
    if not isinstance(node, tuple):
        return node
    return ("name", word) if node == ("name", "value") else tuple(renamed(part, word) for part in node)


def _listed(condition: Sequence[Any], word: str) -> list[Value]:
    """Return the values that a condition lists as the only ones there are."""
    if condition[0] in {"in", "="} and condition[1] == ("name", word):
        found = [conditions.evaluate(part, {}) for part in condition[2:] if part[0] in {"string", "number"}]
        return found if len(found) == len(condition) - 2 else []
    if condition[0] == "or":
        parts = [_listed(part, word) for part in condition[1:] if part != ("is", ("name", word), ("null",))]
        return [value for part in parts for value in part] if all(parts) else []
    return []


def _bound_values(bound: str) -> list[Value]:
    tokens = tokenize(bound, Syntax.POSTGRESQL)
    return [token.text[1:-1].replace("''", "'") for token in tokens if token.kind is Token.STRING]


def _fits(value: Value, kind: Kind) -> bool:
    """Tell whether a value that a condition speaks of can be one of this kind."""
    if kind.family in {"integer", "numeric", "float", "boolean"}:
        return isinstance(value, (int, Decimal)) and (kind.family != "integer" or isinstance(value, int))
    return isinstance(value, str) and not (kind.family == "text" and kind.length and len(value) > kind.length)
