"""What the columns that a revision's code creates or reads hold because of their types in Python.

A database without enumerations keeps the labels of `sa.Enum` as texts; a type of the application's own with JSON in its
name keeps JSON as text.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeAlias

from dormatory.replay.hints.bindings import CodeBindings
from dormatory.replay.hints.literals import CodeLiterals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.source.resolver import NameResolver

    # By table and column, in small letters; None for a column that was one and is of another type now.
    EnumLabels: TypeAlias = dict[tuple[str, str], tuple[str, ...] | None]

_ENUM_TYPES = frozenset({"Enum", "ENUM"})
_JSON_OF_DATABASES = frozenset({"json", "jsonb"})
JSON_TEXTS = ('{"one": "7"}', '["7", "12"]', "{}")  # the only ones of a column whose type keeps JSON as text
_COLUMN_CALLS = frozenset({"Column", "column", "mapped_column"})
_CREATING_CALLS = frozenset({"create_table", "add_column"})
_TABLE_CALLS = _CREATING_CALLS | {"Table", "table"}


def enum_labels(resolver: NameResolver, function: str, *, described_only: bool = False) -> EnumLabels:
    """Return the labels of the columns that a function creates, alters or describes, or only describes."""
    code = CodeBindings(resolver, function)
    return dict(_EnumReader(resolver, code).read(described_only=described_only))


class _EnumReader:
    def __init__(self, resolver: NameResolver, code: CodeBindings) -> None:
        self._resolver, self._code, self._literals = resolver, code, CodeLiterals(code)

    def read(self, *, described_only: bool) -> Iterator[tuple[tuple[str, str], tuple[str, ...] | None]]:
        calls = [node for node in self._code.nodes if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            word = self._resolver.called_name(call.func)
            if word in _COLUMN_CALLS and (labels := self._labels_of_column(call)):
                if not (described_only and self._is_created(call)):
                    yield (self._table_of(call), self._column_name(call)), labels
            elif word == "alter_column" and not described_only:
                yield from self._retyped_columns(call)

    def _is_created(self, column: ast.Call) -> bool:
        outer = (it for it in self._resolver.enclosing_nodes(column) if isinstance(it, ast.Call))
        return any(self._resolver.called_name(call.func) in _CREATING_CALLS for call in outer)

    def _labels_of_column(self, call: ast.Call) -> tuple[str, ...]:
        types = [*call.args, *(word.value for word in call.keywords if word.arg == "type_")]
        return next((labels for item in types if (labels := self._labels(item))), ())

    def _column_name(self, call: ast.Call) -> str:
        """Return the name that a column has as its argument, or as an attribute of a mapped class."""
        named = next((it.value for it in call.args[:1] if isinstance(it, ast.Constant)), None)
        parent = self._resolver.parents.get(call)
        targets = parent.targets if isinstance(parent, ast.Assign) else [getattr(parent, "target", None)]
        return str(named or getattr(targets[0], "id", "")).lower()

    def _table_of(self, node: ast.AST) -> str:
        """Return the table around a column: that of a call, of a batch or of a mapped class."""
        for outer in self._resolver.enclosing_nodes(node):
            if isinstance(outer, ast.Call) and self._resolver.called_name(outer.func) in _TABLE_CALLS:
                named = self._resolver.text(outer.args[0]) if outer.args else None
                return (named or self._batch_table(outer)).lower()
            if isinstance(outer, ast.ClassDef):
                assigned = (it for it in outer.body if isinstance(it, ast.Assign))
                names = (it.value for it in assigned if getattr(it.targets[0], "id", "") == "__tablename__")
                return next((str(text).lower() for it in names if (text := self._resolver.text(it))), "")
        return ""

    def _batch_table(self, call: ast.Call) -> str:
        """Return the table of the batch on which a method is called."""
        owner = getattr(getattr(call.func, "value", None), "id", "")
        for outer in self._resolver.enclosing_nodes(call):
            for item in outer.items if isinstance(outer, (ast.With, ast.AsyncWith)) else ():
                batch = item.context_expr
                if getattr(item.optional_vars, "id", "") == owner and isinstance(batch, ast.Call) and batch.args:
                    return self._resolver.text(batch.args[0]) or ""
        return ""

    def _retyped_columns(self, call: ast.Call) -> Iterator[tuple[tuple[str, str], tuple[str, ...] | None]]:
        """Yield what a change of a column's type does to its labels."""
        names = [text for item in call.args if (text := self._resolver.text(item))]
        in_batch = self._batch_table(call)
        table, column = (*([in_batch] if in_batch else []), *names, "", "")[:2]
        types = [word.value for word in call.keywords if word.arg == "type_"]
        if types and table and column:
            yield (table.lower(), column.lower()), self._labels(types[0]) or None

    def _labels(self, node: ast.expr) -> tuple[str, ...]:
        """Return the labels of a type, or JSON, none if it is no such type."""
        value = self._resolver.value(node)
        name = self._resolver.called_name(value.func if isinstance(value, ast.Call) else value).lower() if value else ""
        if "json" in name and name not in _JSON_OF_DATABASES:
            return JSON_TEXTS
        if not isinstance(value, ast.Call):
            return ()
        if isinstance(value.func, ast.Attribute) and value.func.attr == "with_variant":
            return self._labels(value.func.value)
        if self._resolver.called_name(value.func) not in _ENUM_TYPES:
            return ()
        items = [it.value if isinstance(it, ast.Starred) else it for it in value.args]
        has_values = any(word.arg == "values_callable" for word in value.keywords)
        owner = getattr(items[0], "attr", getattr(items[0], "id", "")) if items else ""
        if owner in self._code.classes:
            return tuple(self._members(self._code.classes[owner], has_values=has_values))
        return tuple(str(it) for item in items for it in self._literals.values(item))

    def _members(self, enumeration: ast.ClassDef, *, has_values: bool) -> Iterator[str]:
        """Yield what SQLAlchemy stores for the members of an enumeration: their names, on request their values."""
        for item in enumeration.body:
            name = getattr(item.targets[0], "id", "") if isinstance(item, ast.Assign) else ""
            if isinstance(item, ast.Assign) and name and not name.startswith("_"):
                yield from (str(it) for it in self._literals.values(item.value)) if has_values else (name,)
