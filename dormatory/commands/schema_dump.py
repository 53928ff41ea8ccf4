"""The schema files under version control: what the history gives at head on each backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.missing_database import missing_database
from dormatory.backends.registry import backend_for
from dormatory.errors import (
    DatabaseNotEmptyError,
    DumpMismatchError,
    MissingDumpError,
    UnwritableFileError,
)
from dormatory.runtime import scratch
from dormatory.schema.diff import diff
from dormatory.system.atomic_file import replace_file
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.schema.changes import Change


@dataclass(frozen=True, slots=True)
class DumpDifference:
    """Two dumps of one backend: both texts, and the changes of structure from the first to the second."""

    backend: str
    before: str
    after: str
    changes: tuple[Change, ...]


def committed_file(project: Project, backend: str) -> Path:
    """Return the path of a backend's schema file."""
    return project.script_location / "schema" / f"{backend}.sql"


def committed_text(project: Project, backend: str, reference: str = "") -> str:
    """Return the text of a schema file in the checkout, or at a git reference.

    Raises MissingDumpError if there is no file, ProgramFailedError if git does not know the reference.
    """
    file = committed_file(project, backend)
    if not reference:
        try:
            return file.read_bytes().decode()
        except FileNotFoundError as error:
            raise MissingDumpError(str(file)) from error
    # git resolves `./` from its working directory, and a bare path from the root of the repository
    git_object = f"{reference}:./{file.name}"
    fix = f"see that it exists there: git ls-tree {reference} {file}"
    return run_program(["git", "show", git_object], cwd=file.parent, fix=fix).stdout


def text_or_empty(file: Path) -> str:
    """Return the text of a schema file, "" if it is missing."""
    return file.read_bytes().decode() if file.exists() else ""


def fresh_dump(project: Project, maker: ScratchMaker) -> str:
    """Return the dump of a scratch database at head."""
    with scratch.at_revision(project, maker) as target:
        return _dump(project, target)


def live_dump(project: Project, target: Target) -> str:
    """Return the dump of the target itself; raises MissingDatabaseError."""
    if not backend_for(target).exists(target):
        raise missing_database(target)
    return _dump(project, target)


def committed_and_fresh_dump(project: Project, backend: str) -> tuple[Path, str, str]:
    """Return the path of a schema file, its text (empty if the file is missing), and the text it should have."""
    file = committed_file(project, backend)
    with scratch.databases(backend) as maker:
        return file, text_or_empty(file), fresh_dump(project, maker)


def write_dumps(project: Project, backends: Sequence[str], directory: Path | None) -> Iterator[tuple[Path, bool]]:
    """Write the schema files, and yield each path with whether its content changed."""
    for backend in backends:
        file = directory / f"{backend}.sql" if directory else committed_file(project, backend)
        with scratch.databases(backend) as maker:
            text = fresh_dump(project, maker)
        yield file, write_dump(file, text)


def dump_difference(project: Project, backend: str, reference: str = "") -> DumpDifference:
    """Compare a schema file, in the checkout or at a git reference, with what the history gives now."""
    before = committed_text(project, backend, reference)
    with scratch.databases(backend) as maker:
        with scratch.at_revision(project, maker) as target:
            version_tables = scratch.version_tables(project, target)
            after = backend_for(target).dump.dump_schema(target, *version_tables)
            new = scratch.read_schema(target, *version_tables)
        with maker() as target:
            backend_for(target).dump.load_schema(target, before)
            old = scratch.read_schema(target, *version_tables)
    return DumpDifference(backend, before, after, diff(old, new))


def load_committed_dump(project: Project, target: Target) -> None:
    """Load the committed file into an empty database, and check that it dumps to the same bytes again.

    A database that already is what the file says stays as it is. Raises MissingDumpError, DatabaseNotEmptyError,
    DumpMismatchError.
    """
    text = committed_text(project, target.backend_name)
    try:
        backend_for(target).dump.load_schema(target, text)
    except DatabaseNotEmptyError:
        if _dump(project, target) == text:
            return
        raise
    if _dump(project, target) != text:
        raise DumpMismatchError(str(target), str(committed_file(project, target.backend_name)))


def _dump(project: Project, target: Target) -> str:
    return backend_for(target).dump.dump_schema(target, *scratch.version_tables(project, target))


def write_dump(path: Path, text: str) -> bool:
    """Write a dump to a file, and return whether that changed it; an error leaves the old file as it was.

    Raises UnwritableFileError.
    """
    data, path = text.encode(), path.resolve()  # a link stays a link
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except OSError as error:
        raise UnwritableFileError(str(path), error.strerror or str(error)) from error
    return True
