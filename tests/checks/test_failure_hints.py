"""The hint of a failure speaks of its own names, and there is none where the message shows no way."""

from __future__ import annotations

import pytest

from dormatory.checks.failure_hints import failure_hint
from dormatory.errors import RevisionFailedError
from dormatory.recording.leg import Direction, Failure

UP, DOWN, AGAIN = Direction

HINTS = {
    ('DuplicateObject: type "mood" already exists', AGAIN): 'op.execute("DROP TYPE mood")',
    ('DuplicateObject: type "mood" already exists', UP): 'name="mood", create_type=False',
    ('DuplicateColumn: column "lid" of relation "box" already exists', AGAIN): 'op.drop_column("box", "lid")',
    ("OperationalError: duplicate column name: lid", AGAIN): "leaves the column lid behind",
    ("OperationalError: table box already exists", AGAIN): "leaves box behind",
    ("OperationalError: index ix_box already exists", UP): "creates ix_box, too",
    ('UndefinedObject: constraint "uq" of relation "box" does not exist', DOWN): "nothing is called uq at this point",
    ('UndefinedColumn: column "lid" of relation "box" does not exist', DOWN): "nothing is called lid",
    ("OperationalError: no such index: ix_box", DOWN): "nothing is called ix_box",
    ("DependentObjectsStillExist: cannot drop table box because other objects depend on it", DOWN): "depends on box",
    (
        "DependentObjectsStillExist: cannot drop constraint pk_box on table box because other objects depend on it",
        DOWN,
    ): "depends on pk_box",
    ("No support for ALTER of constraints in SQLite dialect. Please", DOWN): "op.batch_alter_table",
    ('OperationalError: near "CONSTRAINT": syntax error', UP): "op.get_context().dialect.name",
    ("OperationalError: Cannot add a NOT NULL column with default value NULL", UP): "server_default",
    ('DatatypeMismatch: column "n" cannot be cast automatically to type integer', UP): '"n::integer"',
    ("ActiveSqlTransaction: CREATE INDEX CONCURRENTLY cannot run inside a transaction block", UP): "autocommit_block",
    ("ModuleNotFoundError: No module named 'shop.tools'", UP): "the module shop.tools",
    ("OperationalError: no such function: split_part", UP): "no such function",
    ("AttributeError: module 'alembic.op' has no attribute 'drop_colum'", DOWN): "correct the name",
}  # fmt: skip


def failure(why: str, fix: str = RevisionFailedError.usual_fix) -> Failure:
    return Failure("RevisionFailedError", "the revision failed", why, fix)


@pytest.mark.parametrize(("met", "part"), HINTS.items(), ids=[f"{why} {way.value}" for why, way in HINTS])
def test_a_hint_names_what_to_write(met: tuple[str, Direction], part: str) -> None:
    why, direction = met
    assert part in failure_hint(failure(why), direction)


@pytest.mark.parametrize("why", ["RuntimeError: not today", "ValueError: {name} is {0}", "KeyError: 'a'"])
def test_without_a_way_there_is_no_hint(why: str) -> None:
    assert failure_hint(failure(why), UP) == ""


def test_the_hint_of_the_error_itself_stays() -> None:
    assert failure_hint(failure("StatementError: a bind parameter", "escape it"), UP) == "escape it"
