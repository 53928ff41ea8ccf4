"""Revisions that only importing their files shows: their ids or parents are computed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.errors import ProgramFailedError
from dormatory.project.script import DECLARED_NAMES, revision_with
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dormatory.project.project import Project
    from dormatory.project.script import Revision, Script

_READER_PROGRAM = Path(__file__).with_name("revision_reader.py")


def import_revisions(project: Project, scripts: Sequence[Script]) -> Mapping[Path, Revision]:
    """Return the revisions of files by their paths; a file that cannot be imported, or assigns none, is left out."""
    files = [str(item.path) for item in scripts]
    command = [sys.executable, "-P", str(_READER_PROGRAM), str(project.ini), ",".join(DECLARED_NAMES), *files]
    try:
        output = run_program(command, env=os.environ, cwd=project.root).stdout
    except ProgramFailedError:
        return {}
    declared = zip(scripts, json.loads(output), strict=True)
    found = {item.path: revision_with(item.path, item.tree, values) for item, values in declared if item.tree}
    return {path: revision for path, revision in found.items() if revision}
