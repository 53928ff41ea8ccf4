"""Checks that no published revision changes or goes: pure, over the files of checkout and reference, and the sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dormatory.checks.registry import finding
from dormatory.project.checksums import REMOVED
from dormatory.project.digest import script_digests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.checksums import Checksum, ChecksumFile
    from dormatory.project.script import Script

_REWRITE_HINT = "write it anew with: inv db.sum"
_UNDO_HINT = "take the change back and write another revision, or give the reason: inv db.sum --reason"


def check_integrity(
    scripts: Sequence[Script], sums: ChecksumFile | None, base: Sequence[Script] | None = None
) -> Iterator[Finding]:
    """Report revisions that are not what the sums say, or not what a git reference already has.

    `base` are the files of that reference; what it does not have is not published, only its line may be
    out of date. Without one all that has a line counts as published. A project that keeps no sums is not judged.
    """
    if sums is None:
        return
    for line, text in sums.invalid_lines:
        message = f"line {line} does not read: {text.strip()[:60]}"
        yield finding("sum-unreadable", message, _REWRITE_HINT, file=str(sums.path), line=line)
    published, now = script_digests(base or ()), script_digests(scripts)
    script_by_id = {script.revision.id: script for script in reversed(scripts) if script.revision is not None}
    for name, digest in now.items():
        is_new = base is not None and name not in published
        yield from _check_present_revision(
            script_by_id[name], name, digest, sums, published.get(name, ""), is_new=is_new
        )
    for name in dict.fromkeys((*sums.by_id, *published)):
        if name not in now:
            yield from _check_absent_revision(name, sums, is_published=name in published)


def _check_present_revision(
    script: Script, name: str, digest: str, sums: ChecksumFile, published: str, *, is_new: bool
) -> Iterator[Finding]:
    """Report a revision that is there."""
    known: Checksum | None = sums.by_id.get(name)
    line = f"{sums.path.name}:{known.line}" if known else sums.path.name
    where: dict[str, Any] = {"revision": name, "object": f"revision {name}"}
    if published and published != digest and not (known and known.reason and known.digest == digest):
        message = f"revision {name} is published, and does something else now"
        yield finding(
            "revision-changed", message, f'{_UNDO_HINT} "{name}: ..."', file=str(script.path), line=1, **where
        )
    elif known is None:
        message = f"revision {name} has no line in {sums.path.name}"
        yield finding("revision-unsummed", message, _REWRITE_HINT, file=str(script.path), line=1, **where)
    elif known.digest == REMOVED:
        message = f"{line} says that revision {name} was removed, and it is there"
        yield finding("revision-unsummed", message, _REWRITE_HINT, file=str(sums.path), line=known.line, **where)
    elif known.digest != digest:
        message = f"revision {name} is not what {line} says"
        rule, hint = "revision-unsummed", _REWRITE_HINT
        if not is_new:
            rule, hint = (
                "revision-changed",
                f'{_UNDO_HINT} "{name}: ..."; of a revision that nobody has run yet: inv db.sum',
            )
        yield finding(rule, message, hint, file=str(script.path), line=1, **where)


def _check_absent_revision(name: str, sums: ChecksumFile, *, is_published: bool) -> Iterator[Finding]:
    """Report a revision that is gone without a reason."""
    known = sums.by_id.get(name)
    if known and known.digest == REMOVED and known.reason:
        return
    message = f"revision {name} is {'published' if is_published else f'in {sums.path.name}'}, and no file has it"
    hint = f'restore its file, or give the reason: inv db.sum --reason "{name}: ..."'
    where: dict[str, Any] = {"revision": name, "object": f"revision {name}", "file": str(sums.path)}
    yield finding("revision-removed", message, hint, line=known.line if known else 1, **where)
