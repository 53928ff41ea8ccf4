"""Write the next revision from the models."""

from __future__ import annotations

import sys
import warnings
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dormatory.authoring.complete import complete_draft
from dormatory.authoring.divergence import read_divergences
from dormatory.authoring.draft import Draft, produce_draft
from dormatory.authoring.renaming import leave_open
from dormatory.authoring.source_edits import read_source_edits
from dormatory.commands.data_template import write_data_template
from dormatory.commands.declared_losses import declare_losses
from dormatory.commands.declared_parity import declare_parity
from dormatory.errors import MissingModelsError
from dormatory.project.checksum_update import add_checksums
from dormatory.project.history import History
from dormatory.runtime import numbering, scratch
from dormatory.runtime.placement import DEFAULT_PLACEMENT
from dormatory.runtime.runner import Runner
from dormatory.system.file_lock import directory_lock
from dormatory.system.process import run_program
from dormatory.system.quiet_logging import quiet_logging

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.authoring.renaming import AskRename
    from dormatory.project.project import Project
    from dormatory.runtime.placement import RevisionPlacement


def write_revision(
    project: Project,
    message: str,
    *,
    empty: bool,
    is_data: bool = False,
    placement: RevisionPlacement = DEFAULT_PLACEMENT,
    ask: AskRename = leave_open,
) -> Path | None:
    """Write the next revision and return its file, or None if the models and the history agree.

    With `is_data`, an empty one gets loops to be completed. `ask` says whether what seems to be renamed was; where it
    does not know, the revision holds a choice to be made. Raises MessageTooShortError, MultipleHeadsError.
    """
    title = numbering.checked_title(message)
    if not placement.head:
        History.read(project).refuse_branches()
    # Another run would take the same number and the same parent; env.py runs often, and logs what nobody asked for.
    with directory_lock(project.script_location), quiet_logging():
        file = _write_empty(project, title, placement) if empty else _write_differences(project, title, placement, ask)
        if file is not None:
            if is_data:
                write_data_template(file)
            declare_losses(file)
            _format(file)
            add_checksums(project)
    return file


def _write_empty(project: Project, title: str, placement: RevisionPlacement) -> Path | None:
    """Write a revision without operations; an env.py that takes part in it runs on a scratch database."""
    runner = Runner(project)
    if project.has_our_environment or not runner.runs_env_for_revisions:
        return runner.write_revision(title, autogenerate=False, placement=placement)
    with scratch.databases(project.settings.backends[0]) as maker, maker() as target:
        scratch.create_roles(project, target)
        with scratch.reading_connection(target) as connection:
            runner = Runner(project, target=target, connection=connection)
            return runner.write_revision(title, autogenerate=False, placement=placement)


def _write_differences(project: Project, title: str, placement: RevisionPlacement, ask: AskRename) -> Path | None:
    """Write what leads from the history to the models on each backend, or return None if nothing differs."""
    with ExitStack() as servers:
        divergences = read_divergences(project, servers)
        if all(it.is_none for it in divergences):
            if not any(it.found.tables for it in divergences) and not History.read(project).revisions:
                raise MissingModelsError("the models that env.py passes have no table, and there is no revision yet")
            return None
        target = divergences[0].target
        drafts = list[Draft]()
        with scratch.reading_connection(target) as connection:
            Runner(project, target=target, connection=connection).inspect(
                lambda context: drafts.append(produce_draft(context, divergences)), loads_revisions=True
            )
        # Alembic writes a revision of an env.py with several passes in several parts, each by itself.
        edits = read_source_edits(project.root)
        operations = complete_draft(drafts[0], divergences, edits, ask) if len(drafts) == 1 else None
        with scratch.reading_connection(target) as connection:
            runner = Runner(project, target=target, connection=connection)
            with warnings.catch_warnings(action="ignore"):  # what autogenerate does not see, the snapshots show
                file = runner.write_revision(title, autogenerate=True, operations=operations, placement=placement)
        if file is not None:
            declare_parity(file, divergences)
        return file


def _format(file: Path) -> None:
    """Format a generated file with Ruff, if Ruff is installed; Alembic's own layout would fail `nox -s lint`."""
    if find_spec("ruff"):
        for command in (["check", "--select=I", "--fix", "--exit-zero"], ["format"]):  # I: the order of the imports
            run_program([sys.executable, "-m", "ruff", *command, "--quiet", str(file)], cwd=file.parent)
