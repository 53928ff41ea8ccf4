"""Reads the revision files of a project: those of the checkout, of a git reference, or of both merged."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dormatory.project.script import Script
from dormatory.project.sql_files import with_sql_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.project.project import Project


def read_scripts(project: Project) -> tuple[Script, ...]:
    """Return the files of the checkout, sorted by path.

    A file whose revision only a run would show is imported, in a process of its own, as Alembic does.
    """
    parsed = [Script.parse(path, path.read_bytes()) for path in sorted(set(_checkout_paths(project)))]
    if computed := [item for item in parsed if _is_computed(item)]:
        from dormatory.project.imported_revisions import import_revisions  # noqa: PLC0415  # few projects need it

        revisions = import_revisions(project, computed)
        parsed = [replace(item, revision=revisions.get(item.path, item.revision)) for item in parsed]
    return with_sql_files(parsed, partial(_sql_files, project))


def folders_of_revisions(project: Project) -> tuple[Path, ...]:
    """Return the folders below the version locations that hold files which Alembic would take for revisions."""
    found = (path for location in project.version_locations for path in location.rglob("*.py"))
    return tuple(sorted({path.parent for path in found if _is_revision_file(path)}))


def read_scripts_at(project: Project, reference: str, *, parsed: Sequence[Script] = ()) -> tuple[Script, ...]:
    """Return the files as a git reference has them, sorted by path; the checkout is not touched.

    A file of `parsed` with the same text is not parsed again. Raises UnknownReferenceError.
    """
    scripts = _parse_all(_sources_at(project, reference), parsed)
    return with_sql_files(scripts, partial(_sql_files_at, project, reference))


def merge_scripts(
    project: Project, reference: str, *, ours: Sequence[Script], theirs: Sequence[Script]
) -> tuple[Script, ...]:
    """Return the files that merging the checkout (`ours`) with a git reference (`theirs`) gives; neither is touched.

    A file that both changed is a conflict that git reports itself: the checkout's version is taken. Raises
    UnknownReferenceError.
    """
    from dormatory.project import git  # noqa: PLC0415  # an upgrade with nothing to do starts no git

    base = git.merge_base(reference, project.root)
    before = _sources_at(project, base) if base else {}
    merged = merge_sources(before, _sources_of(ours), _sources_of(theirs))
    return _parse_all(merged, (*theirs, *ours))


def merge_sources(
    before: Mapping[Path, bytes], ours: Mapping[Path, bytes], theirs: Mapping[Path, bytes]
) -> dict[Path, bytes]:
    """Merge two sets of files that come from one set, `before`; a file that both changed is taken from `ours`."""
    merged: dict[Path, bytes] = {}
    for path in {**theirs, **ours}:
        chosen = theirs.get(path) if ours.get(path) == before.get(path) else ours.get(path)
        if chosen is not None:
            merged[path] = chosen
    return merged


def _is_computed(script: Script) -> bool:
    """Return whether the text of a file does not show its revision."""
    return script.revision is None and script.tree is not None


def _checkout_paths(project: Project) -> Iterator[Path]:
    """Yield the files of the checkout that Alembic takes for revisions."""
    for location in project.version_locations:
        found = location.rglob("*.py") if project.recursive else location.glob("*.py")
        yield from (path for path in found if _is_revision_file(path))


def _sources_at(project: Project, reference: str) -> dict[Path, bytes]:
    from dormatory.project import git  # noqa: PLC0415  # an upgrade with nothing to do starts no git

    return {
        path: source
        for location in project.version_locations
        for path, source in git.files_at(reference, location).items()
        if _is_revision_file(path) and (project.recursive or path.parent == location)
    }


def _sql_files(project: Project) -> dict[Path, bytes]:
    found = (path for place in _sql_directories(project) for path in place.rglob("*.sql"))
    return {path: path.read_bytes() for path in found if path.is_file()}


def _sql_files_at(project: Project, reference: str) -> dict[Path, bytes]:
    from dormatory.project import git  # noqa: PLC0415  # an upgrade with nothing to do starts no git

    found = (item for place in _sql_directories(project) for item in git.files_at(reference, place).items())
    return {path: source for path, source in found if path.suffix == ".sql"}


def _sql_directories(project: Project) -> list[Path]:
    """Return the directories of a project's scripts, without those that are in another one."""
    home = project.script_location
    return [home, *(place for place in project.version_locations if not place.is_relative_to(home))]


def _is_revision_file(path: Path) -> bool:
    """Return whether Alembic takes a file for a revision."""
    return path.suffix == ".py" and not path.name.startswith(("__init__", "."))


def _sources_of(scripts: Sequence[Script]) -> dict[Path, bytes]:
    return {script.path: script.source for script in scripts}


def _parse_all(sources: Mapping[Path, bytes], parsed: Sequence[Script]) -> tuple[Script, ...]:
    """Return the scripts of some files, sorted by path; what is already parsed is taken from `parsed`."""
    known = {(script.path, script.source): script for script in parsed}
    return tuple(known.get((path, source)) or Script.parse(path, source) for path, source in sorted(sources.items()))
