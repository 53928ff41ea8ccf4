"""Rules of indexes that are built or dropped while others wait, be it for a constraint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.checks.locks.upgrade import lock_description
from dormatory.sql.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade

_AUTOCOMMIT_BLOCK = "with op.get_context().autocommit_block():  # alone in its revision"
_CREATE_INDEX = re.compile(r"\b(CREATE\s+(?:UNIQUE\s+)?INDEX)\b", re.IGNORECASE)


def index_builds(upgrade: Upgrade) -> Iterator[Finding]:
    """Report indexes that are built, rebuilt or dropped without CONCURRENTLY, also on behalf of a constraint."""
    for executed, operation in upgrade.operations(OperationKind.CREATE_INDEX):
        if not operation.is_online:
            message = (
                f"{operation.name or 'an index'} is built under "
                f"{lock_description(executed.strongest_lock(operation.table))}"
            )
            yield upgrade.finding(
                "index-not-concurrent",
                executed,
                message,
                _concurrent_build_recipe(upgrade, executed, operation),
                operation.name,
            )
    for executed, operation in upgrade.operations(OperationKind.DROP_INDEX):
        if not operation.is_online:
            message = f"{operation.name} is dropped under {lock_description(executed.strongest_lock(operation.table))}"
            call = f'op.drop_index("{operation.name}", table_name="{operation.table}", postgresql_concurrently=True)'
            yield upgrade.finding(
                "index-drop-not-concurrent", executed, message, f"{_AUTOCOMMIT_BLOCK}\n    {call}", operation.name
            )
    for executed in upgrade.statements:
        if (
            any(act.kind is OperationKind.REINDEX and not act.is_online for act in executed.operations)
            and executed.statement.rewritten
        ):
            message = (
                f"{', '.join(executed.statement.rewritten)} built anew, and nobody can write to the table meanwhile"
            )
            hint = f'{_AUTOCOMMIT_BLOCK}\n    op.execute("REINDEX … CONCURRENTLY …")'
            yield upgrade.finding("index-not-concurrent", executed, message, hint, executed.statement.rewritten[0])
    yield from _constraint_index_builds(upgrade)


def _concurrent_build_recipe(upgrade: Upgrade, executed: ExecutedStatement, operation: Operation) -> str:
    """Return how this index is built while others write."""
    if upgrade.table_before(operation.table).kind == "partitioned table":
        return (
            f"a partitioned table has no CONCURRENTLY: CREATE INDEX {operation.name} ON ONLY {operation.table}, "
            "the same CONCURRENTLY on each partition, then ALTER INDEX … ATTACH PARTITION"
        )
    if not operation.columns:
        sql = _CREATE_INDEX.sub(r"\1 CONCURRENTLY", executed.statement.sql, count=1).replace('"""', "'''")
        return f'{_AUTOCOMMIT_BLOCK}\n    op.execute("""{sql}""")'
    unique = ", unique=True" if operation.object_type else ""
    call = (
        f'op.create_index("{operation.name}", "{operation.table}", '
        f"{_python_list(operation.columns)}{unique}, postgresql_concurrently=True)"
    )
    return f"{_AUTOCOMMIT_BLOCK}\n    {call}"


def _constraint_index_builds(upgrade: Upgrade) -> Iterator[Finding]:
    for executed, operation in upgrade.operations(OperationKind.ADD_CONSTRAINT):
        if operation.object_type in {"UNIQUE", "PRIMARY KEY", "EXCLUDE"} and not operation.is_online:
            name = operation.name or f"the {operation.object_type} of {operation.table}"
            message = f"{name} builds its index under {lock_description(executed.strongest_lock(operation.table))}"
            yield upgrade.finding(
                "constraint-builds-index",
                executed,
                message,
                _using_index_recipe(operation),
                operation.name or operation.table,
            )
    for executed, operation in upgrade.operations(OperationKind.ADD_COLUMN):
        kind = "UNIQUE" if "unique" in operation.words else "PRIMARY KEY" if "primary" in operation.words else ""
        if kind:
            message = (
                f"the {kind} of {operation.table}.{operation.name} builds its index under "
                f"{lock_description(executed.strongest_lock(operation.table))}"
            )
            wanted = Operation(
                OperationKind.ADD_CONSTRAINT,
                operation.table,
                f"uq_{operation.table}_{operation.name}",
                object_type=kind,
                columns=(operation.name,),
            )
            hint = f"the column alone first, then\n{_using_index_recipe(wanted)}"
            yield upgrade.finding(
                "constraint-builds-index", executed, message, hint, f"{operation.table}.{operation.name}"
            )


def _using_index_recipe(operation: Operation) -> str:
    if operation.object_type == "EXCLUDE":
        return "there is no way around: build it while nobody needs the table, under a short lock_timeout"
    name = operation.name or f"{operation.table}_{'_'.join(operation.columns)}_key"
    index = (
        f'op.create_index("{name}", "{operation.table}", {_python_list(operation.columns)}, unique=True, '
        "postgresql_concurrently=True)"
    )
    constraint = (
        f'op.execute("ALTER TABLE {operation.table} ADD CONSTRAINT {name} {operation.object_type} USING INDEX {name}")'
    )
    return f"{_AUTOCOMMIT_BLOCK}\n    {index}\n    {constraint}"


def _python_list(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
