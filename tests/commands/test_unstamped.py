"""A database with tables and without a revision, as create_all makes it, gets the advice to stamp and compare."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2
import pytest

if TYPE_CHECKING:
    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import Inv, SmallProject


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, small_project: SmallProject) -> str:
    """A database with the tables of both revisions, made without them."""
    small_project.write_table_revisions("a", "b")
    tables = ("CREATE TABLE a (id integer NOT NULL PRIMARY KEY)", "CREATE TABLE b (id integer NOT NULL PRIMARY KEY)")
    if request.param == "sqlite":
        url = f"sqlite:///{small_project.root}/x.db"
        with closing(sqlite3.connect(small_project.root / "x.db", isolation_level=None)) as connection:
            for statement in tables:
                connection.execute(statement)
        return url
    server: Server = request.getfixturevalue("postgres_server")
    url = server.create_database().url.render().replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as driver, driver, driver.cursor() as cursor:
        cursor.execute(";".join(tables).replace("integer", "serial"))
    return url


def test_the_advice_leads_to_a_database_at_head(inv: Inv, url: str) -> None:
    failed = inv("db.upgrade", url=url)
    assert (failed.code, failed.out) == (3, "")
    error = failed.err.splitlines()[-1]
    assert " has tables (a, b) and no revision (" in error
    assert error.endswith(
        "; write the revision that they match with: inv db.stamp --to REVISION, then see: inv db.check --live"
    )
    assert (
        "it has no revision: if it matches one, write that with: inv db.stamp --to REVISION"
        in inv("db.status", url=url).out
    )
    assert inv("db.stamp", "--to", "002", url=url).code == 0
    assert inv("db.check", "--live", url=url).code == 0
    assert inv("db.upgrade", url=url).code == 0


def test_a_failure_in_a_database_of_migrations_is_the_revisions_own(inv: Inv, small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    small_project.upgrade(f"sqlite:///{small_project.root}/x.db")
    small_project.write_revision("002", "op.execute('SELECT nothing')")
    failed = inv("db.upgrade", url=f"sqlite:///{small_project.root}/x.db")
    assert "and no revision" not in failed.err
