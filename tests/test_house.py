"""The house keeps its order: no import circles, one module for each public name, no room that holds too much."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import grimp
import pytest

pytestmark = pytest.mark.once

PACKAGE = Path(__file__).parents[1] / "dormatory"
TREES = {path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}

# Of the participles that do not end in -ed, those that are neither verbs nor nouns: not read, run, put, set or split.
BARE_PARTICIPLE = re.compile(
    r"_*(begun|bought|broken|brought|built|caught|chosen|done|drawn|driven|fallen|forgotten|found|given|gone|held|hidden"
    r"|kept|known|laid|led|left|lent|lost|made|meant|met|paid|said|seen|sent|shown|sold|sought|spent|stood|taken|thought"
    r"|thrown|told|understood|worn|written|[a-z]*[a-df-z]ed)_*"
)
LARGEST_SHARE = 0.28  # `backends`; a quarter is wanted
PARTICIPLES_IN_USE = {"reported"}  # a decorator, which reads as an adjective of its function


def public_names(tree: ast.Module) -> list[str]:
    """Return the public functions, classes and constants at the top of a module."""
    names: list[str] = []
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.Assign(targets=targets):
                names += [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def place_of(path: Path) -> Path | None:
    """Return where a name of this module stands; None where it may be the same as in another place.

    Every backend has its own part of one protocol, and a task has the name of the function that it calls.
    """
    if path.parts[:2] == ("cli", "tasks"):
        return None
    if path.parts[0] == "backends" and len(path.parts) > 2:
        return Path("backends/<one of them>")
    return path


def is_property(function: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("dormatory", cache_dir=None)  # with the imports for type checkers

    circles = [
        f"{module} imports {imported}"
        for module in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(module))
        if graph.chain_exists(imported, module)
    ]

    assert circles == []


def test_a_public_name_stands_once_in_the_package() -> None:
    places: defaultdict[str, set[Path]] = defaultdict(set)
    for path, tree in TREES.items():
        if place := place_of(path):
            for name in public_names(tree):
                places[name].add(place)

    assert {name: sorted(map(str, found)) for name, found in places.items() if len(found) > 1} == {}


def test_no_function_is_called_by_a_bare_past_participle() -> None:
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        if BARE_PARTICIPLE.fullmatch(node.name) and node.name not in PARTICIPLES_IN_USE and not is_property(node)
    ]

    assert found == []


def test_no_room_holds_too_many_of_the_lines() -> None:
    lines: Counter[str] = Counter()
    for path in TREES:
        lines[path.parts[0]] += len((PACKAGE / path).read_text().splitlines())

    ((room, most),) = lines.most_common(1)
    assert most / lines.total() < LARGEST_SHARE, room
