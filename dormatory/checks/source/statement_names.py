"""What the statements of a revision make, alter or drop, as far as its syntax tree has their names."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_IN_SQL = r'(?P<name>[\w."]+)'
_IF_EXISTS = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_OBJECT_IN_SQL = re.compile(
    rf"(?:INDEX|CONSTRAINT|TRIGGER|VIEW|CREATE\s+TABLE|DROP\s+TABLE)\s+(?:CONCURRENTLY\s+)?{_IF_EXISTS}{_NAME_IN_SQL}",
    re.IGNORECASE,
)
_COLUMN_IN_SQL = re.compile(rf"(?:ADD|ALTER|DROP)\s+COLUMN\s+{_IF_EXISTS}{_NAME_IN_SQL}", re.IGNORECASE)
_TABLE_IN_SQL = re.compile(rf"ALTER\s+TABLE\s+{_IF_EXISTS}(?:ONLY\s+)?{_NAME_IN_SQL}", re.IGNORECASE)
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
    """The statements of one revision; constants of the module are known by their names."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value.value, str)
        }

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
        """Yield the names in what begins at a line, at or below a node that stands within a table's block."""
        table = self._table_of(node) or table
        for child in ast.iter_child_nodes(node):
            if getattr(child, "lineno", 0) != line:
                yield from self._names_beginning_at(child, line, table)
            elif not isinstance(child, _DEFINITIONS):
                yield from self._names_in(child, table)

    def _names_in(self, node: ast.AST, table: str) -> Iterator[str]:
        if isinstance(node, ast.Call):
            called = _called_name(node)
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
            if isinstance(call, ast.Call) and _called_name(call) in _CALLS_WITH_TABLE_FIRST and call.args:
                return self._text(call.args[0])
        return ""

    def _names_in_sql(self, node: ast.Call) -> Iterator[str]:
        for constant in ast.walk(node):
            if isinstance(constant, ast.Constant) and isinstance(sql := constant.value, str):
                yield from (_bare_name(found["name"]) for found in _OBJECT_IN_SQL.finditer(sql))
                if altered := _TABLE_IN_SQL.search(sql):
                    table = _bare_name(altered["name"])
                    yield from (f"{table}.{_bare_name(found['name'])}" for found in _COLUMN_IN_SQL.finditer(sql))

    def _text(self, node: ast.AST | None) -> str:
        """Return the string that an argument is, also as a constant of the module or in op.f(), else nothing."""
        if isinstance(node, ast.Call) and _called_name(node) == "f" and node.args:
            node = node.args[0]
        if isinstance(node, ast.Name):
            return self._constants.get(node.id, "")
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _called_name(node: ast.Call) -> str:
    """Return the name of a function that is called, without what it belongs to."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _bare_name(name: str) -> str:
    """Return a name in SQL without its quotes and namespace."""
    return name.replace('"', "").rpartition(".")[2]
