"""Rebuilding a table on SQLite gives the same result as Alembic alone, errors included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from alembic.ddl import impl
from alembic.ddl.sqlite import SQLiteImpl
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Text, create_engine, event
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.pool import NullPool

from dormatory.runtime.sqlite_batch import SQLiteBatchImpl

if TYPE_CHECKING:
    from pathlib import Path

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
