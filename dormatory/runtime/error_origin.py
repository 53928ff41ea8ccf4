"""Finds out what raised the error of a revision: a statement, a guard of the project, or code that reads a value."""

from __future__ import annotations

import ast
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from dormatory.backends.registry import backend_for
from dormatory.errors.failure_origin import FailureOrigin
from dormatory.project.script import parse_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target
    from dormatory.project.project import Project

_INSTALLED = ("site-packages", "dist-packages")


def error_origin(error: BaseException, project: Project, target: Target | None) -> FailureOrigin:
    """Return what raised an error of a revision.

    An exception that a revision raises because a statement failed is not a guard: the statement has failed. An error
    about NULL where a value is expected counts as one of a statement: the schema allows that NULL.
    """
    if database_error := next((it for it in _chain(error) if isinstance(it, DBAPIError)), None):
        is_content = target is not None and backend_for(target).is_content_error(database_error.orig or database_error)
        return FailureOrigin.CONTENT if is_content else FailureOrigin.STATEMENT
    if _is_raised_by_project(error, project):
        return FailureOrigin.GUARD
    return FailureOrigin.STATEMENT if "NoneType" in str(error) else FailureOrigin.CONTENT


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it followed from."""
    seen, one = set[int](), error
    while one is not None and id(one) not in seen:
        yield one
        seen.add(id(one))
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)  # type: ignore[assignment]


def _is_raised_by_project(error: BaseException, project: Project) -> bool:
    """Return whether the innermost frame is a `raise` or an `assert` in a file of the project."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or (line := frames[-1].lineno) is None:
        return False
    file = Path(frames[-1].filename)
    homes = (project.root, project.script_location, *project.version_locations)
    inside = (file.relative_to(home).parts for home in homes if file.is_relative_to(home))
    if all(any(part in _INSTALLED for part in parts) for parts in inside):  # a project may be installed itself
        return False
    try:
        tree = parse_source(file, file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    kinds = (ast.Raise, ast.Assert) if isinstance(error, AssertionError) else (ast.Raise,)
    return any(
        isinstance(node, kinds) and node.lineno <= line <= (node.end_lineno or node.lineno) for node in ast.walk(tree)
    )
