"""Projects whose env.py chooses the schema in which its migrations work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect

from dormatory.backends.registry import backend_for
from dormatory.commands.check import CheckRequest, check_project
from tests.runtime.external_project import ENGINE_FROM_INI, env_code

if TYPE_CHECKING:
    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import Inv
    from tests.runtime.external_project import ExternalProject

CREATE_SCHEMA = 'connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS tenant"); connection.commit()'
SET_PATH = 'connection.exec_driver_sql("SET search_path TO tenant, public"); connection.commit()'
MODELS = """
    import sqlalchemy as sa
    metadata = sa.MetaData()
    sa.Table("visit", metadata, sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("room", sa.String(20)))
"""
METADATA = "target_metadata=__import__('their_models').metadata"
# Each way to choose the schema: the engine, and what is done with its connection before and after configure().
WAYS = {
    "a statement before configure": env_code(
        first=f"{CREATE_SCHEMA}; {SET_PATH}; connection.dialect.default_schema_name = 'tenant'", configure=METADATA
    ),
    "a statement in the transaction": env_code(
        first=CREATE_SCHEMA,
        configure=METADATA,
        run="context.execute('SET search_path TO tenant'); context.run_migrations()",
    ),
    "an option of libpq": env_code(
        ENGINE_FROM_INI.replace("poolclass", "connect_args={'options': '-csearch_path=tenant'}, poolclass"),
        first=CREATE_SCHEMA,
        configure=METADATA,
    ),
}


@pytest.fixture
def tenant_project(external_project: ExternalProject) -> ExternalProject:
    """A project with two revisions in the schema `tenant`."""
    external_project.ini("script_location = scripts", "prepend_sys_path = .", "[dormatory]", "backends = postgresql")
    external_project.write("their_models.py", MODELS)
    external_project.env(WAYS["a statement before configure"])
    create = "op.create_table('visit', sa.Column('id', sa.BigInteger, primary_key=True))"
    external_project.revision("a", create, "op.drop_table('visit')")
    add = "op.add_column('visit', sa.Column('room', sa.String(20)))"
    external_project.revision("b", add, "op.drop_column('visit', 'room')", after="a")
    return external_project


def test_it_is_played_there_and_what_is_wrong_is_found(tenant_project: ExternalProject) -> None:
    tenant_project.write("their_models.py", MODELS.replace("20", "30"))
    tenant_project.revision("c", "op.create_table('left', sa.Column('id', sa.BigInteger))", "pass", after="b")
    request = CheckRequest(("postgresql",), frozenset({"roundtrip", "data", "drift"}))
    outcome, _ = check_project(tenant_project.project, request)
    found = [(item.rule, item.revision, item.message.partition(":")[0]) for item in outcome.findings]
    assert found == [
        ("trace", "c", "the downgrade undoes nothing"),
        ("drift", "", "table tenant.left"),
        ("drift", "", "column tenant.visit.room"),
    ]


@pytest.mark.parametrize("way", ["a statement in the transaction", "an option of libpq"])
def test_an_upgrade_ends_well_and_status_knows_it(
    tenant_project: ExternalProject, postgres_server: Server, inv: Inv, way: str
) -> None:
    tenant_project.env(WAYS[way])
    target = postgres_server.create_database()
    settings = {"ALEMBIC_CONFIG": str(tenant_project.root / "alembic.ini")}
    ended = inv("db.upgrade", url=target.url, **settings)
    assert (ended.code, ended.out) == (0, f"{target} is at b\n"), ended
    with backend_for(target).engine(target, writing=False).connect() as connection:
        assert inspect(connection).get_table_names("tenant") == ["alembic_version", "visit"]
        assert inspect(connection).get_table_names("public") == []
    found = json.loads(inv("db.status", "--json", url=target.url, **settings).out)
    assert (found["current"], found["pending"], found["drift"]["changes"]) == (["b"], [], [])
    ended = inv("db.downgrade", "--to=a", f"--confirm={target.database}", url=target.url, **settings)
    assert ended.code == 0, ended
