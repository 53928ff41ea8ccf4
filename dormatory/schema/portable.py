"""Structure in portable form: what a snapshot means to an application, on any backend."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.sql.expression import portable_expression, portable_index_key
from dormatory.sql.lexer import tokenize
from dormatory.sql.meaning import stored_default, without_null_check
from dormatory.sql.normal_form import NULL
from dormatory.sql.types import portable_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dormatory.schema.snapshot import Column, Constraint, Index, Snapshot, Table
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.normal_form import Node

_DEFAULT_COLLATIONS = frozenset({"C", "POSIX", "ucs_basic", "default", "BINARY"})
_INDEX_METHOD = re.compile(r"(?:UNIQUE )?USING (\w+) ")
_TABLE_KINDS = {"partitioned table": "table"}
DEFAULT_NAMESPACES = frozenset({None, "public"})
"""Where a table is that is called by its name alone."""


@dataclass(frozen=True, slots=True)
class PortableColumn:
    """A column; `source` is the column as its backend has it."""

    name: str
    type: str
    nullable: bool
    default: Node | None
    autoincrement: bool | None  # None on SQLite for a single INTEGER key: it is always numbered, wanted or not
    generated: Node | None
    collation: str | None
    values: tuple[str, ...] | None  # of an enumeration
    source: Column


@dataclass(frozen=True, slots=True)
class PortablePart:
    """A constraint or an index: `meaning` is compared, `columns` are the columns in it, `text` is shown."""

    kind: str  # check, unique, foreign key, index, exclusion
    name: str | None
    meaning: Node
    columns: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class PortableTable:
    """A table; names of columns are in small letters. `has_unread_constraints`: they are not known."""

    name: str
    kind: str
    columns: tuple[PortableColumn, ...]
    primary_key: tuple[str, ...]
    parts: tuple[PortablePart, ...]
    triggers: tuple[str, ...]
    has_unread_constraints: bool


def portable_tables(snapshot: Snapshot, dialect: Dialect) -> dict[str, PortableTable]:
    """Return the tables by their portable names; a partition counts as part of its table.

    The name is bare and in small letters, with its namespace only where two tables would share it.
    """
    kept = [table for table in snapshot.tables if table.partition_bound is None]
    name_counts = Counter(table.name.lower() for table in kept)
    enums = {_bare_type_name(enum.name, dialect): enum.values for enum in snapshot.enums}
    return {
        name: _TableConverter(table, enums, dialect).convert(name) for name, table in _named_tables(kept, name_counts)
    }


def _named_tables(tables: Iterable[Table], name_counts: Mapping[str, int]) -> Iterator[tuple[str, Table]]:
    for table in tables:
        alone = name_counts[table.name.lower()] == 1
        if alone or (table.namespace in DEFAULT_NAMESPACES and table.name.islower()):
            yield table.name.lower(), table
        else:
            yield table.name if table.namespace in DEFAULT_NAMESPACES else f"{table.namespace}.{table.name}", table


class _TableConverter:
    """Converts one table."""

    def __init__(self, table: Table, enums: Mapping[str, tuple[str, ...]], dialect: Dialect) -> None:
        self._table, self._enums, self._dialect = table, enums, dialect
        self._types = frozenset((column.name.lower(), portable_type(column.type)) for column in table.columns)
        self._primary_key = next((it for it in table.constraints if it.kind == "PRIMARY KEY"), None)

    def convert(self, name: str) -> PortableTable:
        table = self._table
        return PortableTable(
            name,
            _TABLE_KINDS.get(table.kind, table.kind),
            tuple(self._column(column) for column in table.columns),
            tuple(sorted(column.lower() for column in self._primary_key.columns)) if self._primary_key else (),
            tuple(part for part in (*self._constraints(), *map(self._index, table.indexes)) if not self._is_key(part)),
            tuple(trigger.name.lower() for trigger in table.triggers),
            has_unread_constraints=table.kind == "table" and table.definition is not None,
        )

    def _column(self, column: Column) -> PortableColumn:
        family = portable_type(column.type)
        collation = None if column.collation in _DEFAULT_COLLATIONS else column.collation
        if family == "citext":
            family, collation = "text", "NOCASE"  # as SQLite calls it
        default = self._expression(column.default) if column.default else None
        has_sequence_default = default is not None and default[:2] == ("call", "nextval")
        return PortableColumn(
            column.name.lower(),
            family,
            column.nullable,
            None if default is None or has_sequence_default else stored_default(default, family),
            self._is_autoincrement(column, has_sequence_default=has_sequence_default),
            self._expression(column.generated) if column.generated else None,
            collation,
            self._enums.get(_bare_type_name(column.type, self._dialect)),
            column,
        )

    def _is_autoincrement(self, column: Column, *, has_sequence_default: bool) -> bool | None:
        if has_sequence_default or column.identity is not None:
            return True
        key = self._primary_key
        if not self._dialect.has_rowid or key is None or column.type != "INTEGER":
            return False
        if [name.lower() for name in key.columns] != [column.name.lower()] or "not the rowid" in key.definition:
            return False
        if "WITHOUT ROWID" in self._table.options:
            return False
        return True if "AUTOINCREMENT" in key.definition else None

    def _constraints(self) -> Iterator[PortablePart]:
        for constraint in self._table.constraints:
            columns = tuple(sorted(name.lower() for name in constraint.columns))
            text = constraint.definition
            if constraint.kind == "CHECK":
                meaning = without_null_check(self._expression(constraint.expression or text))
                yield PortablePart("check", constraint.name, meaning, tuple(sorted(_column_names(meaning))), text)
            elif constraint.kind == "FOREIGN KEY":
                yield PortablePart("foreign key", constraint.name, _reference_node(constraint), columns, text)
            elif constraint.kind == "UNIQUE":
                keys = tuple(("name", name) for name in columns)
                special = tuple(it for it in ("NULLS NOT DISTINCT", "INITIALLY DEFERRED") if it in text)
                yield PortablePart("unique", constraint.name, ("unique", keys, NULL, special), columns, text)
            elif constraint.kind == "EXCLUDE":
                yield PortablePart("exclusion", constraint.name, ("text", text), columns, text)

    def _is_key(self, part: PortablePart) -> bool:
        """Return whether a part says what the primary key says; PostgreSQL makes one of the two."""
        key = sorted(column.lower() for column in self._primary_key.columns) if self._primary_key else []
        return bool(key) and part.meaning[:3] == ("unique", tuple(("name", column) for column in key), NULL)

    def _index(self, index: Index) -> PortablePart:
        """Return an index; a unique one has the meaning of a UNIQUE constraint. How it is stored does not count."""
        keys = [self._index_key(key) for key in index.keys]
        predicate = self._expression(index.predicate) if index.predicate else NULL
        columns = tuple(sorted({name for key in keys for name in _column_names(key)}))
        if index.unique:
            special = ("NULLS NOT DISTINCT",) if "NULLS NOT DISTINCT" in index.definition else ()
            if not special and predicate in [("is not", key, NULL) for key in keys]:
                predicate = NULL  # a row with a NULL in its key is unique anyway
            meaning: Node = ("unique", tuple(sorted(keys, key=repr)), predicate, special)
            return PortablePart("unique", index.name, meaning, columns, index.definition)
        method = _INDEX_METHOD.match(index.definition)
        return PortablePart(
            "index",
            index.name,
            ("index", method[1] if method else "btree", tuple(keys), predicate),
            columns,
            index.definition,
        )

    def _index_key(self, text: str) -> Node:
        node, words = portable_index_key(text, self._dialect, self._types)
        # SQLite's BINARY order does what *_pattern_ops are for; the place of NULLs changes no result.
        kept = [word for word in words if word not in {"asc", "nulls", "first", "last"}]
        kept = [word for word in kept if not word.endswith("_pattern_ops")]
        return ("key", node, *kept) if kept else node

    def _expression(self, text: str) -> Node:
        return portable_expression(text, self._dialect, self._types)


def _bare_type_name(declared: str, dialect: Dialect) -> str:
    """Return the name of a user-defined type without namespace and quotes, "" for an array: that is another type."""
    tokens = tokenize(declared, dialect)
    named = [token for token in tokens if token.is_name]
    return named[-1].text if named and not declared.endswith("]") else ""


def _reference_node(constraint: Constraint) -> Node:
    reference = constraint.references
    if reference is None:
        return ("text", constraint.definition)
    pairs = sorted(zip(map(str.lower, constraint.columns), map(str.lower, reference.columns), strict=False))
    deferred = "INITIALLY DEFERRED" if "INITIALLY DEFERRED" in constraint.definition else ""
    return (
        "references",
        reference.table.lower(),
        tuple(pairs),
        reference.on_update,
        reference.on_delete,
        reference.match,
        deferred,
    )


def _column_names(node: Node) -> set[str]:
    if node[0] == "name":
        return {str(node[1])}
    return {name for item in node if isinstance(item, tuple) for name in _column_names(item)}
