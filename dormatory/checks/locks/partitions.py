"""Rules about partitions that are detached while others wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.recipes import autocommit_block
from dormatory.checks.locks.upgrade import lock_description
from dormatory.checks.rule import Rule
from dormatory.sql.operations import OperationKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Upgrade

# https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION
PARTITION_DETACH_NOT_CONCURRENT = Rule(
    "partition-detach-not-concurrent",
    "locks",
    Severity.WARNING,
    meaning="a partition is detached without CONCURRENTLY",
    why="""It takes ACCESS EXCLUSIVE on the partitioned table: while it waits for a long query on any partition, every
    reader of all partitions queues behind it.""",
    recipe="""
    with op.get_context().autocommit_block():  # alone in its revision; not where there is a default partition
        op.execute("ALTER TABLE a DETACH PARTITION a_2024 CONCURRENTLY")
    """,
    replaces=("require-concurrent-partition-detach",),
)


def partition_detaches(upgrade: Upgrade) -> Iterator[Finding]:
    """Report partitions that are detached without CONCURRENTLY or FINALIZE."""
    for executed, operation in upgrade.operations(OperationKind.DETACH_PARTITION):
        if not operation.is_online:
            lock = lock_description(executed.strongest_lock(operation.table))
            message = f"{operation.name} is detached from {operation.table} under {lock}"
            hint = _detach_recipe(upgrade, operation.table, operation.name)
            yield upgrade.finding(PARTITION_DETACH_NOT_CONCURRENT, executed, message, hint, operation.name)


def _detach_recipe(upgrade: Upgrade, table: str, partition: str) -> str:
    """Return how a partition is detached while others read and write."""
    if any(it.partition_bound == "DEFAULT" and table in it.inherits for it in upgrade.step.before.tables):
        return "a default partition rules CONCURRENTLY out: detach under a short lock_timeout, alone in its revision"
    return autocommit_block(
        f'op.execute("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY")', comment="alone in its revision"
    )
