"""The code that autogenerate writes for the models' column types runs on both backends and imports no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic import context as environment
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql

from dormatory.models import column_types
from dormatory.runtime import autogenerate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Connection]:
    """A connection to an empty database, once per backend."""
    if request.param == "sqlite":
        url = sa.make_url(f"sqlite:///{tmp_path / 'empty.db'}")
    else:
        url = request.getfixturevalue("postgres_server").create_database().sqlalchemy_url()
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as opened:
        yield opened


@pytest.fixture
def visits() -> sa.MetaData:
    """A table that uses a type and a default of each kind."""
    metadata = sa.MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s", "pk": "pk_%(table_name)s"})
    sa.Table(
        "visit",
        metadata,
        sa.Column("id", column_types.Key(), primary_key=True, server_default=column_types.new_key()),
        sa.Column("began", column_types.Timestamp(), server_default=column_types.utc_now(), nullable=False),
        sa.Column("level", column_types.Level),
        *column_types.timestamp_checks("began"),
    )
    return metadata


def _generate_code(connection: sa.Connection, metadata: sa.MetaData) -> str:
    context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
    operations = produce_migrations(context, metadata).upgrade_ops
    assert operations is not None
    return render_python_code(operations, migration_context=context, render_item=autogenerate.render_item)


def _run_code(connection: sa.Connection, metadata: sa.MetaData, code: str) -> None:
    context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
    names: dict[str, Any] = {"op": Operations(context), "sa": sa, "postgresql": postgresql}
    lines = [line.strip() for line in code.splitlines()]
    exec("\n".join(lines), names)  # noqa: S102 - generated a moment ago from the table above


class TestGeneratedCode:
    def test_imports_nothing_of_the_application(self, connection: sa.Connection, visits: sa.MetaData) -> None:
        assert "dormatory" not in _generate_code(connection, visits)

    def test_written_on_sqlite_it_runs_here(self, connection: sa.Connection, visits: sa.MetaData) -> None:
        with sa.create_engine("sqlite://", poolclass=sa.NullPool).connect() as sqlite:
            code = _generate_code(sqlite, visits)

        _run_code(connection, visits, code)
        connection.execute(sa.text("INSERT INTO visit (level) VALUES ('read')"))

        assert connection.scalar(sa.text("SELECT count(*) FROM visit WHERE began IS NOT NULL")) == 1

    def test_written_on_postgresql_it_runs_on_sqlite(self, request: pytest.FixtureRequest, visits: sa.MetaData) -> None:
        url = request.getfixturevalue("postgres_server").create_database().sqlalchemy_url()
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as server:
            code = _generate_code(server, visits)

        with sa.create_engine("sqlite://", poolclass=sa.NullPool).connect() as sqlite:
            _run_code(sqlite, visits, code)
            sqlite.execute(visits.tables["visit"].insert())
            assert sqlite.scalar(sa.text("SELECT count(*) FROM visit")) == 1


class TestComparison:
    @pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
    def test_an_index_for_one_backend_is_missed_only_there(
        self, monkeypatch: pytest.MonkeyPatch, connection: sa.Connection, backend: str
    ) -> None:
        metadata = sa.MetaData()
        table = sa.Table("visit", metadata, sa.Column("id", sa.Integer, primary_key=True))
        metadata.create_all(connection)
        sa.Index("ix_visit_id", table.c.id, info={column_types.ONLY_ON: backend}).ddl_if(dialect=backend)
        context = MigrationContext.configure(connection, opts={"include_object": autogenerate.include_object})
        monkeypatch.setattr(environment, "get_context", lambda: context)

        found = compare_metadata(context, metadata)

        assert len(found) == (backend == connection.dialect.name)
