"""Checks that no published revision changes or disappears: pure, over the files and the checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
from dormatory.project.checksums import REMOVED
from dormatory.project.digest import script_digests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.checksums import Checksum, ChecksumFile
    from dormatory.project.script import Script

_REWRITE_HINT = "write it with: inv db.sum"
_UNDO_HINT = "take the change back and write another revision, or give the reason: inv db.sum --reason"

REVISION_CHANGED = Rule(
    "revision-changed",
    "integrity",
    Severity.ERROR,
    meaning="a published revision is not what it was",
    why="""Databases that ran the old text will never run the new one: from here on they differ, and no tool notices.
    Layout, comments and docstrings do not count.""",
    recipe="""
    git checkout main -- alembic/versions/003_store_moments.py   # and write another revision
    inv db.sum --reason "003: it never ran on PostgreSQL 15"     # if it has to stay changed
    """,
)

REVISION_UNSUMMED = Rule(
    "revision-unsummed",
    "integrity",
    Severity.ERROR,
    meaning="a revision has no line in versions.sum, or its line is older than the revision",
    why="""Because of its line, two branches that each add a revision conflict in git, and a later change of the
    revision is found.""",
    recipe="inv db.sum",
)

SUM_UNREADABLE = Rule(
    "sum-unreadable",
    "integrity",
    Severity.ERROR,
    meaning="a line of versions.sum cannot be read",
    why="Conflict markers were left, or it was written by hand. What the line protects is not protected.",
    recipe="inv db.sum",
)


def check_integrity(
    scripts: Sequence[Script], checksums: ChecksumFile | None, base: Sequence[Script] | None = None
) -> Iterator[Finding]:
    """Report revisions that differ from their checksums, or from what a git reference already has.

    `base` are the files of that reference; a revision that it lacks is not published, only its line may be out of
    date. Without `base`, every revision that has a line counts as published. A project
    without checksums is not checked.
    """
    if checksums is None:
        return
    for line, text in checksums.invalid_lines:
        message = f"line {line} cannot be read: {text.strip()[:60]}"
        yield SUM_UNREADABLE.finding(message, _REWRITE_HINT, location=Location(str(checksums.path), line))
    published, now = script_digests(base or ()), script_digests(scripts)
    script_by_id = {script.revision.id: script for script in reversed(scripts) if script.revision is not None}
    for name, digest in now.items():
        is_new = base is not None and name not in published
        yield from _check_present_revision(
            script_by_id[name], name, digest, checksums, published.get(name, ""), is_new=is_new
        )
    for name in dict.fromkeys((*checksums.by_id, *published)):
        if name not in now:
            yield from _check_absent_revision(name, checksums, is_published=name in published)


def _check_present_revision(
    script: Script, name: str, digest: str, checksums: ChecksumFile, published: str, *, is_new: bool
) -> Iterator[Finding]:
    """Report what is wrong with a revision that has a file."""
    known: Checksum | None = checksums.by_id.get(name)
    rule, hint, location = REVISION_UNSUMMED, _REWRITE_HINT, Location(str(script.path), 1)
    line = f"{checksums.path.name}:{known.line}" if known else checksums.path.name
    if published and published != digest and not (known and known.reason and known.digest == digest):
        message = f"revision {name} is published, and does something else now"
        rule, hint = REVISION_CHANGED, f'{_UNDO_HINT} "{name}: ..."'
    elif known is None:
        message = f"revision {name} has no line in {checksums.path.name}"
    elif known.digest == REMOVED:
        message = f"{line} says that revision {name} was removed, and it is there"
        location = Location(str(checksums.path), known.line)
    elif known.digest != digest:
        message = f"revision {name} is not what {line} says"
        if not is_new:
            rule = REVISION_CHANGED
            hint = f'{_UNDO_HINT} "{name}: ..."; of a revision that nobody has run yet: inv db.sum'
    else:
        return
    yield rule.finding(message, hint, revision=name, object_name=f"revision {name}", location=location)


REVISION_REMOVED = Rule(
    "revision-removed",
    "integrity",
    Severity.ERROR,
    meaning="a published revision is gone",
    why="A database that is at this revision can no longer be upgraded or downgraded.",
    recipe="""
    git checkout main -- alembic/versions/003_store_moments.py
    inv db.sum --reason "003: squashed into 010"
    """,
)


def _check_absent_revision(name: str, checksums: ChecksumFile, *, is_published: bool) -> Iterator[Finding]:
    """Report a revision that has no file any more, and no reason for it."""
    known = checksums.by_id.get(name)
    if known and known.digest == REMOVED and known.reason:
        return
    message = f"revision {name} is {'published' if is_published else f'in {checksums.path.name}'}, and no file has it"
    hint = f'restore its file, or give the reason: inv db.sum --reason "{name}: ..."'
    location = Location(str(checksums.path), known.line if known else 1)
    yield REVISION_REMOVED.finding(message, hint, revision=name, object_name=f"revision {name}", location=location)
