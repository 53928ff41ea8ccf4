"""Rules about indexes that are built or dropped while others wait, also those of a constraint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.recipes import autocommit_block, index_statement, python_list
from dormatory.checks.locks.upgrade import full_name, lock_description
from dormatory.checks.rule import Rule
from dormatory.sql.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade

_ALONE = "alone in its revision"
_CREATE_INDEX = re.compile(r"\b(CREATE\s+(?:UNIQUE\s+)?INDEX)\b", re.IGNORECASE)


def index_changes(upgrade: Upgrade) -> Iterator[Finding]:
    """Report indexes that are built, rebuilt or dropped without CONCURRENTLY, also those of a constraint."""
    yield from _index_builds(upgrade)
    yield from _hidden_index_builds(upgrade)
    yield from _index_drops(upgrade)
    yield from _index_rebuilds(upgrade)
    yield from _constraint_index_builds(upgrade)


INDEX_NOT_CONCURRENT = Rule(
    "index-not-concurrent",
    "locks",
    Severity.WARNING,
    meaning="an index is built on an existing table without CONCURRENTLY",
    why="Nobody can write to the table until the index is built.",
    recipe="""
    with op.get_context().autocommit_block():  # alone in its revision
        op.create_index("ix_a_b", "a", ["b"], postgresql_concurrently=True)
    """,
    replaces=("require-concurrent-index-creation", "require-concurrent-reindex"),
)


def _index_builds(upgrade: Upgrade) -> Iterator[Finding]:
    for executed, operation in upgrade.operations(OperationKind.CREATE_INDEX):
        if not operation.is_online:
            lock = lock_description(executed.strongest_lock(operation.table))
            message = f"{operation.name or 'an index'} is built under {lock}"
            hint = _concurrent_build_recipe(upgrade, executed, operation)
            yield upgrade.finding(INDEX_NOT_CONCURRENT, executed, message, hint, operation.name)


def _hidden_index_builds(upgrade: Upgrade) -> Iterator[Finding]:
    """Report indexes that are built within a DO block or a function: the statement's text does not show their names."""
    hidden = [it for it in upgrade.statements if {each.kind for each in it.operations} == {OperationKind.OTHER}]
    if not hidden:
        return
    named = {operation.name for _, operation in upgrade.all_operations()}
    tables_after = {full_name(table): table for table in upgrade.tables_after}
    for table in upgrade.step.before.tables:
        name, now = full_name(table), tables_after.get(full_name(table))
        locking = (it for it in hidden if (name, "SHARE") in {(lock.table, lock.mode) for lock in it.statement.locks})
        executed = next(locking, None)
        if now is None or executed is None:
            continue
        known = {index.name for index in table.indexes} | named
        for index in (it for it in now.indexes if it.name not in known):
            where = "in a DO block" if executed.statement.sql.upper().startswith("DO") else "by this statement"
            message = f"{index.name} is built {where} under {lock_description(executed.strongest_lock(name))}"
            sql = index_statement(index, name, "INDEX CONCURRENTLY")
            hint = autocommit_block(f'op.execute("""{sql}""")', comment=_ALONE)
            yield upgrade.finding(INDEX_NOT_CONCURRENT, executed, message, hint, index.name)


def _concurrent_build_recipe(upgrade: Upgrade, executed: ExecutedStatement, operation: Operation) -> str:
    """Return how this index is built while others write."""
    if upgrade.table_before(operation.table).kind == "partitioned table":
        return (
            f"a partitioned table has no CONCURRENTLY: CREATE INDEX {operation.name} ON ONLY {operation.table}, "
            "the same CONCURRENTLY on each partition, then ALTER INDEX … ATTACH PARTITION"
        )
    if not operation.columns:
        sql = _CREATE_INDEX.sub(r"\1 CONCURRENTLY", executed.statement.sql, count=1).replace('"""', "'''")
        return autocommit_block(f'op.execute("""{sql}""")', comment=_ALONE)
    unique = ", unique=True" if operation.object_type else ""
    columns = python_list(operation.columns)
    call = f'op.create_index("{operation.name}", "{operation.table}", {columns}{unique}, postgresql_concurrently=True)'
    return autocommit_block(call, comment=_ALONE)


def _index_rebuilds(upgrade: Upgrade) -> Iterator[Finding]:
    for executed in upgrade.statements:
        rebuilt = executed.statement.rewritten
        if rebuilt and any(it.kind is OperationKind.REINDEX and not it.is_online for it in executed.operations):
            message = f"{', '.join(rebuilt)} rebuilt, and nobody can write to the table meanwhile"
            hint = autocommit_block('op.execute("REINDEX … CONCURRENTLY …")', comment=_ALONE)
            yield upgrade.finding(INDEX_NOT_CONCURRENT, executed, message, hint, rebuilt[0])


INDEX_DROP_NOT_CONCURRENT = Rule(
    "index-drop-not-concurrent",
    "locks",
    Severity.WARNING,
    meaning="an index is dropped without CONCURRENTLY",
    why="It takes ACCESS EXCLUSIVE: while it waits for a long query, every reader queues behind it.",
    recipe="""
    with op.get_context().autocommit_block():
        op.drop_index("ix_a_b", table_name="a", postgresql_concurrently=True)
    """,
    replaces=("require-concurrent-index-deletion",),
)


def _index_drops(upgrade: Upgrade) -> Iterator[Finding]:
    for executed, operation in upgrade.operations(OperationKind.DROP_INDEX):
        if not operation.is_online:
            message = f"{operation.name} is dropped under {lock_description(executed.strongest_lock(operation.table))}"
            call = f'op.drop_index("{operation.name}", table_name="{operation.table}", postgresql_concurrently=True)'
            hint = autocommit_block(call, comment=_ALONE)
            yield upgrade.finding(INDEX_DROP_NOT_CONCURRENT, executed, message, hint, operation.name)


CONSTRAINT_BUILDS_INDEX = Rule(
    "constraint-builds-index",
    "locks",
    Severity.WARNING,
    meaning="a unique, primary-key or EXCLUDE constraint builds its own index under ACCESS EXCLUSIVE",
    why="Nobody can read or write until the index is built.",
    recipe="""
    with op.get_context().autocommit_block():
        op.create_index("uq_a_b", "a", ["b"], unique=True, postgresql_concurrently=True)
        op.execute("ALTER TABLE a ADD CONSTRAINT uq_a_b UNIQUE USING INDEX uq_a_b")
    """,
    replaces=("disallowed-unique-constraint", "adding-serial-primary-key-field"),
)


def _constraint_index_builds(upgrade: Upgrade) -> Iterator[Finding]:
    for executed, operation in upgrade.operations(OperationKind.ADD_CONSTRAINT):
        if operation.object_type in {"UNIQUE", "PRIMARY KEY", "EXCLUDE"} and not operation.is_online:
            name = operation.name or f"the {operation.object_type} of {operation.table}"
            message = f"{name} builds its index under {lock_description(executed.strongest_lock(operation.table))}"
            hint, about = _using_index_recipe(operation), operation.name or operation.table
            yield upgrade.finding(CONSTRAINT_BUILDS_INDEX, executed, message, hint, about)
    for executed, operation in upgrade.operations(OperationKind.ADD_COLUMN):
        kind = "UNIQUE" if "unique" in operation.words else "PRIMARY KEY" if "primary" in operation.words else ""
        if kind:
            column = f"{operation.table}.{operation.name}"
            lock = lock_description(executed.strongest_lock(operation.table))
            message = f"the {kind} of {column} builds its index under {lock}"
            constraint = Operation(
                OperationKind.ADD_CONSTRAINT,
                operation.table,
                f"uq_{operation.table}_{operation.name}",
                object_type=kind,
                columns=(operation.name,),
            )
            hint = f"the column alone first, then\n{_using_index_recipe(constraint)}"
            yield upgrade.finding(CONSTRAINT_BUILDS_INDEX, executed, message, hint, column)


def _using_index_recipe(operation: Operation) -> str:
    """Return how a constraint gets its index while others write."""
    if operation.object_type == "EXCLUDE":
        return "there is no way around: build it while nobody needs the table, under a short lock_timeout"
    table, name = operation.table, operation.name or f"{operation.table}_{'_'.join(operation.columns)}_key"
    columns = python_list(operation.columns)
    return autocommit_block(
        f'op.create_index("{name}", "{table}", {columns}, unique=True, postgresql_concurrently=True)',
        f'op.execute("ALTER TABLE {table} ADD CONSTRAINT {name} {operation.object_type} USING INDEX {name}")',
        comment=_ALONE,
    )
