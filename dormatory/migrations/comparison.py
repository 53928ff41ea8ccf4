"""Both sides of a drift check, each read back from a real server: the migrated schema and the models' own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.database.backend import backend_for
from dormatory.migrations import scratch
from dormatory.migrations.runner import Runner
from dormatory.schema.reflect import snapshot

if TYPE_CHECKING:
    from dormatory.database.url import Target
    from dormatory.migrations.project import Project
    from dormatory.migrations.scratch import Scratch
    from dormatory.schema.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Comparison:
    """The schema that the history gives at head, and the one that the models describe."""

    backend: str
    server: str
    migrated: Snapshot
    modelled: Snapshot


def compare(project: Project, maker: Scratch) -> Comparison:
    """Play the history on one scratch database, build the models on another, and look at both."""
    with maker() as modelled:
        build_models(project, modelled)
        by_models, server = _look(project, modelled)
    with scratch.at_revision(project, maker) as migrated:
        by_history, _ = _look(project, migrated)
    return Comparison(migrated.backend_name, server, by_history, by_models)


def build_models(project: Project, target: Target) -> None:
    """Create everything that the project's metadata describes on an empty database."""
    with backend_for(target).engine(target, writing=True).begin() as connection:
        for metadata in Runner(project, target=target, connection=connection).environment().metadata:
            metadata.create_all(connection)


def _look(project: Project, target: Target) -> tuple[Snapshot, str]:
    backend = backend_for(target)
    with backend.engine(target, writing=False).connect() as connection:
        ignored = Runner(project, target=target, connection=connection).environment().version_table
        return snapshot(connection, ignore=(ignored,)), backend.version(connection)
