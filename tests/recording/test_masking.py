"""The statements of a recording hold no secrets, and no values of real rows."""

from __future__ import annotations

from dormatory.backends.sqlite.dialect import DIALECT as SQLITE
from dormatory.recording.leg import Statement
from dormatory.recording.masking import mask_secrets, mask_statements
from dormatory.schema.snapshot import Column, Snapshot, Table


def test_names_known_from_the_schema_are_not_masked() -> None:
    room = Table(None, "room", columns=(Column("order", "TEXT"), Column("name", "TEXT")))
    sql = 'INSERT INTO room ("order", name) SELECT "Order", "Anna" FROM room'
    statement = Statement(sql, (), "versions/1.py", 7, 0.25, -1)

    (shown,) = mask_statements((statement,), SQLITE, Snapshot(), Snapshot(tables=(room,)), None)

    assert shown.sql == """INSERT INTO room ("order", name) SELECT "Order", '…' FROM room"""
    assert shown == Statement(shown.sql, (), "versions/1.py", 7, 0.25, -1)


def test_the_values_of_a_replay_are_shown_but_for_secrets() -> None:
    sqls = ("UPDATE room SET name = 'Anna' -- all of them", "CREATE USER a PASSWORD 'x1'")
    statements = tuple(Statement(sql, (), "versions/1.py", 7, 0.25, -1) for sql in sqls)

    shown = [it.sql for it in mask_secrets(statements, SQLITE)]

    assert shown == [sqls[0], "CREATE USER a PASSWORD '***'"]
