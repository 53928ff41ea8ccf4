from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.registry import backend_for
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target


@pytest.fixture(params=BACKENDS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """An empty scratch database."""
    with scratch_maker(str(request.param), request)() as target:
        yield target


def execute(target: Target, statement: str) -> None:
    """Execute a statement in a connection of its own."""
    with backend_for(target).driver_connection(target, writing=True) as connection:
        connection.cursor().execute(statement)
        connection.commit()


def has_table(target: Target, name: str) -> bool:
    """Return whether a table exists."""
    engine = backend_for(target).engine(target, writing=True)
    return sa.inspect(engine).has_table(name)


def test_a_database_goes_back_to_its_last_copy(target: Target) -> None:
    checkpoint = backend_for(target).scratch.checkpoint(target)
    for name in ("a", "b"):
        execute(target, f"CREATE TABLE {name} (id integer)")
        assert checkpoint.save()
    execute(target, "DROP TABLE a")
    for _ in range(2):
        execute(target, "CREATE TABLE c (id integer)")
        assert checkpoint.restore()
        assert [has_table(target, name) for name in "abc"] == [True, True, False]


def test_without_a_copy_a_database_goes_back_to_an_empty_one(target: Target) -> None:
    checkpoint = backend_for(target).scratch.checkpoint(target)
    execute(target, "CREATE TABLE a (id integer)")
    assert checkpoint.restore()
    assert not has_table(target, "a")


def test_nothing_happens_while_somebody_is_connected(target: Target) -> None:
    execute(target, "CREATE TABLE a (id integer)")
    checkpoint = backend_for(target).scratch.checkpoint(target)
    with backend_for(target).driver_connection(target, writing=True) as connection:
        connection.cursor().execute("SELECT 1 FROM a")
        assert not checkpoint.save()
        assert not checkpoint.restore()
    assert has_table(target, "a")


@pytest.mark.parametrize("target", ["postgresql"], indirect=True)
def test_a_setting_of_the_database_comes_back_and_a_new_role_goes(target: Target) -> None:
    checkpoint = backend_for(target).scratch.checkpoint(target)
    execute(target, f"ALTER DATABASE {target.database} SET search_path TO here, public")
    assert checkpoint.save()
    for _ in range(2):
        execute(target, "CREATE ROLE made_since")
        execute(target, f"ALTER DATABASE {target.database} RESET search_path")
        assert checkpoint.restore()
        with backend_for(target).driver_connection(target, writing=False) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW search_path")
            assert cursor.fetchone() == ("here, public",)
