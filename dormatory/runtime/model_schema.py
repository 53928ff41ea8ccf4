"""The two schemas of a drift check, each read from a real server: by the history, and by the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_for
from dormatory.errors import ModelsFailedError
from dormatory.recording.model import Comparison
from dormatory.runtime.runner import Runner
from dormatory.runtime.worker import call_in_worker

if TYPE_CHECKING:
    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.schema.snapshot import Snapshot


def compare_with_models(project: Project, maker: ScratchMaker, migrated: Target, version_table: str) -> Comparison:
    """Create the models on a scratch database; return its schema and that of one to which the history was applied."""
    with maker() as model_database:
        create_model_schema(project, model_database)
        by_models, server = _read_schema(model_database, version_table)
    by_history, _ = _read_schema(migrated, version_table)
    return Comparison(migrated.backend_name, server, by_history, by_models)


def create_model_schema(project: Project, target: Target) -> None:
    """Create the tables of the project's metadata, and the namespaces that they are in, on an empty database.

    Raises ModelsFailedError if the database refuses them.
    """
    call_in_worker(project, _create_model_schema, project, target)


def _create_model_schema(project: Project, target: Target) -> None:
    backend = backend_for(target)
    with backend.engine(target, writing=True).connect() as connection:
        metadatas = Runner(project, target=target, connection=connection).environment().metadata
        connection.rollback()
        try:
            for metadata in metadatas:
                for name in filter(None, metadata._schemas if backend.has_namespaces else ()):  # noqa: SLF001  # MetaData has no public list of them
                    connection.execute(CreateSchema(name, if_not_exists=True))
                metadata.create_all(connection)
            connection.commit()
        except SQLAlchemyError as error:
            reason = next(iter(target.mask(str(getattr(error, "orig", None) or error)).splitlines()), "")
            raise ModelsFailedError(reason) from error


def _read_schema(target: Target, version_table: str) -> tuple[Snapshot, str]:
    backend = backend_for(target)
    with backend.engine(target, writing=False).connect() as connection:
        return read_snapshot(connection, ignore=(version_table,)), backend.version(connection)
