"""What the statements of a revision create, alter or drop, as far as its syntax tree has their names."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.source.resolver import UNKNOWN_TEXT, NameResolver
from dormatory.checks.source.sql_text import IF_EXISTS, NAME, name_in

if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECT_IN_SQL = re.compile(
    rf"(?:INDEX|CONSTRAINT|TRIGGER|VIEW|CREATE\s+TABLE|DROP\s+TABLE)\s+(?:CONCURRENTLY\s+)?{IF_EXISTS}{NAME}",
    re.IGNORECASE,
)
_COLUMN_IN_SQL = re.compile(rf"(?:ADD|ALTER|DROP)\s+COLUMN\s+{IF_EXISTS}{NAME}", re.IGNORECASE)
_TABLE_IN_SQL = re.compile(rf"ALTER\s+TABLE\s+{IF_EXISTS}(?:ONLY\s+)?{NAME}", re.IGNORECASE)
_CALLS_WITH_NAME_FIRST = frozenset(
    {
        "create_check_constraint",
        "create_exclude_constraint",
        "create_foreign_key",
        "create_index",
        "create_primary_key",
        "create_table",
        "create_unique_constraint",
        "drop_constraint",
        "drop_index",
        "drop_table",
        "Index",
    }
)
_NAME_KEYWORDS = frozenset({"name", "constraint_name", "index_name", "table_name"})
_CALLS_WITH_TABLE_FIRST = frozenset({"add_column", "alter_column", "batch_alter_table", "create_table", "drop_column"})
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class StatementNames:
    """The statements of one revision."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree, self._resolver = tree, NameResolver(tree)

    def names_at(self, line: int) -> tuple[str, ...]:
        """Return the names of indexes, constraints and tables, and `table.column` of columns, that a line is about.

        It is about the outermost statement or argument that begins there, or the statement that ends there; of a table
        that is created, about the table alone.
        """
        found = list(self._names_beginning_at(self._tree, line, ""))
        if not found:
            ending = [node for node in ast.walk(self._tree) if isinstance(node, ast.stmt) and node.end_lineno == line]
            found = list(self._names_beginning_at(self._tree, ending[-1].lineno, "")) if ending else []
        return tuple(sorted(set(found)))

    def _names_beginning_at(self, node: ast.AST, line: int, table: str) -> Iterator[str]:
        """Yield the names in what begins at a line, at or below a node inside a table's block."""
        table = self._table_of(node) or table
        for child in ast.iter_child_nodes(node):
            if getattr(child, "lineno", 0) != line:
                yield from self._names_beginning_at(child, line, table)
            elif not isinstance(child, _DEFINITIONS):
                yield from self._names_in(child, table)

    def _names_in(self, node: ast.AST, table: str) -> Iterator[str]:
        if isinstance(node, ast.Call):
            called = self._resolver.called_name(node.func)
            if called in _CALLS_WITH_NAME_FIRST or called.endswith(("Constraint", "ForeignKey")):
                yield from self._object_name(node, by_position=called in _CALLS_WITH_NAME_FIRST)
                return
            if called == "execute":
                yield from self._names_in_sql(node)
                return
            yield from self._column_name(node, called, table)
        table = self._table_of(node) or table
        for child in ast.iter_child_nodes(node):
            yield from self._names_in(child, table)

    def _object_name(self, node: ast.Call, *, by_position: bool) -> Iterator[str]:
        words = (keyword.value for keyword in node.keywords if keyword.arg in _NAME_KEYWORDS)
        name = self._text(next(iter(node.args[:by_position]), None) or next(words, None))
        if name:
            yield name

    def _column_name(self, node: ast.Call, called: str, table: str) -> Iterator[str]:
        texts = [text for argument in node.args[:2] if (text := self._text(argument))]
        if called in {"alter_column", "drop_column"} and texts:
            yield ".".join(texts if len(texts) > 1 else [table, *texts])
        elif called == "Column" and texts and table:
            yield f"{table}.{texts[0]}"

    def _table_of(self, node: ast.AST) -> str:
        """Return the table whose block or call this is."""
        calls = [item.context_expr for item in node.items] if isinstance(node, ast.With) else [node]
        for call in calls:
            if (
                isinstance(call, ast.Call)
                and self._resolver.called_name(call.func) in _CALLS_WITH_TABLE_FIRST
                and call.args
            ):
                return self._text(call.args[0])
        return ""

    def _names_in_sql(self, node: ast.Call) -> Iterator[str]:
        for constant in ast.walk(node):
            if isinstance(constant, ast.Constant) and isinstance(sql := constant.value, str):
                yield from (name_in(found) for found in _OBJECT_IN_SQL.finditer(sql))
                if altered := _TABLE_IN_SQL.search(sql):
                    table = name_in(altered)
                    yield from (f"{table}.{name_in(found)}" for found in _COLUMN_IN_SQL.finditer(sql))

    def _text(self, node: ast.AST | None) -> str:
        """Return the text of an argument, "" where it is not known."""
        text = self._resolver.text(node) if isinstance(node, ast.expr) else None
        return "" if text is None or UNKNOWN_TEXT in text else text
