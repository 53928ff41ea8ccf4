"""Finds out whether an upgrade has nothing to do, from the revision files and with one query.

Neither Alembic nor SQLAlchemy is loaded: that takes longer than all the rest. The fast path answers only if nothing is
unusual; all else is left to Alembic and its messages. It does not read what an upgrade with nothing to do does not use:
the models, and the names that a revision imports from Alembic, SQLAlchemy and the standard library.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.project.graph import RevisionGraph
from dormatory.project.revision_files import read_scripts
from dormatory.project.script import parse_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.project.script import Script

_TRUSTED_PACKAGES = frozenset({"alembic", "sqlalchemy", *sys.stdlib_module_names})


def reached_head(project: Project, target: Target, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the only head if the database is at it and nothing is wrong with either; None in any other case.

    It only reads, and waits for no lock.
    """
    if any(name in environ for name in target.redirecting_variables()):
        return None
    try:
        head = _only_head(project) if _is_ordinary(project) else None
        part = backend_for(target).fast_path if head else None
        return head if head and part and part.is_in_order_at(target, head) else None
    except (OSError, SyntaxError, ValueError):
        return None


def _is_ordinary(project: Project) -> bool:
    """Return whether env.py only imports and calls environment.run(), and every revision has a source file."""
    if not project.has_our_environment or b"sourceless" in project.ini.read_bytes():
        return False
    body = _syntax_tree(project.script_location / "env.py").body
    *others, last = [node for node in body if not _is_constant(node)]
    called = ast.unparse(last.value.func) if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) else ""
    return called == "environment.run" and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in others)


def _only_head(project: Project) -> str | None:
    """Return the id of the only head of an ordinary history: without problems, labels and dependencies."""
    scripts = read_scripts(project)
    if not all(_is_ordinary_revision(script) for script in scripts):
        return None
    graph = RevisionGraph(scripts)
    return graph.heads[0] if not graph.has_problems and len(graph.heads) == 1 else None


def _is_ordinary_revision(script: Script) -> bool:
    revision, tree = script.revision, script.tree
    if revision is None or tree is None or revision.labels or revision.depends_on:
        return False
    return _is_importable(tree)


def _is_importable(tree: ast.Module) -> bool:
    """Return whether a module can be imported: its top level has only trusted imports, functions and simple values."""
    bound = set[str]()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if not all(name.partition(".")[0] in _TRUSTED_PACKAGES for name in _imported_modules(node)):
                return False
            bound |= {item.asname or item.name.partition(".")[0] for item in node.names}
        elif isinstance(node, ast.FunctionDef):
            if not _is_simple([*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)], bound):
                return False
            bound.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is None or not _is_simple([node.value], bound):
                return False
            bound |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif not _is_constant(node):
            return False
    return True


def _is_simple(values: list[ast.expr], bound: set[str]) -> bool:
    """Return whether expressions consist of constants, of bound names, and of calls to these."""
    allowed = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Name, ast.Attribute, ast.Call, ast.keyword, ast.Load)
    nodes = [node for value in values for node in ast.walk(value)]
    return (
        all(isinstance(node, allowed) for node in nodes)
        and {node.id for node in nodes if isinstance(node, ast.Name)} <= bound
    )


def _imported_modules(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        yield node.module or "" if not node.level else ""
    else:
        yield from (item.name for item in node.names)


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _syntax_tree(path: Path) -> ast.Module:
    return parse_source(path, path.read_bytes())
