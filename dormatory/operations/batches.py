"""Loops over the rows of a table in batches that are committed one by one: `in_batches`, for data migrations."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from time import sleep
from typing import TYPE_CHECKING, Any

from alembic import op

from dormatory.errors.batches import CommitImpossibleError, OfflineBatchesError
from dormatory.operations.calling_revision import begin_loop
from dormatory.operations.position import KeptPosition, PassingPosition, Position
from dormatory.operations.primary_key import PrimaryKey
from dormatory.operations.progress import BatchProgress
from dormatory.system.signals import delay_first_signal, interruption_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import ColumnElement, TableClause


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table; `rows` is the condition that is true for them, and for no other row."""

    rows: ColumnElement[bool]


def in_batches(table: TableClause, *, size: int = 1000, resume: bool = True, pause: float = 0.0) -> Iterator[Batch]:
    """Yield the rows of a table in batches of `size`, by primary key; each batch is a transaction of its own.

        for batch in in_batches(note, size=1000):
            op.execute(note.update().where(batch.rows).values(slug=sa.func.lower(note.c.title)))

    Every row that is there when the loop begins is in one batch, and a batch is committed when the next one is asked
    for. With `resume`, a revision that is run again after it was interrupted or has failed continues behind the last
    batch that was committed; without it, it begins at the first row. Between two batches it waits `pause` seconds, in
    no transaction. What is written must not change the primary key. Raises BatchError.
    """
    context = op.get_context()
    if size < 1:
        raise ValueError(f"a batch of {size} rows is none; size is 1 or more")
    if context.as_sql:
        raise OfflineBatchesError(table.fullname)
    _refuse_other_transaction(context)
    key = PrimaryKey.read(op.get_bind(), table)
    position: KeptPosition | PassingPosition = PassingPosition()
    if resume:
        loop = begin_loop(context, sys._getframe(1))  # noqa: SLF001  # Alembic does not say which revision is running
        position = KeptPosition(op.get_bind(), key, loop, context.version_table_schema)
        position.drop_with_stamp(context)
    return _batches(context, key, position, size, pause)


def _batches(
    context: MigrationContext, key: PrimaryKey, position: KeptPosition | PassingPosition, size: int, pause: float
) -> Iterator[Batch]:
    connection, end, before = op.get_bind(), key.last(op.get_bind()), position.read()
    total = key.count(connection, before.key, end) if end and BatchProgress.is_shown() else 0
    progress = BatchProgress(key.table.fullname, before.rows_done, total)
    is_kept, has_more = isinstance(position, KeptPosition), True
    with interruption_note(lambda: progress.stop_text(is_kept=is_kept)):
        while has_more:
            with delay_first_signal(progress.stopping):
                before = position.read()
                # A finished loop is one of an earlier run, which did not reach the stamp.
                keys = key.following(connection, before.key, end, size) if end and not before.is_finished else []
                has_more = len(keys) == size
                if keys:
                    yield Batch(key.between(before.key, keys[-1]))
                position.write(_next_position(before, keys, has_more=has_more))
                with context.autocommit_block():  # commits, and begins the next transaction
                    pass
                progress.add(len(keys))
            if pause and has_more:
                with context.autocommit_block():  # outside of any transaction
                    sleep(pause)


def _next_position(before: Position, keys: list[tuple[Any, ...]], *, has_more: bool) -> Position:
    after = replace(before, rows_done=before.rows_done + len(keys), is_finished=not has_more)
    return replace(after, key=keys[-1]) if keys else after


def _refuse_other_transaction(context: MigrationContext) -> None:
    """Raise CommitImpossibleError unless Alembic has begun the transaction; its own check is a bare assertion."""
    if context._transaction is None:  # noqa: SLF001  # as Alembic's autocommit_block does
        options = op.get_bind().get_execution_options()
        raise CommitImpossibleError(is_in_block=options.get("isolation_level") == "AUTOCOMMIT")
