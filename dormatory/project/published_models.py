"""The tables and columns in the models of a git reference: the names that running programs still use."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.url import URL_VARIABLE
from dormatory.errors import ProgramFailedError
from dormatory.project.env_needs import is_flask
from dormatory.project.git import repository_copy
from dormatory.project.project import CONFIG_VARIABLE
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.project.project import Project

_READER_SCRIPT = Path(__file__).with_name("published_models_reader.py")


def published_columns(project: Project, reference: str) -> Mapping[str, frozenset[str]] | None:
    """Return the columns of each table in the models of a git reference; the checkout is not touched.

    Return None if they are unknown: env.py fails there, it has no models, or they come from somewhere else than the
    reference, such as an installed package. Raises UnknownReferenceError.
    """
    with repository_copy(reference, project.root) as (copy, original), tempfile.TemporaryDirectory() as scratch:
        ini = copy / project.ini.resolve().relative_to(original)
        if not ini.is_file():
            return None
        url = f"sqlite:///{Path(scratch, 'never.db')}"  # for an env.py that connects before it configures Alembic
        variables = dict.fromkeys((URL_VARIABLE, *project.settings.url_variable), url) | {CONFIG_VARIABLE: str(ini)}
        needs = json.dumps(_needs_of_env(project, copy, original, url))
        command = [sys.executable, "-P", str(_READER_SCRIPT), str(ini), str(copy), str(original), needs]
        root = copy / project.root.resolve().relative_to(original)
        try:
            output = run_program(command, env=os.environ | variables, cwd=root).stdout
        except ProgramFailedError:
            return None
    known: dict[str, list[str]] = json.loads(output or "{}")
    return {table: frozenset(columns) for table, columns in known.items()} or None


def _needs_of_env(project: Project, copy: Path, original: Path, url: str) -> dict[str, object]:
    """Return what the env.py of a copy is configured with and needs around it, as the reader takes it."""
    settings = project.settings
    options = {"sqlalchemy.url": url}
    scripts = project.script_location.resolve()
    if project.is_inside_scripts:
        options["script_location"] = str(copy / scripts.relative_to(original))
    if settings.database:
        options["databases"] = settings.database
    from_key = [f"{settings.x_argument}={url}"] if settings.x_argument else []
    around = {
        "prelude": settings.prelude,
        "wrapper": settings.wrapper,
        "needs_flask": is_flask(project.script_location / "env.py"),
    }
    return {
        "configuration": {"options": options, "x": [*settings.x_arguments, *from_key]},
        "around": around,
        "paths": [str(copy / project.root.resolve().relative_to(original))] if project.is_inside_scripts else [],
    }
