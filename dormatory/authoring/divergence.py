"""What the models want otherwise than the history gives it, on each backend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.errors import ModelsFailedError, ProgramMissingError
from dormatory.runtime import scratch
from dormatory.runtime.model_schema import compare_with_models

if TYPE_CHECKING:
    from contextlib import ExitStack

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.schema.snapshot import Snapshot, Table


@dataclass(frozen=True, slots=True)
class Divergence:
    """A scratch database that the history was applied to, its structure, and that of the models.

    `models` is None where they are not known, or cannot be created.
    """

    target: Target
    version_tables: tuple[str, ...]
    found: Snapshot
    models: Snapshot | None

    @property
    def wanted(self) -> Snapshot | None:
        """The structure of the models, with the columns of each table in the order that adding them leads to."""
        return _with_column_order(self.models, self.found) if self.models else None

    @property
    def is_none(self) -> bool:
        """Whether the models and the history are known to agree."""
        return self.wanted == self.found


def read_divergences(project: Project, servers: ExitStack) -> tuple[Divergence, ...]:
    """Return the divergence on each backend of a project whose server is installed; raises what its revisions raise.

    The databases exist until `servers` is closed. The first backend is the one to run autogenerate on: on SQLite it
    writes forms that PostgreSQL refuses, such as a boolean default of 0.
    """
    found = list[Divergence]()
    missing: ProgramMissingError | None = None
    for name in reversed(project.settings.backends):
        try:
            maker = servers.enter_context(scratch.databases(name))
        except ProgramMissingError as error:
            missing = error
            continue
        target = servers.enter_context(scratch.at_revision(project, maker))
        tables = scratch.version_tables(project, target)
        try:
            comparison = compare_with_models(project, maker, target, tables)
            history, models = comparison.migrated, comparison.modelled
        except ModelsFailedError:  # the proof says so
            history, models = scratch.read_schema(target, *tables), None
        found.append(Divergence(target, tables, history, models))
    if not found and missing:
        raise missing
    return tuple(found)


def _with_column_order(wanted: Snapshot, found: Snapshot) -> Snapshot:
    """Return the structure with the columns of each table in the order that adding columns leads to."""
    tables = {table.id: table for table in found.tables}
    return replace(
        wanted,
        tables=tuple(_in_order_of(table, tables[table.id]) if table.id in tables else table for table in wanted.tables),
    )


def _in_order_of(table: Table, found: Table) -> Table:
    places = {column.name: place for place, column in enumerate(found.columns)}
    columns = sorted(table.columns, key=lambda column: places.get(column.name, len(places)))
    return replace(table, columns=tuple(columns))
