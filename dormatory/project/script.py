"""One revision file: its text, its syntax tree and the revision that it declares. Nothing is imported or run."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.errors.location import Location


@dataclass(frozen=True, slots=True)
class Revision:
    """What one file declares: its id, what it builds on, its title and its promises.

    `irreversible` and `lossy` give the reason, or are empty. `downgrade_line` is 0 if the file has no downgrade.
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
    downgrade_line: int = 0

    def whole_path(self, location: Location) -> Location:
        """Return a location with its whole path: in its own file a revision names it relative to the project."""
        is_own = self.path.as_posix().endswith(f"/{location.path}")
        return replace(location, path=str(self.path)) if is_own else location


@dataclass(frozen=True, slots=True)
class Script:
    """One file: its source, and its tree or the problem and line for which it has none.

    `revision` is None if the file assigns no `revision` that can be read without running it. Its parents are as
    written: a graph replaces shortened ids and labels.
    """

    path: Path
    source: bytes
    tree: ast.Module | None = field(default=None, compare=False)
    revision: Revision | None = None
    problem: str = ""
    line: int = 0

    @classmethod
    def parse(cls, path: Path, source: bytes) -> Script:
        """Parse a file; one that does not parse is a script with a problem."""
        try:
            tree = parse_source(path, source)
        except (SyntaxError, ValueError) as error:
            return cls(path, source, problem=str(error).splitlines()[0], line=getattr(error, "lineno", None) or 1)
        return cls(path, source, tree, _revision_in(path, tree))


def parse_source(path: Path, source: bytes) -> ast.Module:
    """Return the syntax tree of a file; raises SyntaxError or ValueError.

    Python's warnings, such as the one about an unknown escape, appear when the file is imported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, filename=str(path))


def function_line(tree: ast.Module, function: str) -> int:
    """Return the line that defines, imports or assigns a top-level name; 0 if there is none."""
    for node in _top_level_nodes(tree):
        match node:
            case ast.FunctionDef(name=name) if name == function:
                return node.lineno
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                if any(function == (item.asname or item.name) for item in names):
                    return node.lineno
            case ast.Assign(targets=targets) if any(getattr(item, "id", "") == function for item in targets):
                return node.lineno
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()) if name == function:
                return node.lineno
    return 0


def _top_level_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a module executes itself, also below conditions, but not the bodies of functions and classes."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
            yield from _top_level_nodes(child)


def _revision_in(path: Path, tree: ast.Module) -> Revision | None:
    """Return the revision that a syntax tree declares, or None if it assigns no text to `revision`."""
    values = dict(_literal_assignments(tree))
    name = values.get("revision")
    if not isinstance(name, str):
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
        irreversible=str(values.get("irreversible") or ""),
        lossy=str(values.get("lossy") or ""),
        downgrade_line=function_line(tree, "downgrade"),
    )


def _literal_assignments(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Yield the top-level names to which a module assigns a literal, with its value."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        try:
            value = ast.literal_eval(node.value) if node.value is not None else None
        except ValueError:
            continue
        yield from ((name, value) for name in names)


def _string_tuple(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, (tuple, list, set)) else ()
