"""Rules about tables whose rows are checked from end to end while others wait for them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.recipes import autocommit_block, python_list
from dormatory.checks.locks.upgrade import is_blocking_writers, lock_description
from dormatory.checks.rule import Rule
from dormatory.sql.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade

CONSTRAINT_VALIDATED_UNDER_LOCK = Rule(
    "constraint-validated-under-lock",
    "locks",
    Severity.WARNING,
    meaning="a foreign key or CHECK is validated while its lock is held",
    why="All rows are read under the lock. A foreign key locks both tables against writes.",
    recipe="""
    with op.get_context().autocommit_block():
        op.create_foreign_key("fk_a_b", "a", "b", ["b_id"], ["id"], postgresql_not_valid=True)
        op.execute("ALTER TABLE a VALIDATE CONSTRAINT fk_a_b")
    """,
    replaces=("constraint-missing-not-valid", "adding-foreign-key-constraint"),
)


def validations_under_lock(upgrade: Upgrade) -> Iterator[Finding]:
    """Report constraints whose rows are checked under their own lock, known from the tables that were read."""
    for executed, operation in upgrade.operations(OperationKind.ADD_CONSTRAINT, OperationKind.VALIDATE_CONSTRAINT):
        if not _is_checked_under_lock(upgrade, executed, operation):
            continue
        if operation.object_type == "NOT NULL":
            yield _not_null_finding(upgrade, executed, operation.table, operation.columns[0])
            continue
        name = operation.name or f"the {operation.object_type} of {operation.table}"
        lock = _constraint_lock_description(executed, operation)
        message = f"{name}: the rows of {operation.table} are checked under {lock}"
        hint, about = _not_valid_recipe(operation), operation.name or operation.table
        yield upgrade.finding(CONSTRAINT_VALIDATED_UNDER_LOCK, executed, message, hint, about)
    for executed, operation in upgrade.operations(OperationKind.SET_NOT_NULL):
        if executed.has_scanned(operation.table) and operation.table not in executed.statement.rewritten:
            yield _not_null_finding(upgrade, executed, operation.table, operation.name)


def _is_checked_under_lock(upgrade: Upgrade, executed: ExecutedStatement, operation: Operation) -> bool:
    """Return whether rows were read for a constraint while nobody could write.

    For a foreign key the server may read an index, which is not recorded as a scan; it still reads all rows.
    """
    if operation.kind is OperationKind.VALIDATE_CONSTRAINT:
        return operation.table in executed.held_locks and is_blocking_writers(executed.held_locks[operation.table])
    if operation.is_online or operation.object_type not in {"FOREIGN KEY", "CHECK", "NOT NULL"}:
        return False
    if operation.object_type == "FOREIGN KEY":
        known = {column.name for column in upgrade.table_before(operation.table).columns}
        return executed.has_scanned(operation.table) or known >= set(operation.columns)
    return executed.has_scanned(operation.table)


def _constraint_lock_description(executed: ExecutedStatement, operation: Operation) -> str:
    """Return what is locked meanwhile; a foreign key locks both tables in the same mode."""
    lock, other = executed.strongest_lock(operation.table), executed.strongest_lock(operation.referenced[0])
    if lock and other and lock.mode == other.mode and lock.table != other.table:
        lock = replace(lock, table=f"{lock.table} and {other.table}")
        return re.sub(r"\bit\b", "them", lock_description(lock))
    return lock_description(lock)


def _not_valid_recipe(operation: Operation) -> str:
    """Return how a constraint is added under a short lock, and its rows checked under a lock that blocks nobody."""
    table = operation.table
    name = operation.name or f"fk_{table}_{'_'.join(operation.columns)}"
    validate = f'op.execute("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")'
    if operation.kind is OperationKind.VALIDATE_CONSTRAINT:
        return f"in a later revision, or in its own transaction:\n{autocommit_block(validate)}"
    if operation.object_type == "FOREIGN KEY":
        other, columns = operation.referenced
        sides = f"{python_list(operation.columns)}, {python_list(columns)}"
        call = f'op.create_foreign_key("{name}", "{table}", "{other}", {sides}, postgresql_not_valid=True)'
    else:
        call = f'op.create_check_constraint("{name}", "{table}", …, postgresql_not_valid=True)'
    return autocommit_block(call, validate)


_UNEXPLAINED_KINDS = frozenset(
    {OperationKind.ADD_COLUMN, OperationKind.ALTER_COLUMN, OperationKind.ALTER_TABLE, OperationKind.OTHER}
)


def unexplained_scans(upgrade: Upgrade, reported_lines: Collection[int]) -> Iterator[Finding]:
    """Report tables that a statement locks and reads for a reason that its text hides, such as a domain's CHECK.

    `reported_lines` are the lines for which another rule reports the reason.
    """
    for executed in upgrade.statements:
        kinds = {operation.kind for operation in executed.operations}
        if executed.statement.line in reported_lines or not kinds <= _UNEXPLAINED_KINDS:
            continue
        own = {lock.table for lock in executed.statement.locks}
        for table in executed.statement.scanned:
            lock, is_query = executed.strongest_lock(table), OperationKind.OTHER in kinds and table not in own
            if is_blocking_writers(lock) and not is_query and upgrade.has_kept(table):
                message = f"the rows of {table} are checked under {lock_description(lock)}"
                hint = "first validate a CHECK ... NOT VALID that says the same, so that no row has to be read"
                yield upgrade.finding(CONSTRAINT_VALIDATED_UNDER_LOCK, executed, message, hint, table)


NOT_NULL_SCAN = Rule(
    "not-null-scan",
    "locks",
    Severity.WARNING,
    meaning="SET NOT NULL reads the whole table under ACCESS EXCLUSIVE",
    why="Nobody can read or write meanwhile. With a validated CHECK there is no scan.",
    recipe="""
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE a ADD CONSTRAINT ck_a_b CHECK (b IS NOT NULL) NOT VALID")
        op.execute("ALTER TABLE a VALIDATE CONSTRAINT ck_a_b")
        op.execute("ALTER TABLE a ALTER COLUMN b SET NOT NULL")
        op.execute("ALTER TABLE a DROP CONSTRAINT ck_a_b")
    """,
    replaces=("adding-not-nullable-field",),
)


def _not_null_finding(upgrade: Upgrade, executed: ExecutedStatement, table: str, column: str) -> Finding:
    lock = lock_description(executed.strongest_lock(table))
    message = f"NOT NULL of {table}.{column} reads all of {table} under {lock}"
    check = f"ck_{table}_{column}_not_null"
    steps = (
        f"ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",
        f"VALIDATE CONSTRAINT {check}",
        f"ALTER COLUMN {column} SET NOT NULL",
        f"DROP CONSTRAINT {check}",
    )
    hint = autocommit_block(*(f'op.execute("ALTER TABLE {table} {step}")' for step in steps))
    return upgrade.finding(NOT_NULL_SCAN, executed, message, hint, f"{table}.{column}")
