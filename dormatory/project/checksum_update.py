"""Writes `versions.sum`: new lines for new revisions; the line of a published one changes only for a reason.

Published is what a git reference has, by default the main branch of the repository. Without a repository, no revision
is known to be published.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from dormatory.errors import UnknownReferenceError, UnwritableFileError
from dormatory.project.checksums import REMOVED, Checksum, ChecksumFile, checksum_text, checksums_path, read_checksums
from dormatory.project.digest import script_digests
from dormatory.project.graph import RevisionGraph
from dormatory.project.history import History
from dormatory.project.revision_files import read_scripts, read_scripts_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.project.project import Project
    from dormatory.project.script import Script

_MAIN_REFERENCES = ("origin/HEAD", "main", "master", "HEAD")


def write_checksums(project: Project, *, reason: str = "", reference: str = "") -> Path:
    """Write the file with a line for each revision, and return its path; unpublished revisions may have changed.

    A published revision that changed or was removed needs a reason, `REV: why`; without one its line stays as it was,
    and the check still reports it. Raises UnknownReferenceError, UnknownRevisionError, BrokenHistoryError.
    """
    found = read_checksums(project) or ChecksumFile(checksums_path(project))
    scripts = read_scripts(project)
    name, _, reason_text = (part.strip() for part in reason.partition(":"))
    published = _published_digests(project, reference, scripts)
    if name and name not in {*published, *found.by_id}:
        name = History.of(RevisionGraph(scripts)).get(name).id
    _update_file(found, scripts, published, {name: reason_text} if reason_text else {})
    return found.path


def add_checksums(project: Project) -> bool:
    """Add the lines of new revisions to the file of a project that keeps one; return whether it does.

    Existing lines stay as they are: the check reports what has changed since.
    """
    found = read_checksums(project)
    if found is not None:
        _update_file(found, read_scripts(project), {item.id: item.digest for item in found.lines}, {})
    return found is not None


def create_checksums(project: Project) -> None:
    """Write the file of a project that keeps none yet, with a line for each revision."""
    _update_file(ChecksumFile(checksums_path(project)), read_scripts(project), {}, {})


def add_checksums_with(script: Any, project: Project) -> None:
    """Make each revision that Alembic writes through this ScriptDirectory get its line, as by add_checksums()."""
    generate = script.generate_revision

    def generate_revision(*arguments: Any, **options: Any) -> Any:
        generated = generate(*arguments, **options)
        add_checksums(project)
        return generated

    script.generate_revision = generate_revision


def _published_digests(project: Project, reference: str, scripts: Sequence[Script]) -> dict[str, str]:
    """Return the digests of the revisions that must not change."""
    if reference:
        return script_digests(read_scripts_at(project, reference, parsed=scripts))
    for name in _MAIN_REFERENCES:
        with contextlib.suppress(UnknownReferenceError):
            return script_digests(read_scripts_at(project, name, parsed=scripts))
    return {}


def _update_file(
    found: ChecksumFile, scripts: Sequence[Script], published: Mapping[str, str], reasons: Mapping[str, str]
) -> None:
    from dormatory.system.atomic_file import replace_file  # noqa: PLC0415  # the daily command only reads

    digests = script_digests(scripts)
    present = {item.id: digests[item.id] for item in History.of(RevisionGraph(scripts)).revisions}
    lines = (*_absent_lines(present, found, published, reasons), *_present_lines(present, found, published, reasons))
    try:
        replace_file(found.path, checksum_text(lines).encode())
    except OSError as error:
        raise UnwritableFileError(found.path, error.strerror or str(error)) from error


def _absent_lines(
    present: Mapping[str, str], found: ChecksumFile, published: Mapping[str, str], reasons: Mapping[str, str]
) -> Iterator[Checksum]:
    """Yield the lines of revisions that no file has any more; the line of an unpublished one is left out."""
    known = found.by_id
    for name in dict.fromkeys((*known, *published)):
        if name in present:
            continue
        before, reason = known.get(name), reasons.get(name, "")
        if reason or (before and before.digest == REMOVED):
            yield Checksum(name, REMOVED, reason or (before.reason if before else ""))
        elif name in published:
            yield before or Checksum(name, published[name])


def _present_lines(
    present: Mapping[str, str], found: ChecksumFile, published: Mapping[str, str], reasons: Mapping[str, str]
) -> Iterator[Checksum]:
    """Yield the line of each revision in a file; a published one that changed without a reason keeps its old line."""
    known = found.by_id
    for name, digest in present.items():
        before = known.get(name)
        reason = reasons.get(name, "") or (before.reason if before and before.digest == digest else "")
        if name in published and published[name] != digest and not reason:
            yield before or Checksum(name, published[name])
        else:
            yield Checksum(name, digest, reason)
