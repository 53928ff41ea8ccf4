"""The schema files under version control: what the history gives at head, on each backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.migrations import scratch
from dormatory.schema.dump import dump

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.migrations.project import Project
    from dormatory.migrations.scratch import Scratch


def committed_file(project: Project, backend: str) -> Path:
    """Return the path of a backend's schema file."""
    return project.script_location / "schema" / f"{backend}.sql"


def fresh_dump(project: Project, maker: Scratch) -> str:
    """Return the dump of a scratch database at head; no developer's database is involved."""
    with scratch.at_revision(project, maker) as target:
        return dump(target)
