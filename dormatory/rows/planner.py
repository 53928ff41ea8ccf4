"""Reads the structure of a table for what its rows must be like; the same structure is read once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from dormatory.rows import candidates, sample_values
from dormatory.rows.column_types import Kinds
from dormatory.rows.plan import ColumnPlan, Key, Link, TablePlan
from dormatory.sql import evaluate
from dormatory.sql.cursor import Cursor, split
from dormatory.sql.expression import portable_expression, portable_key
from dormatory.sql.lexer import Kind as Token
from dormatory.sql.lexer import Syntax, identifier, tokenize
from dormatory.system.identity_cache import by_identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dormatory.rows.column_types import Kind
    from dormatory.rows.unique_values import Value
    from dormatory.schema.snapshot import Column, Constraint, Index, Reference, Snapshot, Table
    from dormatory.sql.normal_form import Node


def plan(table: Table, schema: Snapshot, syntax: Syntax) -> TablePlan:
    """Return what the rows of a table must be like; a table of the same structure gets the same plan again."""
    bounds: tuple[str, ...] = ()
    if table.partition_key:
        written = {f"{table.namespace}.{table.name}", table.name, identifier(table.name, syntax)}
        bounds = tuple(it.partition_bound for it in schema.tables if it.partition_bound and written & {*it.inherits})
    return _known(table, (_kinds(schema, syntax), bounds, syntax))


def _kinds(schema: Snapshot, syntax: Syntax) -> Kinds:
    """Return the types that a schema knows, the same as long as no type is made, changed or dropped."""
    made = (schema.enums, schema.domains, schema.composites, schema.ranges)
    latest = _LATEST.get(syntax)
    if latest is None or latest[0] != made:
        latest = _LATEST[syntax] = made, Kinds(*made, syntax=syntax)
    return latest[1]


_LATEST: dict[Syntax, tuple[tuple[Any, ...], Kinds]] = {}


@by_identity()
def _known(table: Table, context: tuple[Kinds, tuple[str, ...], Syntax]) -> TablePlan:
    return _planned(table, *context)


@lru_cache(maxsize=256)  # a table that is dropped and made again is equal, but another object
def _planned(table: Table, kinds: Kinds, bounds: tuple[str, ...], syntax: Syntax) -> TablePlan:
    return _Planner(table, kinds, bounds, syntax).plan()


class _Planner:
    """Reads the structure of one table."""

    def __init__(self, table: Table, kinds: Kinds, bounds: tuple[str, ...], syntax: Syntax) -> None:
        self._table, self._kinds, self._syntax = table, kinds, syntax
        self._words = frozenset(column.name.lower() for column in table.columns)
        texts = [it.expression for it in table.constraints if it.kind == "CHECK" and it.expression]
        self._conditions = [part for text in texts for part in evaluate.conjuncts(self._read(text))]
        self._conditions += self._of_partitions(bounds)
        self._key = next((it.columns for it in table.constraints if it.kind == "PRIMARY KEY"), ())

    def plan(self) -> TablePlan:
        table = self._table
        columns = tuple(self._column(column) for column in table.columns)
        by_name = {column.name: column for column in columns}
        uniques = [it for it in table.constraints if it.kind in {"PRIMARY KEY", "UNIQUE"}]
        keys = [self._constraint_key(it) for it in uniques] + [self._index_key(it) for it in table.indexes if it.unique]
        links = [self._link(it, it.references, by_name) for it in table.constraints if it.references]
        excluded = (it.definition for it in table.constraints if it.kind == "EXCLUDE")
        apart = (word for text in excluded for word in evaluate.names(self._read_names(text)))
        return TablePlan(
            table,
            columns,
            tuple(keys),
            tuple(sorted(links, key=lambda link: (-len(link.columns), link.name or ""))),
            tuple(it for it in self._conditions if len(evaluate.names(it) & self._words) > 1),
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
        own = [it for it in self._conditions if evaluate.names(it) & self._words == {word}]
        domain = (_renamed(part, word) for text in kind.checks for part in evaluate.conjuncts(self._read(text)))
        default = column.default if column.default is not None else kind.default
        node = self._read(default) if default is not None else None
        steady = node is not None and node[0] in {"string", "number", "array", "null"}
        label = f"{self._table.name}.{column.name}"
        checks = (*own, *domain)
        nullable = column.nullable and not kind.required and column.name not in self._key
        found = ColumnPlan(
            name=column.name,
            word=word,
            kind=kind,
            label=label,
            nullable=nullable and not any(evaluate.refuses(it, {word: None}) for it in checks),
            left_out=column.generated is not None or (column.identity or "").startswith("ALWAYS"),
            numbered=column.identity is not None or (default or "").startswith("nextval(") or self._is_rowid(column),
            has_default=default is not None or column.identity is not None,
            default=evaluate.evaluate(node, {}) if steady and node else evaluate.UNKNOWN,
            is_steady=steady,
            conditions=checks,
            plausible=(),
            extreme=(),
            enumerated=False,
        )
        return _with_values(found, self._all_on(found))

    def _all_on(self, column: ColumnPlan) -> tuple[Node, ...]:
        several = (it for it in self._conditions if column.word in evaluate.names(it))
        return (*column.conditions, *(it for it in several if it not in column.conditions))

    def _of_partitions(self, bounds: tuple[str, ...]) -> list[Node]:
        """Return what partitions by one column ask of a row that no default partition takes."""
        key = self._read_names(self._table.partition_key or "")
        if len(key) != 1 or "DEFAULT" in bounds:
            return []
        found = [_of_partition(bound, key[0]) for bound in bounds]
        return [("or", *found)] if found and all(found) else []  # type: ignore[arg-type]

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
        about = set().union(*(evaluate.names(node) for node in nodes)) & self._words
        predicate = self._read(index.predicate) if index.predicate else None
        return Key(frozenset(about), nodes, predicate, "NULLS NOT DISTINCT" not in index.definition)

    def _link(self, constraint: Constraint, reference: Reference, columns: Mapping[str, ColumnPlan]) -> Link:
        return Link(
            self._table.namespace,
            constraint.name,
            tuple(columns[name] for name in constraint.columns),
            (reference.namespace, reference.table),
            reference.columns,
            reference.match == "FULL",
            constraint.definition,
        )


@lru_cache(maxsize=4096)
def _with_values(column: ColumnPlan, about: tuple[Node, ...]) -> ColumnPlan:
    """Return a column with its values; `about` are all conditions that speak of it."""
    kind, label = column.kind, column.label
    plausible = [*sample_values.plausible(kind, label)]
    said = [value for it in about for word, value in candidates.spoken_of(it) if word == column.word]
    said = [value for value in said if _fits(value, kind)]
    listed = [value for it in column.conditions for value in _listed(it, column.word)]
    listed = [value for value in dict.fromkeys(listed) if _fits(value, kind) and column.passes(value)]
    if kind.family in {"enum", "boolean"}:
        listed = [value for value in plausible if column.passes(value)]
    passing = listed or [value for value in dict.fromkeys([*plausible, *said]) if column.passes(value)]
    if not passing or (column.conditions and not listed):
        passing += islice(column.fresh(0), 6)
    extreme = [] if listed else [it for it in dict.fromkeys(sample_values.extremes(kind, label)) if column.passes(it)]
    return replace(column, plausible=tuple(dict.fromkeys(passing)), extreme=tuple(extreme), enumerated=bool(listed))


def _renamed(node: Any, word: str) -> Any:
    """Return a condition of a domain as one on a column."""
    if not isinstance(node, tuple):
        return node
    return ("name", word) if node == ("name", "value") else tuple(_renamed(part, word) for part in node)


def _listed(condition: Sequence[Any], word: str) -> list[Value]:
    """Return the values that a condition lists as the only ones there are."""
    if condition[0] in {"in", "="} and condition[1] == ("name", word):
        found = [evaluate.evaluate(part, {}) for part in condition[2:] if part[0] in {"string", "number"}]
        return found if len(found) == len(condition) - 2 else []
    if condition[0] == "or":
        parts = [_listed(part, word) for part in condition[1:] if part != ("is", ("name", word), ("null",))]
        return [value for part in parts for value in part] if all(parts) else []
    return []


def _of_partition(bound: str, column: Any) -> Node | None:
    """Return the condition that FOR VALUES stands for, None for one that cannot be put into words."""
    words, runs = [], []
    cursor = Cursor(tokenize(bound, Syntax.POSTGRESQL))
    while not cursor.done:
        if cursor.word == "(":
            runs.append([_literal(run) for run in split(cursor.group())])
        else:
            words.append(cursor.take().word)
    if words == ["for", "values", "in"]:
        return ("in", column, *(it for it in runs[0] if it))
    if words != ["for", "values", "from", "to"] or len(runs[0]) > 1:
        return None
    sides = ((word, column, run[0]) for word, run in zip((">=", "<"), runs, strict=True) if run[0])
    return ("and", *sides)


def _literal(run: list[Any]) -> Node | None:
    """Return a bound, None for one without end; a number in quotes is one."""
    text = "".join(token.text for token in run)
    if run[0].kind is not Token.STRING and not text.lstrip("-").isdigit():
        return None
    text = text[1:-1].replace("''", "'") if run[0].kind is Token.STRING else text
    return ("number" if text.lstrip("-").isdigit() else "string", text)


def _fits(value: Value, kind: Kind) -> bool:
    """Tell whether a value that a condition speaks of can be one of this kind."""
    if kind.family in {"integer", "numeric", "float", "boolean"}:
        return isinstance(value, (int, Decimal)) and (kind.family != "integer" or isinstance(value, int))
    return isinstance(value, str) and not (kind.family == "text" and kind.length and len(value) > kind.length)
