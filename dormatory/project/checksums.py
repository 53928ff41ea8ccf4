"""`versions.sum`: one line per revision, with the digest of what it does, so that no published one changes unnoticed.

    001 v1:5f0c...
    002 v1:91ab...  # why it was changed after all
    003 removed     # squashed into 004

The newest is the last line, so that two branches that each add one have a conflict in git.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from dormatory.project.project import Project

CHECKSUMS_NAME = "versions.sum"
REMOVED = "removed"
FILE_HEADER = (
    "# Digests of the revisions, the newest last. Written by db.revision and db.sum; a change needs a reason.\n"
)
_LINE = re.compile(r"(?P<id>\S+)\s+(?P<digest>v1:[0-9a-f]{64}|removed)\s*(?:#\s*(?P<reason>.*\S)\s*)?")


@dataclass(frozen=True, slots=True)
class Checksum:
    """One line: a revision, its digest or REMOVED, the reason why it was changed or removed, and its number."""

    id: str
    digest: str
    reason: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ChecksumFile:
    """All lines of the file; `invalid_lines` are those that cannot be read, with their numbers."""

    path: Path
    lines: tuple[Checksum, ...] = ()
    invalid_lines: tuple[tuple[int, str], ...] = ()

    @classmethod
    def parse(cls, path: Path, text: str) -> ChecksumFile:
        """Parse the text of a file; the second line of a revision that has two is invalid."""
        found: dict[str, Checksum] = {}
        invalid: list[tuple[int, str]] = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line.strip())
            if match and match["id"] not in found:
                found[match["id"]] = Checksum(match["id"], match["digest"], match["reason"] or "", number)
            else:
                invalid.append((number, line))
        return cls(path, tuple(found.values()), tuple(invalid))

    @property
    def by_id(self) -> Mapping[str, Checksum]:
        """The lines by the ids of their revisions."""
        return {item.id: item for item in self.lines}


def checksums_path(project: Project) -> Path:
    """Return where a project keeps its checksums, if it keeps any."""
    return project.script_location / CHECKSUMS_NAME


def read_checksums(project: Project) -> ChecksumFile | None:
    """Return the checksums that a project keeps next to its revisions, or None if it keeps none."""
    path = checksums_path(project)
    return ChecksumFile.parse(path, path.read_text(encoding="utf-8")) if path.exists() else None


def checksum_text(lines: Iterable[Checksum]) -> str:
    """Return the text of a file with these lines."""
    return FILE_HEADER + "".join(
        f"{item.id} {item.digest}{f'  # {item.reason}' * bool(item.reason)}\n" for item in lines
    )
