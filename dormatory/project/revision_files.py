"""The files of a history as texts and syntax trees: of the checkout, of a git reference, or of both merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dormatory.project import git
from dormatory.project.history import is_revision_file, parse_source, revision_in, revision_paths

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping
    from pathlib import Path

    from dormatory.project.history import Revision
    from dormatory.project.project import Project


@dataclass(frozen=True, slots=True)
class Script:
    """One file: its source, and its tree or the problem and line for which it has none.

    `revision` is what it says it is, None where it assigns no `revision` that can be read without running it.
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
        return cls(path, source, tree, revision_in(path, tree))


def scripts(project: Project) -> tuple[Script, ...]:
    """Return the files of the checkout, in the order of their paths; it only reads."""
    return _parse_all({path: path.read_bytes() for path in revision_paths(project)})


def scripts_at(project: Project, reference: str) -> tuple[Script, ...]:
    """Return the files as a git reference has them, without touching the checkout; raises UnknownReferenceError."""
    return _parse_all(_sources_at(project, reference))


def merged_scripts(project: Project, reference: str) -> tuple[Script, ...]:
    """Return the files that merging the checkout with a git reference gives, without touching either.

    Where both changed one file, git stops at a conflict, which is no surprise: the checkout's is taken. Raises
    UnknownReferenceError.
    """
    ours = {path: path.read_bytes() for path in revision_paths(project)}
    theirs = _sources_at(project, reference)
    base = git.merge_base(reference, project.root)
    return _parse_all(merge_sources(_sources_at(project, base) if base else {}, ours, theirs))


def merge_sources(
    before: Mapping[Path, bytes], ours: Mapping[Path, bytes], theirs: Mapping[Path, bytes]
) -> dict[Path, bytes]:
    """Merge two sets of files that were one `before`; ours wins where both changed."""
    merged_sources: dict[Path, bytes] = {}
    for path in {**theirs, **ours}:
        chosen = theirs.get(path) if ours.get(path) == before.get(path) else ours.get(path)
        if chosen is not None:
            merged_sources[path] = chosen
    return merged_sources


def _sources_at(project: Project, reference: str) -> dict[Path, bytes]:
    return {
        path: source
        for location in project.version_locations
        for path, source in git.files_at(reference, location).items()
        if is_revision_file(path) and (project.recursive or path.parent == location)
    }


def _parse_all(sources: Mapping[Path, bytes]) -> tuple[Script, ...]:
    return tuple(Script.parse(path, sources[path]) for path in sorted(sources))
