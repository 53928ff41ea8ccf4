"""Rules about how long others wait: for a lock that a statement waits for, and until a held lock is released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import ACCESS_EXCLUSIVE, is_blocking_writers, lock_description
from dormatory.checks.rule import Rule
from dormatory.sql.lock_modes import LOCK_MODES
from dormatory.sql.operations import OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade
    from dormatory.recording.leg import Lock

_QUEUEING = frozenset({ACCESS_EXCLUSIVE, "SHARE ROW EXCLUSIVE"})
_SET_LOCK_TIMEOUT = "op.execute(\"SET LOCAL lock_timeout = '5s'\")"


NO_LOCK_TIMEOUT = Rule(
    "no-lock-timeout",
    "locks",
    Severity.WARNING,
    meaning="a statement waits for ACCESS EXCLUSIVE or SHARE ROW EXCLUSIVE without a lock_timeout",
    why="""It may wait for ever for one long query, or for one long transaction that has written, and everybody else
    queues behind it: a statement of one millisecond becomes an outage.""",
    recipe="""
    op.execute("SET LOCAL lock_timeout = '5s'")
    """,
    replaces=("require-lock-timeout", "require-timeout-settings"),
)


def missing_timeouts(upgrades: Sequence[Upgrade]) -> Iterator[Finding]:
    """Report statements that wait for a lock without a limit, the first one of each revision.

    Others queue behind them at once: ACCESS EXCLUSIVE, and SHARE ROW EXCLUSIVE of a trigger or a foreign key.

    If no statement of the history has a limit, one note is enough: the role that upgrades the production database may
    have a limit that a scratch server does not show.
    """
    has_limit = any(executed.statement.lock_timeout for upgrade in upgrades for executed in upgrade.statements)
    for upgrade in upgrades:
        for executed in upgrade.statements:
            locks = (lock for lock in executed.acquired_locks() if lock.mode in _QUEUEING)
            lock = next((it for it in locks if upgrade.has_kept(it.table)), None)
            if lock is None or executed.statement.lock_timeout:
                continue
            if has_limit:
                message = f"no lock_timeout is in force under {lock_description(lock)}"
                yield upgrade.finding(NO_LOCK_TIMEOUT, executed, message, _SET_LOCK_TIMEOUT, lock.table)
                break
            message = (
                "no statement of this history has a lock_timeout, this one is the first to need it: "
                f"{lock_description(lock)}"
            )
            hint = "set it where the connection is made, in env.py:\nconnect_args={'options': '-c lock_timeout=5s'}"
            yield upgrade.finding(NO_LOCK_TIMEOUT, executed, message, hint, lock.table, severity=Severity.NOTE)
            return


BACKFILL_WITH_DDL = Rule(
    "backfill-with-ddl",
    "locks",
    Severity.WARNING,
    meaning="rows are written in the transaction that changed the structure",
    why="The lock of the structure is held until the last row is written.",
    recipe="""
    # 014: the column    015: the rows, in batches    016: NOT NULL
    with op.get_context().autocommit_block():
        while op.get_bind().execute(batch_of_a_thousand).rowcount: ...
    """,
)


def backfills_under_lock(upgrade: Upgrade) -> Iterator[Finding]:
    """Report the first statement that writes the rows of a table while a lock of its transaction blocks writers."""
    for executed in upgrade.statements:
        write = next((operation for operation in executed.operations if operation.kind is OperationKind.WRITE), None)
        lock = _blocking_lock(upgrade, executed)
        if write is None or lock is None or not (write.table or write.name == "insert"):
            continue
        table = write.table or "another table"
        message = f"{write.name.upper()} of {table} under {lock_description(lock)}"
        hint = f"the structure in this revision, the rows in the next, in batches:\n{_BATCH_LOOP}"
        yield upgrade.finding(BACKFILL_WITH_DDL, executed, message, hint, write.table or lock.table)
        return


_BATCH_LOOP = """with op.get_context().autocommit_block():
    while op.get_bind().execute(batch_of_a_thousand).rowcount: ..."""


STATEMENTS_AFTER_LOCK = Rule(
    "statements-after-lock",
    "locks",
    Severity.WARNING,
    meaning="more statements follow ACCESS EXCLUSIVE in the same transaction",
    why="The lock is held until all of them are done.",
    recipe="# the statement with the lock comes last, or has a revision of its own",
)


_WAITS = "waits for"


def is_second_table(finding: Finding) -> bool:
    """Return whether a finding is that a revision locks a second table: only another revision can do that alone."""
    return finding.rule == STATEMENTS_AFTER_LOCK.id and finding.message.startswith(f"this statement {_WAITS} ")


def statements_after_lock(upgrade: Upgrade, reported_lines: Collection[int]) -> Iterator[Finding]:
    """Report the first statement that makes others wait longer for a table that nobody can read.

    Such a statement reads or writes a table from end to end, or waits for a lock on a second table. One that only
    changes the catalogs of the locked table takes no time and is not reported. `reported_lines` are the lines for
    which another rule already advises to run the statement without this lock.
    """
    for executed in upgrade.statements:
        held = [
            lock
            for table, lock in executed.held_locks.items()
            if lock.mode == ACCESS_EXCLUSIVE and upgrade.has_kept(table)
        ]
        if not held or executed.statement.line in reported_lines:
            continue
        if second := _second_lock(upgrade, executed, {lock.table for lock in held}):
            what = f"{_WAITS} {second.mode} on {second.table}"
        elif executed.statement.scanned or executed.statement.rewritten:
            what = f"reads or writes all of {', '.join(executed.statement.scanned or executed.statement.rewritten)}"
        else:
            continue
        message = f"this statement {what} under {lock_description(held[0])}"
        hint = f"a revision of its own, or before the statement that locks {held[0].table}"
        yield upgrade.finding(STATEMENTS_AFTER_LOCK, executed, message, hint, held[0].table)
        return


def _second_lock(upgrade: Upgrade, executed: ExecutedStatement, held: Collection[str]) -> Lock | None:
    """Return a lock on another table that others use, if the lock has to wait for programs that write."""
    weakest_rank = LOCK_MODES.index("SHARE")
    return next(
        (
            lock
            for lock in executed.statement.locks
            if lock.table not in held and LOCK_MODES.index(lock.mode) >= weakest_rank and upgrade.has_kept(lock.table)
        ),
        None,
    )


def _blocking_lock(upgrade: Upgrade, executed: ExecutedStatement) -> Lock | None:
    """Return a lock that the transaction of a statement already held, and that blocks writers."""
    if not executed.statement.transaction:
        return None
    return next(
        (lock for table, lock in executed.held_locks.items() if is_blocking_writers(lock) and upgrade.has_kept(table)),
        None,
    )
