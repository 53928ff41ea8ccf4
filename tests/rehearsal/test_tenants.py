"""Rehearsals and replays where env.py reads from the database for which version tables it runs the migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.registry import backend_for
from dormatory.checks.environment import check_passes
from dormatory.rehearsal.rehearse import RehearsalRequest, rehearse
from dormatory.replay.replay import replay_history
from dormatory.runtime import scratch
from tests.runtime.external_project import ENGINE_FROM_INI, ExternalProject
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target

ENV = f"""
import sqlalchemy as sa
from alembic import context
from sqlalchemy import NullPool, engine_from_config
with {ENGINE_FROM_INI}.begin() as connection:
    parts = ["shared"]
    if sa.inspect(connection).has_table("tenant"):
        parts += connection.execute(sa.text("SELECT name FROM tenant ORDER BY name")).scalars()
    for part in parts:
        context.configure(connection=connection, version_table="versions_" + part)
        with context.begin_transaction():
            context.run_migrations(part=part)
"""


READ_BEHIND = f"""
import sqlalchemy as sa
from alembic import context
from sqlalchemy import NullPool, engine_from_config
def run(part):
    context.configure(connection=connection, version_table="versions_" + part)
    with context.begin_transaction():
        context.run_migrations(part=part)
with {ENGINE_FROM_INI}.begin() as connection:
    run("shared")
    if sa.inspect(connection).has_table("tenant"):
        for part in connection.execute(sa.text("SELECT name FROM tenant ORDER BY name")).scalars().all():
            run(part)
"""


@pytest.fixture
def tenants(tmp_path: Path) -> ExternalProject:
    """A project with a shared part and a part for each tenant."""
    project = ExternalProject(tmp_path / "tenants")
    project.env(ENV)
    create = "op.create_table('thing_' + part, sa.Column('id', sa.BigInteger, primary_key=True))"
    shared = "part == 'shared' and op.create_table('tenant', sa.Column('name', sa.String(9), primary_key=True))"
    dropped = "part == 'shared' and op.drop_table('tenant')"
    project.revision("a1", f"{shared}\n{create}", f"op.drop_table('thing_' + part)\n{dropped}")
    add = "op.add_column('thing_' + part, sa.Column('name', sa.String(20)))"
    project.revision("a2", add, "op.drop_column('thing_' + part, 'name')", after="a1")
    for file in (project.scripts / "versions").glob("*.py"):
        file.write_text(file.read_text().replace("grade()", "grade(part)"))
    return project


@pytest.fixture(params=BACKENDS)
def target(request: pytest.FixtureRequest, tenants: ExternalProject) -> Iterator[Target]:
    """A database of two tenants, all at the first revision."""
    with scratch_maker(request.param, request)() as target:
        scratch.upgrade(tenants.project, target, "a1")
        execute(target, "INSERT INTO tenant VALUES ('b'), ('c')")
        scratch.upgrade(tenants.project, target, "a1")
        yield target


def execute(target: Target, sql: str) -> None:
    with backend_for(target).engine(target, writing=True).begin() as connection:
        connection.execute(sa.text(sql))


def rehearsed(project: ExternalProject, target: Target) -> list[tuple[str, list[str]]]:
    """Return the version tables whose passes were rehearsed, "" for the first, with their revisions."""
    found = rehearse(project.project, target, RehearsalRequest())
    assert not any(leg.failure for it in found.recordings for step in it.steps for leg in step.legs)
    return [(it.version_table, [step.revision for step in it.steps]) for it in found.recordings]


def test_what_is_pending_for_each_tenant_is_rehearsed(tenants: ExternalProject, target: Target) -> None:
    assert [(table.rpartition(".")[2], names) for table, names in rehearsed(tenants, target)] == [
        ("", ["a2"]),
        ("versions_b", ["a2"]),
        ("versions_c", ["a2"]),
    ]


def test_a_tenant_that_is_behind_is_rehearsed_by_itself(tenants: ExternalProject, target: Target) -> None:
    scratch.upgrade(tenants.project, target, "a2")
    assert rehearsed(tenants, target) == []
    execute(target, "UPDATE versions_c SET version_num = 'a1'")
    execute(target, "ALTER TABLE thing_c DROP COLUMN name")
    assert [(table.rpartition(".")[2], names) for table, names in rehearsed(tenants, target)] == [
        ("versions_c", ["a2"])
    ]


def found_passes(project: ExternalProject, maker: ScratchMaker) -> list[tuple[str, str]]:
    """Return the tables for whose rows no pass was played, with the message, of a replay."""
    return [(it.object, it.message) for it in check_passes(replay_history(project.project, maker))]


class TestReplay:
    """A replay begins with an empty database, so it says which tenants it does not know."""

    @pytest.fixture(params=BACKENDS)
    def backend(self, request: pytest.FixtureRequest) -> str:
        """Each backend."""
        return str(request.param)

    def test_it_says_which_table_env_reads_that_is_empty(
        self, tenants: ExternalProject, request: pytest.FixtureRequest, backend: str
    ) -> None:
        ((table, message),) = found_passes(tenants, scratch_maker(backend, request))
        assert table == "tenant"
        assert message.startswith("the revisions were played in 1 pass of env.py")

    def test_tenants_that_a_revision_writes_and_env_reads_behind_it_are_played(
        self, tenants: ExternalProject, request: pytest.FixtureRequest, backend: str
    ) -> None:
        with_row = "\n    part == 'shared' and op.execute(\"INSERT INTO tenant VALUES ('b')\")"
        file = next((tenants.scripts / "versions").glob("a1*"))
        file.write_text(file.read_text().replace("def downgrade", f"{with_row}\ndef downgrade"))
        (found,) = found_passes(tenants, scratch_maker(backend, request))
        assert found[1].endswith("env.py makes 2 on a database with rows")
        tenants.env(READ_BEHIND)
        assert found_passes(tenants, scratch_maker(backend, request)) == []
