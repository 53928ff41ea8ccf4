"""Retries a revision that did not get a lock in time: it is rolled back and, after a growing pause, run again."""

from __future__ import annotations

import logging
from functools import wraps
from time import sleep
from typing import TYPE_CHECKING, Any

from dormatory.errors import LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.runtime.migration import MigrationContext, RevisionStep

    from dormatory.backends.base import LockTimeout

_MAX_PAUSE_SECONDS = 30.0
_LOG = logging.getLogger("dormatory")


def with_lock_retries(
    step: RevisionStep, context: MigrationContext, lock_timeout: LockTimeout, retries: int | None
) -> Callable[..., None]:
    """Return the function of a step that is run again, at most `retries` times, if it does not get its locks.

    A step can be rolled back only while it is in the transaction that it began with: what ran before an
    autocommit_block() stays committed. Raises LockTimeoutError. If `retries` is None, the transaction may belong to the
    caller: the step runs once, and its errors are the caller's.
    """
    migrate = step.migration_fn

    @wraps(migrate)  # Alembic's log reads the direction from its name
    def run(**arguments: Any) -> None:
        for number in range((retries or 0) + 1):
            lock_timeout.begin_revision()
            before, memo = context._transaction, dict(context.impl.memo)  # noqa: SLF001  # as Alembic's autocommit_block does
            try:
                migrate(**arguments)
            except Exception as error:
                if retries is None or not lock_timeout.is_timeout(error):
                    raise
                is_kept = before is None or context._transaction is not before  # noqa: SLF001
                if is_kept or number == retries:
                    name = str(step.revision.revision)
                    pid = lock_timeout.blocker.pid if lock_timeout.blocker else 0
                    raise LockTimeoutError(
                        name, _blocker_text(lock_timeout), pid=pid, tries=number + 1, is_kept=is_kept
                    ) from error
            else:
                return
            _restart_transaction(context, memo)
            _pause(step, lock_timeout, number + 1, retries or 0)
            context._ensure_version_table()  # noqa: SLF001  # the first step's transaction had made it

    return run


def _restart_transaction(context: MigrationContext, memo: dict[Any, Any]) -> None:
    """Roll the transaction back, which releases its locks, and begin another."""
    connection, transaction = context.connection, context._transaction  # noqa: SLF001
    if connection is None or transaction is None:
        raise AssertionError
    transaction.rollback()
    context._transaction = connection.begin()  # noqa: SLF001
    context.impl.memo.clear()
    context.impl.memo.update(memo)


def _pause(step: RevisionStep, lock_timeout: LockTimeout, number: int, retries: int) -> None:
    seconds = min(2.0 ** (number - 1), _MAX_PAUSE_SECONDS)
    who = _blocker_text(lock_timeout)
    text = "revision %s did not get a lock and was rolled back (%s); trying again in %g s, %d of %d"
    _LOG.warning(text, step.revision.revision, who, seconds, number, retries)
    sleep(seconds)


def _blocker_text(lock_timeout: LockTimeout) -> str:
    return str(lock_timeout.blocker or "the blocking session is unknown")
