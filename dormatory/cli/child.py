"""Start `python -m dormatory`: a child process runs Alembic, and reads DATABASE_URL by itself."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.project.project import Project

DEBUG_VARIABLE = "DORMATORY_DEBUG"


def run_in_child(project: Project, *arguments: str, x: Sequence[str] | None = None) -> int:
    """Run a command of `python -m dormatory`, which prints its own messages, and return its exit code."""
    from dormatory.cli.reporting import is_debugging  # loads Invoke, which the child itself must not
    from dormatory.errors import EndedInRevisionError, ProgramKilledError
    from dormatory.system.position_file import POSITION_VARIABLE, position_file, position_in
    from dormatory.system.process import run_in_foreground

    env = {**os.environ, "ALEMBIC_CONFIG": str(project.ini)}
    if is_debugging():
        env[DEBUG_VARIABLE] = "1"
    command = [sys.executable, "-m", "dormatory", *arguments, *(f"-x{value}" for value in x or ())]
    with position_file() as file:
        code = run_in_foreground(command, env=env | {POSITION_VARIABLE: str(file)}, cwd=project.root)
        position = position_in(file)
    if position:
        raise EndedInRevisionError(position, code)
    if code < 0:
        raise ProgramKilledError("alembic", -code)
    return code


def enabled_flags(**options: bool) -> list[str]:
    """Return `--name` for each option that is on."""
    return [f"--{name.replace('_', '-')}" for name, is_on in options.items() if is_on]
