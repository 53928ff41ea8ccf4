"""The two schemas of a drift check, each read from a real server: by the history, and by the models."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.errors import ModelsFailedError
from dormatory.recording.model import Comparison
from dormatory.runtime.env_filters import read_left_out
from dormatory.runtime.model_facts import described_types, join_facts, model_facts
from dormatory.runtime.model_supplies import copy_supplies, without_supplies
from dormatory.runtime.runner import Runner
from dormatory.runtime.uncreatable import remove_uncreatable
from dormatory.runtime.unimported_models import unimported_models
from dormatory.runtime.worker import call_in_worker
from dormatory.schema.alignment import Equivalence, align_spelling
from dormatory.schema.left_out import LeftOut, with_left_out
from dormatory.system.text import first_line, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection, MetaData

    from dormatory.backends.base import Backend
    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.model_facts import ModelFacts
    from dormatory.schema.snapshot import Snapshot

_MAX_STATEMENT_LENGTH = 120


def compare_with_models(
    project: Project, maker: ScratchMaker, migrated: Target, version_tables: Sequence[str]
) -> Comparison:
    """Create the models on a scratch database; return its schema and that of one to which the history was applied.

    What means the same is spelt the same in both, and what env.py leaves out is the same.
    """
    backend = backend_for(migrated)
    with backend.engine(migrated, writing=False).connect() as connection:
        by_history, server = read_snapshot(connection, ignore=version_tables), backend.version(connection)
        extension_indexes = backend.extension_indexes(connection)
    try:
        with maker() as model_database:
            facts = create_model_schema(project, model_database)
            by_models = _aligned_schema(model_database, version_tables, by_history, facts)
    except ModelsFailedError:
        if not backend.has_namespaces:
            raise
        with maker() as model_database:
            supplies = copy_supplies(migrated, model_database, *version_tables)
            facts = create_model_schema(project, model_database, has_supplies=True)
            by_models = without_supplies(_aligned_schema(model_database, version_tables, by_history, facts), supplies)
    if not facts.is_known:
        return Comparison(migrated.backend_name, server, by_history, None)
    by_models, _ = with_left_out(by_models, by_history, facts.uncreatable)
    left_out = _tables_not_compared(by_history, facts)
    if facts.has_filters and by_models != by_history:
        left_out += read_left_out(project, migrated)
    by_models, differing = with_left_out(by_models, by_history, left_out)
    return Comparison(
        migrated.backend_name,
        server,
        by_history,
        by_models,
        tuple(map(str, differing)),
        extension_indexes,
        facts.unimported,
        tuple(map(str, facts.uncreatable)),
    )


def _aligned_schema(
    model_database: Target, version_tables: Sequence[str], by_history: Snapshot, facts: ModelFacts
) -> Snapshot:
    """Return the schema of the models in the spelling of the history."""
    backend = backend_for(model_database)
    with backend.engine(model_database, writing=True).connect() as connection:
        equivalence = Equivalence(
            dialect_by_name(model_database.backend_name),
            facts.names,
            facts.derived_lengths,
            accepts_unlimited=True,
            is_same_value=partial(backend.is_same_value, connection),
        )
        by_models = align_spelling(read_snapshot(connection, ignore=version_tables), by_history, equivalence)
        connection.rollback()
    return _with_partitioned_tables(by_models, by_history)


def _with_partitioned_tables(by_models: Snapshot, by_history: Snapshot) -> Snapshot:
    """Return the models' schema with the kind of tables that only the history partitions: rows are the same in both."""
    kinds = {table.id: table.kind for table in by_history.tables if table.partition_key is not None}
    return replace(
        by_models,
        tables=tuple(
            replace(table, kind=kinds.get(table.id, table.kind)) if table.partition_key is None else table
            for table in by_models.tables
        ),
    )


def _tables_not_compared(by_history: Snapshot, facts: ModelFacts) -> tuple[LeftOut, ...]:
    """Return the tables in namespaces that Alembic does not compare without `include_schemas`."""
    if facts.namespaces is None:
        return ()
    return tuple(LeftOut("table", table.id) for table in by_history.tables if table.namespace not in facts.namespaces)


def create_model_schema(project: Project, target: Target, *, has_supplies: bool = False) -> ModelFacts:
    """Create the tables of the project's metadata, and the namespaces that they are in; return facts of the models.

    The database is empty, or holds what copy_supplies() gave it. Raises ModelsFailedError if it refuses the models.
    """
    return call_in_worker(project, _create_model_schema, project, target, has_supplies)


def _create_model_schema(project: Project, target: Target, has_supplies: bool) -> ModelFacts:  # noqa: FBT001  # a worker gets positional arguments
    backend = backend_for(target)
    passes: list[tuple[dict[str, Any], tuple[str, ...]]] = []

    def keep_options(context: MigrationContext) -> None:
        path = backend.search_path(context.connection) if context.connection is not None else ()
        passes.append((dict(context.opts), path))

    with backend.engine(target, writing=True).connect() as connection:
        Runner(project, target=target, connection=connection).inspect(keep_options, loads_revisions=True)
        connection.rollback()
        facts = [_create_pass(connection, backend, target, *one, has_supplies=has_supplies) for one in passes]
        described = [metadata for options, _ in passes for metadata in _metadatas(options)]
        migrations = (project.script_location, *project.version_locations)
        return replace(join_facts(facts), unimported=unimported_models(described, project.root, migrations))


def _create_pass(
    connection: Connection,
    backend: Backend,
    target: Target,
    options: dict[str, Any],
    search_path: tuple[str, ...],
    *,
    has_supplies: bool,
) -> ModelFacts:
    """Create the tables that one pass of env.py compares with, and return their facts."""
    metadatas, namespace = _metadatas(options), next(iter(search_path), None)
    uncreatable = remove_uncreatable(metadatas, namespace)
    try:
        for name in described_types(metadatas, connection.dialect) if has_supplies else ():
            connection.exec_driver_sql(f"DROP TYPE IF EXISTS {name} CASCADE")  # the models make it themselves
        _create_all(connection, metadatas, backend, search_path)
    except SQLAlchemyError as error:
        reason = first_line(target.mask(str(getattr(error, "orig", None) or error)))
        statement = shorten(" ".join((getattr(error, "statement", None) or "").split()), _MAX_STATEMENT_LENGTH)
        raise ModelsFailedError(f"{reason}, at: {statement}" if statement else reason) from error
    return replace(model_facts(metadatas, options, connection.dialect, namespace), uncreatable=uncreatable)


def _metadatas(options: dict[str, Any]) -> Sequence[MetaData]:
    given = options.get("target_metadata") or ()
    return given if isinstance(given, (list, tuple)) else (given,)


def _create_all(
    connection: Connection, metadatas: Sequence[MetaData], backend: Backend, search_path: Sequence[str]
) -> None:
    """Create the tables where env.py's connection would create them, and the namespaces that they are in."""
    schemas = {name for metadata in metadatas for name in metadata._schemas if name}  # noqa: SLF001  # MetaData has no public list of them
    for name in sorted({*schemas, *search_path}) if backend.has_namespaces else ():
        connection.execute(CreateSchema(name, if_not_exists=True))
    backend.set_search_path(connection, search_path)
    for metadata in metadatas:
        metadata.create_all(connection)
    connection.commit()
