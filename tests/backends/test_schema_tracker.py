"""A tracker of PostgreSQL and of SQLite: what it reads again, and which tables' rows it reports as changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from dormatory.backends.introspection import read_snapshot
from dormatory.backends.postgresql.introspection import schema_tracker
from dormatory.backends.sqlite import introspection as sqlite_introspection
from dormatory.errors import DormatoryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.throwaway import Server
    from dormatory.backends.schema_tracker import SchemaReading, SchemaTracker

START = (
    "create table parent (id int primary key, label text); create table other (id int primary key);"
    "create table child (id int primary key, parent int references parent on delete cascade);"
    "create table version (number int); insert into parent values (1, 'a'), (2, 'b'); insert into child values (1, 1)"
)


@pytest.fixture
def connection(postgres_server: Server) -> Iterator[sa.Connection]:
    url = postgres_server.create_database().sqlalchemy_url()
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql(START)
        # Otherwise the server may count these rows in the next transaction as well.
        connection.exec_driver_sql("select pg_stat_force_next_flush()")
        connection.commit()
        yield connection
    postgres_server.drop_database(str(url.database))


def run_and_read(tracker: SchemaTracker, connection: sa.Connection, *statements: str) -> SchemaReading:
    tracker.begin(connection)
    for statement in statements:
        connection.exec_driver_sql(statement)
    tracker.end(connection)
    connection.commit()
    reading = tracker.read(connection)
    assert reading.snapshot == read_snapshot(connection, ignore=("version",))
    connection.commit()
    return reading


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("update parent set label = 'c' where id = 2", {"parent"}),
        ("delete from parent where id = 1", {"parent", "child"}),
        ("select * from parent", set()),
        ("insert into version values (1)", set()),
        ("alter table parent add extra int", {"parent"}),
        ("alter table parent alter label type text using upper(label)", {"parent"}),
        ("truncate parent cascade", {"parent", "child"}),
        ("create table fresh as select 1 as one", {"fresh"}),
        ("drop table child", set()),
        ("alter table other rename to another; insert into another values (1)", {"another"}),
        ("create type mood as enum ('a'); comment on table parent is 'x'", set()),
    ],
)
def test_tables_whose_rows_may_have_changed_are_reported(
    connection: sa.Connection, statement: str, tables: set[str]
) -> None:
    tracker = schema_tracker(("version",))
    tracker.read(connection)
    connection.commit()
    reading = run_and_read(tracker, connection, statement)
    assert reading.affected_tables == frozenset(("public", name) for name in tables)


@pytest.mark.parametrize(
    "statements",
    [
        ("create table fresh (id int)", "commit"),
        ("commit", "create index concurrently ix on parent (label)", "begin"),
        ("update pg_attribute set attstattarget = 7 where attname = 'label'",),
        ("set track_counts = off", "grant select on parent to public"),
    ],
)
def test_unknown_changes_lead_to_a_full_read(connection: sa.Connection, statements: tuple[str, ...]) -> None:
    tracker = schema_tracker(("version",))
    tracker.read(connection)
    connection.commit()
    reading = run_and_read(tracker, connection, *statements)
    assert reading.affected_tables is None


def test_without_begin_no_affected_tables_are_known(connection: sa.Connection) -> None:
    tracker = schema_tracker(())
    assert not tracker.end(connection)
    assert tracker.read(connection).affected_tables is None


def test_unchanged_objects_stay_the_same_object(connection: sa.Connection) -> None:
    tracker = schema_tracker(("version",))
    before = tracker.read(connection).snapshot
    connection.commit()
    assert run_and_read(tracker, connection, "insert into other values (1)").snapshot is before
    after = run_and_read(tracker, connection, "alter table child add extra int").snapshot
    assert after.table("child") != before.table("child")
    assert after.table("parent") is before.table("parent")
    assert after.views is before.views


def test_prepared_statements_may_be_deallocated(connection: sa.Connection) -> None:
    tracker = schema_tracker(("version",))
    tracker.read(connection)
    connection.commit()
    for number in range(3):
        run_and_read(tracker, connection, f"create table t{number} (id int)", "deallocate all")


def test_an_incremental_read_needs_no_more_statements_with_many_tables(connection: sa.Connection) -> None:
    def count_statements(tables: int) -> int:
        tracker, seen = schema_tracker(("version",)), list[str]()
        for number in range(tables):
            connection.exec_driver_sql(f"create table if not exists n{number} (id int references parent, k text)")
        connection.commit()
        tracker.read(connection)
        connection.commit()
        run_and_read(
            tracker, connection, "alter table n0 add extra int default 3"
        )  # after which all statements are prepared
        run_and_read(tracker, connection, "alter table n0 drop extra")

        def record(*event: object) -> None:
            seen.append(str(event[2]))

        tracker.begin(connection)
        connection.exec_driver_sql("alter table n0 add extra int default 3")
        tracker.end(connection)
        connection.commit()
        sa.event.listen(connection, "before_cursor_execute", record)
        tracker.read(connection)
        sa.event.remove(connection, "before_cursor_execute", record)
        connection.exec_driver_sql("alter table n0 drop extra")
        return len(seen)

    assert count_statements(1) == count_statements(40) <= 6


def test_sqlite_is_tracked_without_begin() -> None:
    engine = sa.create_engine("sqlite://")
    tracker = sqlite_introspection.schema_tracker(("version",))
    with engine.connect() as connection:
        for statement in START.replace("; ", ";").split(";"):
            connection.exec_driver_sql(statement)
        tracker.begin(connection)
        assert not tracker.end(connection)
        before = tracker.read(connection)
        connection.exec_driver_sql("alter table other add extra int")
        after = tracker.read(connection)
        assert (before.affected_tables, after.affected_tables) == (None, None)
        assert after.snapshot == read_snapshot(connection, ignore=("version",)) != before.snapshot
        assert after.snapshot.table("parent") is before.snapshot.table("parent")
        assert tracker.read(connection).snapshot is after.snapshot
    engine.dispose()


def test_an_unsupported_backend_is_rejected() -> None:
    connection = sa.create_mock_engine("mysql://", lambda *_: None)
    with pytest.raises(DormatoryError, match="the structure of a mysql database cannot be read"):
        read_snapshot(connection)  # type: ignore[arg-type]
