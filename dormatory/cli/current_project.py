"""Find the project that a task acts on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke.context import Context

    from dormatory.project.project import Project


def current_project(context: Context) -> Project:
    """Return the project that ALEMBIC_CONFIG names, or the one whose alembic.ini is next to tasks.py."""
    from dormatory.project.project import Project

    return Project.locate(task_home(context))


def task_home(context: Context) -> Path:
    """Return the directory of the tasks.py that Invoke has loaded, wherever this package is installed."""
    return Path(context.config._project_prefix or ".").resolve()  # noqa: SLF001  # Invoke has no public name for it
