"""Files that describe tables of the metadata that env.py passes, and that nothing imported: read, never run."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import MetaData, Table

from dormatory.project.script import parse_source
from dormatory.recording.model import UnimportedModels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from types import ModuleType

_FOREIGN_DIRECTORIES = frozenset({"site-packages", "dist-packages", "node_modules"})
_TEST_NAMES = frozenset({"test", "tests", "testing", "conftest"})


def unimported_models(
    metadatas: Sequence[MetaData], root: Path, migrations: Collection[Path]
) -> tuple[UnimportedModels, ...]:
    """Return the files of the models' packages below `root` that describe more tables of the metadata.

    A file counts if it takes the base class or the metadata from a loaded module. Nothing is a model in `migrations`,
    the directories of revisions and of env.py, or among tests.
    """
    root, skipped = root.resolve(), {directory.resolve() for directory in migrations}
    files = {module: Path(text).resolve() for module in tuple(sys.modules.values()) if (text := _file_of(module))}
    own = {
        module: file
        for module, file in files.items()
        if _is_own(file, root) and skipped.isdisjoint(file.parents) and _defines_part(module, metadatas)
    }
    known = {f"table {table.name}" for metadata in metadatas for table in metadata.tables.values()}
    known |= {f"class {name}" for module in own for name, value in vars(module).items() if isinstance(value, type)}
    seen, found = set(files.values()), []
    for directory, package in _packages(own):
        for file, module_name in _python_files(directory, package, skipped):
            if file in seen or not _is_own(file, root):
                continue
            seen.add(file)
            described = tuple(it for it in _described_tables(file, module_name, metadatas) if it not in known)
            if described:
                path = file.relative_to(root).as_posix()
                found.append(UnimportedModels(path, described, module_name.import_statement))
    return tuple(sorted(found, key=lambda item: item.path))


@dataclass(frozen=True, slots=True)
class _ModuleName:
    """The name by which a file would be imported: `name` in `package`, or `package` itself for an `__init__.py`."""

    package: str
    name: str

    @property
    def import_statement(self) -> str:
        if self.package and self.name:
            return f"from {self.package} import {self.name}"
        return f"import {self.package or self.name}"

    def absolute(self, module: str | None, level: int) -> str:
        """Return the module that is named here, with `level` dots in front of it."""
        if not level:
            return module or ""
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])


def _file_of(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else ""


def _is_own(file: Path, root: Path) -> bool:
    """Return whether a file is the project's own: below its root, and in no package that is installed there."""
    return file.is_relative_to(root) and _FOREIGN_DIRECTORIES.isdisjoint(file.relative_to(root).parts)


def _defines_part(module: ModuleType, metadatas: Sequence[MetaData]) -> bool:
    """Return whether a module holds the metadata or a table of it, or defines a class that is mapped to one."""
    return any(
        _is_of(value, metadatas)
        and (isinstance(value, (MetaData, Table)) or getattr(value, "__module__", None) == module.__name__)
        for value in tuple(vars(module).values())
        if isinstance(value, (MetaData, Table, type))
    )


def _is_of(value: object, metadatas: Sequence[MetaData]) -> bool:
    """Return whether a value is one of the metadata, or a table or a class that belongs to it."""
    own = value if isinstance(value, MetaData) else getattr(value, "metadata", None)
    return any(own is metadata for metadata in metadatas)


def _packages(modules: dict[ModuleType, Path]) -> Iterator[tuple[Path, str]]:
    """Yield the innermost packages that hold the modules, each as a directory and a name.

    The name is "" for the directory of a module that is in no package.
    """
    by_top: defaultdict[str, list[list[str]]] = defaultdict(list)
    for module, file in modules.items():
        package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
        if package:
            by_top[package.partition(".")[0]].append(package.split("."))
        else:
            yield file.parent, ""
    for packages in by_top.values():
        levels = takewhile(lambda parts: len(set(parts)) == 1, zip(*packages, strict=False))
        name = ".".join(parts[0] for parts in levels)
        yield from ((Path(directory).resolve(), name) for directory in getattr(sys.modules.get(name), "__path__", ()))


def _python_files(directory: Path, package: str, skipped: Collection[Path]) -> Iterator[tuple[Path, _ModuleName]]:
    """Yield the files of a package and of those below it; for the package "" those of its directory alone."""
    for entry in sorted(directory.iterdir()):
        if not entry.stem.isidentifier() or _is_test(entry.stem) or entry.resolve() in skipped:
            continue
        if entry.suffix == ".py":
            yield entry.resolve(), _ModuleName(package, "" if entry.stem == "__init__" else entry.stem)
        elif package and entry.name not in _FOREIGN_DIRECTORIES and entry.is_dir() and not entry.is_symlink():
            yield from _python_files(entry, f"{package}.{entry.name}", skipped)


def _is_test(name: str) -> bool:
    """Return whether a file or directory of this name holds tests."""
    return name in _TEST_NAMES or name.startswith("test_") or name.endswith("_test")


def _described_tables(file: Path, module_name: _ModuleName, metadatas: Sequence[MetaData]) -> Iterator[str]:
    """Yield what the text of a file describes: `table invoice`, or `class Invoice` if its table is named elsewhere."""
    source = file.read_bytes()
    if not any(word in source for word in (b"__tablename__", b"Table(", b"table=True", b"primary_key=True")):
        return
    try:
        tree = parse_source(file, source)
    except (SyntaxError, ValueError):
        return
    names, classes = _imported_values(tree, module_name), dict[str, ast.ClassDef]()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = node
            description = _class_description(node)
            if description and _derives(node, classes, names, metadatas):
                yield description
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.Expr)):
            match node.value:
                case ast.Call(
                    func=ast.Name(id="Table") | ast.Attribute(attr="Table"),
                    args=[ast.Constant(value=str(name)), argument, *_],
                ) if isinstance(given := _value(argument, names), MetaData) and _is_of(given, metadatas):
                    yield f"table {name}"


def _class_description(node: ast.ClassDef) -> str:
    """Return how to name what a class describes; "" if it has no table of its own."""
    values = _assigned_values(node)
    match values.get("__tablename__"):
        case ast.Constant(value=str(name)):
            return f"table {name}"
    if any(it.arg == "table" and isinstance(it.value, ast.Constant) and it.value.value for it in node.keywords):
        return f"table {node.name.lower()}"
    keywords = (it for value in values.values() if isinstance(value, ast.Call) for it in value.keywords)
    has_key = any(it.arg == "primary_key" for it in keywords) and "__abstract__" not in values
    return f"class {node.name}" if has_key else ""


def _derives(
    node: ast.ClassDef, classes: dict[str, ast.ClassDef], names: dict[str, object], metadatas: Sequence[MetaData]
) -> bool:
    """Return whether a class derives from a loaded one of the metadata, and does not choose other metadata."""
    if not _assigned_values(node).keys().isdisjoint({"metadata", "__bind_key__"}):
        return False
    for base in node.bases:
        value = _value(base, names)
        if isinstance(value, type) and _is_of(value, metadatas):
            return True
        local = classes.get(base.id) if isinstance(base, ast.Name) else None
        if local is not None and local is not node and _derives(local, classes, names, metadatas):
            return True
    return False


def _assigned_values(node: ast.ClassDef) -> dict[str, ast.expr | None]:
    """Return the values that the body of a class assigns to plain names."""
    values: dict[str, ast.expr | None] = {}
    for part in node.body:
        targets = (
            part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(part, (ast.Assign, ast.AnnAssign)):
                values[target.id] = part.value
    return values


def _imported_values(tree: ast.Module, module_name: _ModuleName) -> dict[str, object]:
    """Return what the imports of a file would give its names, as far as the modules are loaded."""
    values: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                loaded = alias.name if alias.asname else alias.name.partition(".")[0]
                values[alias.asname or loaded] = sys.modules.get(loaded)
        elif isinstance(node, ast.ImportFrom):
            home = module_name.absolute(node.module, node.level)
            for alias in node.names:
                value = vars(sys.modules[home]).get(alias.name) if home in sys.modules else None
                value = sys.modules.get(f"{home}.{alias.name}") if value is None else value
                values[alias.asname or alias.name] = value
    return values


def _value(node: ast.expr, names: dict[str, object]) -> object:
    """Return the value of a name or of an attribute of one, None if it is unknown."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, names), node.attr, None)
    return None
