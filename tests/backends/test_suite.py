"""Runs the suite on each backend of this package."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects.postgresql.base import PGDialect

from dormatory.backends.names import BACKEND_NAMES, validate_backend_name
from dormatory.backends.registry import backend_for
from dormatory.backends.url import Target
from dormatory.errors import DatabaseFailedError, UnsupportedBackendError
from tests.backends.suite import (  # noqa: F401  # pytest collects these
    TestBackups,
    TestConnections,
    TestFastPath,
    TestLifecycle,
    TestLocks,
    TestScratch,
    TestTransactions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from dormatory.backends.postgresql.server.throwaway import Server


@pytest.fixture(params=BACKEND_NAMES)
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
