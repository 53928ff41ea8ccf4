"""The names that the programs of a git reference use: the tables and columns of its models."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.url import VARIABLE
from dormatory.errors import ProgramFailedError
from dormatory.project.git import copied
from dormatory.project.project import CONFIG_VARIABLE
from dormatory.system.process import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.project.project import Project

_READER = Path(__file__).with_name("metadata_reader.py")


def names_in_use(project: Project, reference: str) -> Mapping[str, frozenset[str]] | None:
    """Return the columns of each table that the models of a git reference name; the checkout is not touched.

    None where that cannot be told: env.py fails there, it gives no models, or they come from elsewhere than the
    reference, such as from an installed package. Raises UnknownReferenceError.
    """
    with copied(reference, project.root) as (copy, original), tempfile.TemporaryDirectory() as scratch:
        ini = copy / project.ini.resolve().relative_to(original)
        if not ini.is_file():
            return None
        url = f"sqlite:///{Path(scratch, 'never.db')}"  # whatever env.py connects to before it says what it wants
        told = dict.fromkeys((VARIABLE, *project.settings.url_variable), url) | {CONFIG_VARIABLE: str(ini)}
        command = [sys.executable, "-P", str(_READER), str(ini), str(copy), str(original)]
        try:
            said = run(command, env=os.environ | told, cwd=ini.parent).stdout
        except ProgramFailedError:
            return None
    known: dict[str, list[str]] = json.loads(said or "{}")
    return {table: frozenset(columns) for table, columns in known.items()} or None
