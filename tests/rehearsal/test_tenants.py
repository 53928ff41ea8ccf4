"""Rehearsals where env.py reads from the database for which schemas or version tables it runs the migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.registry import backend_for
from dormatory.rehearsal.rehearse import RehearsalRequest, rehearse
from dormatory.runtime import scratch
from tests.runtime.external_project import ENGINE_FROM_INI, ExternalProject
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
