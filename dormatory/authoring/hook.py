"""What an env.py hands to Alembic, so that plain `alembic revision --autogenerate` writes what the task writes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.operations import MigrationScript
    from alembic.runtime.migration import MigrationContext

    from dormatory.runtime.numbering import RevisionOperations


def complete_script(context: MigrationContext, script: MigrationScript) -> RevisionOperations:
    """Return the operations that lead from the history to the models and back, on each backend of the project."""
    from dormatory.authoring.complete import complete_draft  # noqa: PLC0415  # env.py runs for every command
    from dormatory.authoring.divergence import read_divergences  # noqa: PLC0415
    from dormatory.authoring.draft import read_draft  # noqa: PLC0415
    from dormatory.authoring.source_edits import read_source_edits  # noqa: PLC0415
    from dormatory.project.project import Project  # noqa: PLC0415

    config: Any = context.config
    try:
        with ExitStack() as servers:
            project = Project.from_config(config)
            divergences = read_divergences(project, servers)
            draft = read_draft(context, script, divergences)
            return complete_draft(draft, divergences, read_source_edits(project.root))
    finally:
        if context.environment_context:  # Alembic removes it from `alembic.context` after each run of an env.py
            context.environment_context._install_proxy()  # noqa: SLF001
