"""One revision file: its text, its syntax tree and the revision that it declares. Nothing is imported or run."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dormatory.project.constants import UNKNOWN, module_constants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dormatory.errors.location import Location

_ALEMBIC_NAMES = ("down_revision", "depends_on", "branch_labels")
_REASON_NAMES = ("irreversible", "lossy", "assumes")
_OLD_FILE_NAME = re.compile(r"[a-f0-9]+\.py")  # as in alembic.script.base
DECLARED_NAMES = ("revision", *_ALEMBIC_NAMES, *_REASON_NAMES)
"""The names whose values a file declares to Alembic and to this workflow."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What one file declares: its id, what it builds on, its title and its promises.

    `irreversible`, `lossy` and `assumes` give the reason, or are empty. `downgrade_line` is 0 if the file has no
    downgrade.
    """

    id: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]
    title: str
    description: str
    path: Path
    irreversible: str = ""
    lossy: str = ""
    assumes: str = ""
    downgrade_line: int = 0

    def whole_path(self, location: Location) -> Location:
        """Return a location with its whole path: in its own file a revision names it relative to the project."""
        is_own = self.path.as_posix().endswith(f"/{location.path}")
        return replace(location, path=str(self.path)) if is_own else location


@dataclass(frozen=True, slots=True)
class Script:
    """One file: its source, and its tree or the problem and line for which it has none.

    `revision` is None if the file assigns no `revision` that can be read without running it. Its parents are as
    written: a graph replaces shortened ids and labels. `sql_files` are the names and contents of the SQL files that the
    code names.
    """

    path: Path
    source: bytes
    tree: ast.Module | None = field(default=None, compare=False)
    revision: Revision | None = None
    problem: str = ""
    line: int = 0
    sql_files: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def parse(cls, path: Path, source: bytes) -> Script:
        """Parse a file; one that does not parse is a script with a problem."""
        try:
            tree = parse_source(path, source)
        except (SyntaxError, ValueError) as error:
            return cls(path, source, problem=str(error).splitlines()[0], line=getattr(error, "lineno", None) or 1)
        return cls(path, source, tree, revision_with(path, tree, module_constants(tree)))


def parse_source(path: Path, source: bytes) -> ast.Module:
    """Return the syntax tree of a file; raises SyntaxError or ValueError.

    Python's warnings, such as the one about an unknown escape, appear when the file is imported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, filename=str(path))


def function_definition(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """Return the function that a file defines at its top level, None if it defines none."""
    return next((it for it in tree.body if isinstance(it, ast.FunctionDef) and it.name == name), None)


def function_line(tree: ast.Module, function: str) -> int:
    """Return the line that defines, imports or assigns a top-level name; 0 if there is none."""
    for node in _top_level_nodes(tree):
        match node:
            case ast.FunctionDef(name=name) if name == function:
                return node.lineno
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                if any(function == (item.asname or item.name) for item in names):
                    return node.lineno
            case ast.Assign(targets=targets) if any(_binds(item, function) for item in targets):
                return node.lineno
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()) if name == function:
                return node.lineno
    return 0


def _binds(target: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(target))


def _top_level_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a module executes itself, also below conditions, but not the bodies of functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
            yield from _top_level_nodes(child)


def revision_with(path: Path, tree: ast.Module, values: Mapping[str, object]) -> Revision | None:
    """Return the revision that a module declares by these values of its names; None if `revision` is no text.

    It is also None where a value is UNKNOWN: a revision whose parent is not known would pass for a first one. A file of
    Alembic's first years has its id in its name alone.
    """
    is_old = "down_revision" in values and _OLD_FILE_NAME.fullmatch(path.name) is not None
    name = values.get("revision", path.stem if is_old else None)
    if not isinstance(name, str) or any(values.get(key) is UNKNOWN for key in _ALEMBIC_NAMES):
        return None
    description = (ast.get_docstring(tree) or "").strip()
    return Revision(
        id=name,
        parents=_string_tuple(values.get("down_revision")),
        depends_on=_string_tuple(values.get("depends_on")),
        labels=_string_tuple(values.get("branch_labels")),
        title=description.partition("\n")[0].strip(),
        description=description,
        path=path,
        **{name: _reason(values.get(name)) for name in _REASON_NAMES},
        downgrade_line=function_line(tree, "downgrade"),
    )


def _reason(value: object) -> str:
    return "" if value is UNKNOWN else str(value or "")


def _string_tuple(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, (tuple, list, set)) else ()
