"""Find the project that a task acts on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from dormatory.project.project import Project


def current_project(context: Context, x: Sequence[str] | None = None) -> Project:
    """Return the project that ALEMBIC_CONFIG names, or the one whose alembic.ini is next to tasks.py.

    `x` are its arguments `-x`, on top of those of its settings.
    """
    from dormatory.project.project import Project

    return Project.locate(task_home(context)).with_x_arguments(x or ())


def task_home(context: Context) -> Path:
    """Return the directory of the tasks.py that Invoke has loaded, wherever this package is installed."""
    return Path(context.config._project_prefix or ".").resolve()  # noqa: SLF001  # Invoke has no public name for it
