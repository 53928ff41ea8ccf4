"""Plans rows for a table from its structure; equal structures are planned once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from dormatory.rows import candidates, sample_values
from dormatory.rows.column_types import ColumnTypes
from dormatory.rows.plan import ColumnPlan, ForeignKeyPlan, TablePlan, UniqueKey
from dormatory.sql import evaluate
from dormatory.sql.cursor import TokenCursor
from dormatory.sql.expression import portable_expression, portable_index_key
from dormatory.sql.lexer import TokenKind, tokenize
from dormatory.sql.literals import string_value
from dormatory.sql.names import token_names
from dormatory.sql.nesting import split_at_commas
from dormatory.system.identity_cache import cache_by_identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dormatory.rows.column_types import ColumnType
    from dormatory.rows.unique_values import GeneratedValue
    from dormatory.schema.snapshot import Column, Constraint, Index, Reference, Snapshot, Table
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.normal_form import Node


def plan_table(table: Table, schema: Snapshot, dialect: Dialect) -> TablePlan:
    """Return what the rows of a table must be like; tables of the same structure share a plan."""
    bounds: tuple[str, ...] = ()
    if table.partition_key:
        spellings = {f"{table.namespace}.{table.name}", table.name, dialect.quote_identifier(table.name)}
        bounds = tuple(it.partition_bound for it in schema.tables if it.partition_bound and spellings & {*it.inherits})
    return _cached_plan(table, (_column_types(schema, dialect), bounds, dialect))


def _column_types(schema: Snapshot, dialect: Dialect) -> ColumnTypes:
    """Return the types of a schema, the same object as long as no type is created, changed or dropped."""
    definitions = (schema.enums, schema.domains, schema.composites, schema.ranges)
    latest = _LATEST_TYPES.get(dialect)
    if latest is None or latest[0] != definitions:
        latest = _LATEST_TYPES[dialect] = definitions, ColumnTypes(*definitions, dialect=dialect)
    return latest[1]


_LATEST_TYPES: dict[Dialect, tuple[tuple[Any, ...], ColumnTypes]] = {}


@cache_by_identity()
def _cached_plan(table: Table, context: tuple[ColumnTypes, tuple[str, ...], Dialect]) -> TablePlan:
    return _plan_table(table, *context)


@lru_cache(maxsize=256)  # a table that is dropped and created again is equal, but another object
def _plan_table(table: Table, column_types: ColumnTypes, bounds: tuple[str, ...], dialect: Dialect) -> TablePlan:
    return _TablePlanner(table, column_types, bounds, dialect).plan()


class _TablePlanner:
    """Reads the structure of one table."""

    def __init__(self, table: Table, column_types: ColumnTypes, bounds: tuple[str, ...], dialect: Dialect) -> None:
        self._table, self._column_types, self._dialect = table, column_types, dialect
        self._column_names = frozenset(column.name.lower() for column in table.columns)
        texts = [it.expression for it in table.constraints if it.kind == "CHECK" and it.expression]
        self._conditions = [part for text in texts for part in evaluate.conjuncts(self._parse(text))]
        self._conditions += self._partition_conditions(bounds)

    def plan(self) -> TablePlan:
        table = self._table
        columns = tuple(self._plan_column(column) for column in table.columns)
        by_name = {column.name: column for column in columns}
        uniques = [it for it in table.constraints if it.kind in {"PRIMARY KEY", "UNIQUE"}]
        keys = [self._constraint_key(it) for it in uniques] + [self._index_key(it) for it in table.indexes if it.unique]
        foreign_keys = [self._foreign_key(it, it.references, by_name) for it in table.constraints if it.references]
        excluded = (it.definition for it in table.constraints if it.kind == "EXCLUDE")
        apart = (word for text in excluded for word in evaluate.referenced_columns(self._names_in(text)))
        return TablePlan(
            table,
            columns,
            tuple(keys),
            tuple(sorted(foreign_keys, key=lambda link: (-len(link.columns), link.name or ""))),
            tuple(it for it in self._conditions if len(evaluate.referenced_columns(it) & self._column_names) > 1),
            frozenset(apart),
        )

    def _parse(self, text: str) -> Node:
        return portable_expression(text, self._dialect)

    def _names_in(self, text: str) -> Node:
        """Return the columns that a text names."""
        found = token_names(tokenize(text, self._dialect))
        return tuple(("name", word) for word in sorted(found & self._column_names))

    def _plan_column(self, column: Column) -> ColumnPlan:
        word = column.name.lower()
        column_type = self._column_types.of(
            column, is_key=column.name in self._table.primary_key or self._is_foreign_key(column.name)
        )
        own_conditions = [
            it for it in self._conditions if evaluate.referenced_columns(it) & self._column_names == {word}
        ]
        domain_conditions = (
            _with_column_name(part, word)
            for text in column_type.checks
            for part in evaluate.conjuncts(self._parse(text))
        )
        default = column.default if column.default is not None else column_type.default
        node = self._parse(default) if default is not None else None
        is_constant = node is not None and node[0] in {"string", "number", "array", "null"}
        label = f"{self._table.name}.{column.name}"
        checks = (*own_conditions, *domain_conditions)
        nullable = column.nullable and not column_type.required and column.name not in self._table.primary_key
        found = ColumnPlan(
            name=column.name,
            lower_name=word,
            column_type=column_type,
            label=label,
            nullable=nullable and not any(evaluate.is_surely_false(it, {word: None}) for it in checks),
            is_generated=column.generated is not None or (column.identity or "").startswith("ALWAYS"),
            is_auto_numbered=column.identity is not None
            or (default or "").startswith("nextval(")
            or self._is_rowid(column),
            has_default=default is not None or column.identity is not None,
            default=evaluate.evaluate(node, {}) if is_constant and node else evaluate.UNDECIDED,
            has_constant_default=is_constant,
            conditions=checks,
            plausible=(),
            extreme=(),
            enumerated=False,
        )
        return _with_values(found, self._all_conditions_on(found))

    def _all_conditions_on(self, column: ColumnPlan) -> tuple[Node, ...]:
        several = (it for it in self._conditions if column.lower_name in evaluate.referenced_columns(it))
        return (*column.conditions, *(it for it in several if it not in column.conditions))

    def _partition_conditions(self, bounds: tuple[str, ...]) -> list[Node]:
        """Return the condition for rows of a table partitioned by one column, if there is no default partition."""
        key = self._names_in(self._table.partition_key or "")
        if len(key) != 1 or "DEFAULT" in bounds:
            return []
        found = [_partition_condition(bound, key[0], self._dialect) for bound in bounds]
        return [("or", *found)] if found and all(found) else []  # type: ignore[arg-type]

    def _is_foreign_key(self, name: str) -> bool:
        return any(it.kind == "FOREIGN KEY" and name in it.columns for it in self._table.constraints)

    def _is_rowid(self, column: Column) -> bool:
        """Return whether SQLite numbers the rows by this column."""
        return (
            self._dialect.has_rowid
            and self._table.primary_key == (column.name,)
            and column.type == "INTEGER"
            and "WITHOUT ROWID" not in self._table.options
        )

    def _constraint_key(self, constraint: Constraint) -> UniqueKey:
        words = tuple(name.lower() for name in constraint.columns)
        nulls_distinct = "NULLS NOT DISTINCT" not in constraint.definition
        return UniqueKey(frozenset(words), tuple(("name", word) for word in words), None, nulls_distinct)

    def _index_key(self, index: Index) -> UniqueKey:
        nodes = tuple(portable_index_key(text, self._dialect)[0] for text in index.keys)
        columns = set().union(*(evaluate.referenced_columns(node) for node in nodes)) & self._column_names
        predicate = self._parse(index.predicate) if index.predicate else None
        return UniqueKey(frozenset(columns), nodes, predicate, "NULLS NOT DISTINCT" not in index.definition)

    def _foreign_key(
        self, constraint: Constraint, reference: Reference, columns: Mapping[str, ColumnPlan]
    ) -> ForeignKeyPlan:
        return ForeignKeyPlan(
            self._table.namespace,
            constraint.name,
            tuple(columns[name] for name in constraint.columns),
            reference.table_id,
            reference.columns,
            reference.match == "FULL",
            constraint.definition,
        )


@lru_cache(maxsize=4096)
def _with_values(column: ColumnPlan, conditions_on_it: tuple[Node, ...]) -> ColumnPlan:
    """Return a column with its values; `conditions_on_it` are all conditions that name it."""
    column_type, label = column.column_type, column.label
    plausible = [*sample_values.plausible_values(column_type, label)]
    mentioned = [
        value for it in conditions_on_it for word, value in candidates.candidate_values(it) if word == column.lower_name
    ]
    mentioned = [value for value in mentioned if _is_of_type(value, column_type)]
    listed = [value for it in column.conditions for value in _listed_values(it, column.lower_name)]
    listed = [value for value in dict.fromkeys(listed) if _is_of_type(value, column_type) and column.is_allowed(value)]
    if column_type.family in {"enum", "boolean"}:
        listed = [value for value in plausible if column.is_allowed(value)]
    passing = listed or [value for value in dict.fromkeys([*plausible, *mentioned]) if column.is_allowed(value)]
    if not passing or (column.conditions and not listed):
        passing += islice(column.distinct_values(0), 6)
    extreme = (
        []
        if listed
        else [it for it in dict.fromkeys(sample_values.extreme_values(column_type, label)) if column.is_allowed(it)]
    )
    return replace(column, plausible=tuple(dict.fromkeys(passing)), extreme=tuple(extreme), enumerated=bool(listed))


def _with_column_name(node: Any, word: str) -> Any:
    """Return a condition of a domain as a condition on a column."""
    if not isinstance(node, tuple):
        return node
    return ("name", word) if node == ("name", "value") else tuple(_with_column_name(part, word) for part in node)


def _listed_values(condition: Sequence[Any], word: str) -> list[GeneratedValue]:
    """Return the values that a condition lists as the only allowed ones."""
    if condition[0] in {"in", "="} and condition[1] == ("name", word):
        found = [evaluate.evaluate(part, {}) for part in condition[2:] if part[0] in {"string", "number"}]
        return found if len(found) == len(condition) - 2 else []
    if condition[0] == "or":
        parts = [_listed_values(part, word) for part in condition[1:] if part != ("is", ("name", word), ("null",))]
        return [value for part in parts for value in part] if all(parts) else []
    return []


def _partition_condition(bound: str, column: Any, dialect: Dialect) -> Node | None:
    """Return the condition that FOR VALUES expresses, None if it cannot be expressed for one column."""
    words, bounds = [], []
    cursor = TokenCursor(tokenize(bound, dialect))
    while not cursor.is_at_end:
        if cursor.word == "(":
            bounds.append([_bound_literal(run) for run in split_at_commas(cursor.take_group())])
        else:
            words.append(cursor.take().word)
    if words == ["for", "values", "in"]:
        return ("in", column, *(it for it in bounds[0] if it))
    if words != ["for", "values", "from", "to"] or len(bounds[0]) > 1:
        return None
    sides = ((word, column, run[0]) for word, run in zip((">=", "<"), bounds, strict=True) if run[0])
    return ("and", *sides)


def _bound_literal(run: list[Any]) -> Node | None:
    """Return a bound, None for MINVALUE and MAXVALUE; a number in quotes counts as a number."""
    text = "".join(token.text for token in run)
    if run[0].kind is not TokenKind.STRING and not text.lstrip("-").isdigit():
        return None
    text = string_value(text)
    return ("number" if text.lstrip("-").isdigit() else "string", text)


def _is_of_type(value: GeneratedValue, column_type: ColumnType) -> bool:
    """Return whether a value in a condition can be a value of this type."""
    if column_type.family in {"integer", "numeric", "float", "boolean"}:
        return isinstance(value, (int, Decimal)) and (column_type.family != "integer" or isinstance(value, int))
    return isinstance(value, str) and not (
        column_type.family == "text" and column_type.length and len(value) > column_type.length
    )
