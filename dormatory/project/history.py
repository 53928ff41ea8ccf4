"""The revision graph, read from the files' syntax trees: no revision is imported, no database touched."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from dormatory.errors import BrokenHistoryError, MultipleHeadsError, UnknownRevisionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dormatory.project.project import Project


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision file: its name for itself, its parents, its title, and what it declares.

    `irreversible` and `lossy` give the reason, or are empty. `downgrade_line` is 0 where there is no downgrade at all.
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


@dataclass(frozen=True, slots=True)
class History:
    """All revisions, parents before children; siblings in the order of their ids."""

    revisions: tuple[Revision, ...]

    @classmethod
    def read(cls, project: Project) -> History:
        """Read the history of a project.

        Raises BrokenHistoryError for a file that does not parse, an id used twice, a parent that no file has,
        or a cycle.
        """
        return cls.from_sources({path: path.read_bytes() for path in revision_paths(project)})

    @classmethod
    def at_reference(cls, project: Project, reference: str) -> History:
        """Read the history as a git reference has it, without touching the checkout.

        Raises UnknownReferenceError besides what read() raises.
        """
        from dormatory.project.git import files_at  # noqa: PLC0415  # it starts git, which read() does not need

        return cls.from_sources(
            {
                path: source
                for location in project.version_locations
                for path, source in files_at(reference, location).items()
                if is_revision_file(path) and (project.recursive or path.parent == location)
            }
        )

    @classmethod
    def from_sources(cls, sources: Mapping[Path, bytes]) -> History:
        """Return the history in the sources of files; raises BrokenHistoryError as read() does."""
        return cls(_sort_revisions(item for path in sorted(sources) if (item := _parse_revision(path, sources[path]))))

    @property
    def heads(self) -> tuple[str, ...]:
        """The revisions that no other revision builds on."""
        parents = {parent for revision in self.revisions for parent in revision.parents}
        return tuple(revision.id for revision in self.revisions if revision.id not in parents)

    def refuse_branches(self) -> None:
        """Raise MultipleHeadsError when the history ends in more than one revision."""
        if len(self.heads) > 1:
            raise MultipleHeadsError(self.heads)

    def ancestors(self, name: str) -> set[str]:
        """Return the ids of all revisions that a database passed before this one; raises UnknownRevisionError."""
        last = self.get(name).id
        return self._with_ancestors([last]) - {last}

    def get(self, name: str) -> Revision:
        """Return the revision that `name` means: an id, the start of one, a label, or `head`.

        Raises UnknownRevisionError when it means none, or several.
        """
        if name == "head":
            self.refuse_branches()
            name = self.heads[0] if self.heads else name
        found = [item for item in self.revisions if name == item.id or name in item.labels]
        found = found or [item for item in self.revisions if name and item.id.startswith(name)]
        if len(found) != 1:
            raise UnknownRevisionError(name, known=[item.id for item in self.revisions])
        return found[0]

    def pending(self, current: Iterable[str]) -> tuple[Revision, ...]:
        """Return the revisions that a database at `current` still lacks, in the order of upgrade."""
        applied = self._with_ancestors(current)
        return tuple(revision for revision in self.revisions if revision.id not in applied)

    def unknown(self, current: Iterable[str]) -> tuple[str, ...]:
        """Return those of `current` that no file has: the database knows revisions this checkout does not."""
        known = {revision.id for revision in self.revisions}
        return tuple(sorted(set(current) - known))

    def next_id(self) -> str:
        """Return the number after the highest, three digits wide; ids that are no numbers do not count."""
        numbers = [int(revision.id) for revision in self.revisions if revision.id.isdecimal()]
        return f"{max(numbers, default=0) + 1:03d}"

    def _with_ancestors(self, ids: Iterable[str]) -> set[str]:
        by_id = {revision.id: revision for revision in self.revisions}
        found: set[str] = set()
        waiting = [name for name in ids if name in by_id]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += by_id[name].parents + by_id[name].depends_on
        return found


def revision_paths(project: Project) -> Iterator[Path]:
    """Yield the files of the checkout that Alembic takes for revisions."""
    for location in project.version_locations:
        found = location.rglob("*.py") if project.recursive else location.glob("*.py")
        yield from (path for path in found if is_revision_file(path))


def is_revision_file(path: Path) -> bool:
    """Say whether Alembic takes a file for a revision."""
    return path.suffix == ".py" and not path.name.startswith(("__init__", "."))


def _parse_revision(path: Path, source: bytes) -> Revision | None:
    """Return the revision in a file, or None when the file assigns no `revision`, as Alembic sees it."""
    try:
        tree = parse_source(path, source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise BrokenHistoryError(
            f"{path}:{line} does not parse", why=str(error).splitlines()[0], fix="mend the file"
        ) from error
    return revision_in(path, tree)


def parse_source(path: Path, source: bytes) -> ast.Module:
    """Return the syntax tree of a file; raises SyntaxError or ValueError.

    Python's warnings, such as on an escape that it does not know, are for whoever imports the file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, filename=str(path))


def revision_in(path: Path, tree: ast.Module) -> Revision | None:
    """Return the revision that a syntax tree describes, its parents as written; None where it assigns none."""
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


def function_line(tree: ast.Module, function: str) -> int:
    """Return the line of a top-level function, or of the name it is given by; 0 where there is none."""
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
    """Yield what a module executes itself, under conditions, too; not what its functions and classes hold."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)):
            yield from _top_level_nodes(child)


def _literal_assignments(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Yield the module's top-level names that are given a literal."""
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


def _sort_revisions(revisions: Iterable[Revision]) -> tuple[Revision, ...]:
    """Sort parents before children, or raise BrokenHistoryError with the files' names."""
    by_id: dict[str, Revision] = {}
    for revision in revisions:
        if twin := by_id.get(revision.id):
            raise BrokenHistoryError(
                f"revision {revision.id} exists twice",
                why=f"{twin.path} and {revision.path} both claim it",
                fix="give one of them the next free number",
            )
        by_id[revision.id] = revision
    resolved = {revision.id: _resolve_parents(revision, by_id) for revision in by_id.values()}
    sorter = TopologicalSorter({item.id: item.parents + item.depends_on for item in resolved.values()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise BrokenHistoryError(
            f"revisions {' → '.join(reversed(error.args[1]))} form a cycle",
            why="each of them comes before the others",
            fix="correct their down_revision",
        ) from error
    ordered: list[Revision] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += [resolved[name] for name in ready]
        sorter.done(*ready)
    return tuple(ordered)


def _resolve_parents(revision: Revision, by_id: dict[str, Revision]) -> Revision:
    """Return the revision with whole ids for its parents, which may be shortened, or labels in depends_on."""

    def full_id(name: str) -> str:
        if name in by_id:
            return name
        found = [item.id for item in by_id.values() if name in item.labels or item.id.startswith(name)]
        if len(found) != 1:
            raise BrokenHistoryError(
                f"{revision.path} builds on {name}, which no file has",
                why="its down_revision or depends_on names an unknown revision",
                fix="restore that file, or correct the name",
            )
        return found[0]

    return replace(
        revision,
        parents=tuple(full_id(name) for name in revision.parents),
        depends_on=tuple(full_id(name) for name in revision.depends_on),
    )
