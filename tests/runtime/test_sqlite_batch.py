"""Rebuilding a table on SQLite gives the same result as Alembic alone, errors included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from alembic.ddl import impl
from alembic.ddl.sqlite import SQLiteImpl
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Text, create_engine, event
from sqlalchemy.exc import NoSuchTableError, OperationalError
from sqlalchemy.pool import NullPool

from dormatory.runtime.sqlite_batch import COPIES_NO_GENERATED_VALUES, SQLiteBatchImpl

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

PLACE = "CREATE TABLE place (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES place (id))"
HOUSE = "CREATE TABLE house (a INT, b INT, place INT REFERENCES place (id), PRIMARY KEY (a, b))"
TABLES = {
    "a chain": [PLACE, HOUSE, "CREATE TABLE room (id INT, a INT, b INT, FOREIGN KEY (a, b) REFERENCES house (a, b))"],
    "itself": [
        "CREATE TABLE room (id INTEGER PRIMARY KEY, parent INT CONSTRAINT up REFERENCES room ON DELETE CASCADE)"
    ],
    "a key that is not named": [PLACE, "CREATE TABLE room (id INT, place INT REFERENCES place ON UPDATE SET NULL)"],
    "another case": [PLACE, "CREATE TABLE room (id INT, place INT REFERENCES PLACE (ID) DEFERRABLE)"],
    "nothing": ["CREATE TABLE room (id INT NOT NULL DEFAULT 7 CONSTRAINT more CHECK (id > 0), UNIQUE (id))"],
    "a ring": [
        "CREATE TABLE bed (id INTEGER PRIMARY KEY, room INT REFERENCES room (id))",
        "CREATE TABLE room (id INTEGER PRIMARY KEY, bed INT CONSTRAINT own REFERENCES bed (id))",
    ],
}


def rebuild_table(
    path: Path, tables: list[str], kind: type[SQLiteImpl], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, str]:
    """Change the id of `room` to a text; return the tables afterwards, and the executed statements."""
    monkeypatch.setitem(impl._impls, "sqlite", kind)
    sent: list[str] = []
    with create_engine(f"sqlite:///{path / kind.__name__}", poolclass=NullPool).begin() as connection:
        for table in tables:
            connection.exec_driver_sql(table)
        event.listen(connection, "before_cursor_execute", lambda *args: sent.append(args[2]))
        with Operations(MigrationContext.configure(connection)).batch_alter_table("room") as batch:
            batch.alter_column("id", type_=Text())
        executed = ";".join(sent)
        return connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name").all(), executed


@pytest.mark.parametrize("tables", TABLES.values(), ids=TABLES)
def test_the_same_table_is_created(tables: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, _ = rebuild_table(tmp_path, tables, SQLiteImpl, monkeypatch)
    ours, _ = rebuild_table(tmp_path, tables, SQLiteBatchImpl, monkeypatch)

    assert ours == theirs


def test_referenced_tables_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, theirs = rebuild_table(tmp_path, TABLES["a chain"], SQLiteImpl, monkeypatch)
    _, ours = rebuild_table(tmp_path, TABLES["a chain"], SQLiteBatchImpl, monkeypatch)

    assert 'table_info("place")' in theirs.replace("table_xinfo", "table_info")
    assert "place" not in ours


@pytest.mark.parametrize("kind", [SQLiteImpl, SQLiteBatchImpl])
@pytest.mark.parametrize("parent", ["nowhere", "house"])
def test_a_missing_table_still_raises(
    kind: type[SQLiteImpl], parent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [
        "CREATE TABLE house (id INT REFERENCES nowhere (id))",
        f"CREATE TABLE room (id INT REFERENCES {parent} (id))",
    ]

    with pytest.raises(NoSuchTableError, match="nowhere"):
        rebuild_table(tmp_path, tables, kind, monkeypatch)


MANY_CONSTRAINTS = """
    CREATE TABLE room (
        id INTEGER PRIMARY KEY,
        a INT UNIQUE,
        "unique" INT,
        CONSTRAINT zz CHECK (a > 0),
        UNIQUE (a, id),
        CONSTRAINT place FOREIGN KEY (a) REFERENCES place (id),
        UNIQUE (id),
        CONSTRAINT aa CHECK (id > 0),
        FOREIGN KEY ("unique") REFERENCES place,
        CONSTRAINT mm UNIQUE (id, a)
    )
"""


def test_constraints_stay_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alembic keeps them in a set, so that their order depends on the addresses of objects and the hashes of names."""
    monkeypatch.setitem(impl._impls, "sqlite", SQLiteBatchImpl)
    with create_engine(f"sqlite:///{tmp_path / 'x.db'}", poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(PLACE)
        connection.exec_driver_sql(MANY_CONSTRAINTS)
        operations = Operations(MigrationContext.configure(connection))
        for _ in range(2):
            with operations.batch_alter_table("room") as batch:
                batch.alter_column("a", type_=Text())
                batch.create_check_constraint("new", "a <> 7")
            text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'room'").scalar_one()
            with operations.batch_alter_table("room") as batch:
                batch.drop_constraint("new", type_="check")
        connection.rollback()

    found = [line.strip(" \t,") for line in text.splitlines()[4:-1]]
    assert found == [
        "PRIMARY KEY (id)",
        "UNIQUE (a)",
        "CONSTRAINT zz CHECK (a > 0)",
        "UNIQUE (a, id)",
        "CONSTRAINT place FOREIGN KEY(a) REFERENCES place (id)",
        "UNIQUE (id)",
        "CONSTRAINT aa CHECK (id > 0)",
        'FOREIGN KEY("unique") REFERENCES place (id)',
        "CONSTRAINT mm UNIQUE (id, a)",
        "CONSTRAINT new CHECK (a <> 7)",
    ]


@pytest.mark.parametrize("storage", ["STORED", "VIRTUAL"])
def test_generated_columns_are_computed_again_where_the_environment_says_so(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(impl._impls, "sqlite", SQLiteBatchImpl)

    def rebuild(connection: Connection, **options: Any) -> None:
        context = MigrationContext.configure(connection, opts=options)
        with Operations(context).batch_alter_table("room") as batch:
            batch.alter_column("label", type_=Text())

    with create_engine(f"sqlite:///{tmp_path / 'x.db'}", poolclass=NullPool).connect() as connection:
        table = f"CREATE TABLE room (label INT, twice INT GENERATED ALWAYS AS (label * 2) {storage})"
        connection.exec_driver_sql(table)
        connection.exec_driver_sql("INSERT INTO room VALUES (4)")
        rebuild(connection, **{COPIES_NO_GENERATED_VALUES: True})

        assert connection.exec_driver_sql("SELECT * FROM room").all() == [("4", 8)]
        with pytest.raises(OperationalError, match="cannot INSERT into generated column"):
            rebuild(connection)
