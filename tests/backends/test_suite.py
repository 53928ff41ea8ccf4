"""What every backend promises, one suite on each."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.base import PGDialect

from dormatory.backends.names import validate_backend_name
from dormatory.backends.registry import backend_for
from dormatory.backends.url import Target
from dormatory.errors import DatabaseFailedError, MissingDatabaseError, UnsupportedBackendError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.backends.postgresql.server.throwaway import Server

DATABASE_NAMES = ["plain", "with space", "Größe", "quo'te\"d", "per%cent"]


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def target(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    """A database that does not exist yet."""
    name = getattr(request.node, "callspec", None)
    chosen = f"{name.params.get('name', 'x') if name else 'x'}_{secrets.token_hex(4)}"
    if kind == "sqlite":
        yield Target.parse("sqlite:///x.db", root=tmp_path).with_database(str(tmp_path / f"{chosen}.db"))
        return
    server: Server = request.getfixturevalue("postgres_server")
    made = server.database(chosen)
    yield made
    backend_for(made).drop(made)


class TestLifecycle:
    @pytest.mark.parametrize("name", DATABASE_NAMES)
    def test_a_database_exists_from_its_creation_to_its_drop(self, target: Target, name: str) -> None:
        backend = backend_for(target)
        assert name in target.database
        assert not backend.exists(target)
        backend.create(target)
        assert backend.exists(target)
        backend.drop(target)
        assert not backend.exists(target)

    def test_creating_twice_and_dropping_twice_change_nothing(self, target: Target) -> None:
        backend = backend_for(target)
        backend.drop(target)
        backend.create(target)
        with backend.engine(target, writing=True).begin() as connection:
            connection.execute(text("CREATE TABLE kept (x int)"))
        backend.create(target)
        assert backend.summary(target).tables == 1
        backend.drop(target)
        backend.drop(target)

    def test_a_created_database_is_a_development_database(self, target: Target) -> None:
        backend = backend_for(target)
        backend.create(target)
        stock = backend.summary(target)
        assert (stock.environment, stock.tables, stock.sessions) == ("development", 0, 0)
        assert stock.database == target.database

    def test_a_missing_database_has_no_summary(self, target: Target) -> None:
        with pytest.raises(MissingDatabaseError, match=r"create it with: inv db\.create"):
            backend_for(target).summary(target)


class TestTransactions:
    @pytest.fixture(autouse=True)
    def create_database(self, target: Target) -> None:
        backend_for(target).create(target)

    def test_ddl_is_rolled_back(self, target: Target) -> None:
        engine = backend_for(target).engine(target, writing=True)
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE a (x int)"))
            connection.execute(text("INSERT INTO a VALUES (1)"))
            connection.execute(text("ALTER TABLE a ADD COLUMN y int"))
            connection.rollback()
        assert backend_for(target).summary(target).tables == 0

    def test_an_intact_database_passes_every_check(self, target: Target) -> None:
        backend = backend_for(target)
        with backend.engine(target, writing=True).begin() as connection:
            connection.execute(text("CREATE TABLE a (x int)"))
            backend.refuse_leftovers(connection)
            backend.refuse_dangling_rows(connection)
            backend.refuse_invalid_objects(connection)

    def test_the_version_names_product_and_number(self, target: Target, kind: str) -> None:
        backend = backend_for(target)
        with backend.engine(target, writing=False).connect() as connection:
            product, number = backend.version(connection).split()
        assert product.lower() == kind
        assert float(".".join(number.split(".")[:2])) >= 3

    def test_a_failed_statement_is_explained_with_the_database_in_it(self, target: Target) -> None:
        backend = backend_for(target)
        with backend.engine(target, writing=False).connect() as connection, pytest.raises(Exception) as raised:  # noqa: PT011
            connection.execute(text("SELECT * FROM nothing_there"))
        explained = backend.explain(raised.value, target)
        assert isinstance(explained, DatabaseFailedError)
        assert str(explained).startswith(f"{target} failed (")
        assert "nothing_there" in str(explained)
        assert len(str(explained).splitlines()) == 1


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_connection_lost_while_a_session_begins_is_explained(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_: object, connection: Connection) -> None:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    backend_for(target).create(target)
    monkeypatch.setattr(PGDialect, "_get_server_version_info", cut)
    said = r" failed \(.*somebody ended the session"
    with pytest.raises(DatabaseFailedError, match=said), backend_for(target).driver_connection(target, writing=False):
        pass


def test_another_backend_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnsupportedBackendError, match="this workflow knows sqlite and postgresql"):
        validate_backend_name("mysql")
