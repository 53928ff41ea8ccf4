"""Rules of tables that are read from end to end or written anew while others wait for them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.locks.upgrade import full_name, is_blocking_writers, lock_description
from dormatory.sql.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade

_AUTOCOMMIT_BLOCK = "with op.get_context().autocommit_block():"


def validations_under_lock(upgrade: Upgrade) -> Iterator[Finding]:
    """Report constraints whose rows are checked under their own lock, seen by the tables that were read."""
    for executed, operation in upgrade.operations(OperationKind.ADD_CONSTRAINT, OperationKind.VALIDATE_CONSTRAINT):
        if _is_checked_under_lock(upgrade, executed, operation):
            if operation.object_type == "NOT NULL":
                yield _not_null_finding(upgrade, executed, operation.table, operation.columns[0])
                continue
            name = operation.name or f"the {operation.object_type} of {operation.table}"
            message = (
                f"{name}: the rows of {operation.table} are checked under "
                f"{_constraint_lock_description(executed, operation)}"
            )
            yield upgrade.finding(
                "constraint-validated-under-lock",
                executed,
                message,
                _not_valid_recipe(operation),
                operation.name or operation.table,
            )
    for executed, operation in upgrade.operations(OperationKind.SET_NOT_NULL):
        if executed.has_scanned(operation.table) and operation.table not in executed.statement.rewritten:
            yield _not_null_finding(upgrade, executed, operation.table, operation.name)


_UNEXPLAINED_KINDS = frozenset(
    {OperationKind.ADD_COLUMN, OperationKind.ALTER_COLUMN, OperationKind.ALTER_TABLE, OperationKind.OTHER}
)


def unexplained_scans(upgrade: Upgrade, reported_lines: Collection[int]) -> Iterator[Finding]:
    """Report tables that a statement locks and reads for a reason its form does not tell, such as a domain's CHECK.

    `blamed` are the lines of which another rule has told the reason.
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
                hint = "let a validated CHECK ... NOT VALID say the same before, so that no row need be read"
                yield upgrade.finding("constraint-validated-under-lock", executed, message, hint, table)


def table_rewrites(upgrade: Upgrade) -> Iterator[Finding]:
    """Report tables and indexes that a statement wrote anew, with what made it do so."""
    for executed in upgrade.statements:
        if any(act.kind is OperationKind.REINDEX for act in executed.operations):
            continue
        tables = {full_name(table) for table in upgrade.step.before.tables}
        for name in executed.statement.rewritten:
            if name in tables and upgrade.has_kept(name):
                operation = min(
                    (act for act in executed.operations if act.table == name), key=_cause_rank, default=None
                )
                message = (
                    f"{name} is written anew under {lock_description(executed.strongest_lock(name))}; "
                    f"{_rewrite_cause(operation)}"
                )
                yield upgrade.finding(
                    "table-rewrite", executed, message, _rewrite_recipe(operation, name), _object_name(operation, name)
                )
        yield from _refreshed_views(upgrade, executed)
        if not tables & set(executed.statement.rewritten):
            yield from _rebuilt_indexes(upgrade, executed)


def _refreshed_views(upgrade: Upgrade, executed: ExecutedStatement) -> Iterator[Finding]:
    """Report materialised views that are filled anew while nobody can read them."""
    for view in upgrade.step.before.views:
        name = full_name(view)
        if name in executed.statement.rewritten and "not populated" not in view.options:
            message = f"{name} is filled anew under {lock_description(executed.strongest_lock(name))}"
            hint = f"over a unique index without a condition:\nREFRESH MATERIALIZED VIEW CONCURRENTLY {name}"
            yield upgrade.finding("table-rewrite", executed, message, hint, name)


def _rebuilt_indexes(upgrade: Upgrade, executed: ExecutedStatement) -> Iterator[Finding]:
    """Report indexes that a change of type makes anew although the table stays as it is."""
    operation = next(
        (act for act in executed.operations if act.kind is OperationKind.ALTER_COLUMN_TYPE and act.table), None
    )
    if operation and executed.statement.rewritten and upgrade.has_kept(operation.table):
        names = ", ".join(executed.statement.rewritten)
        message = (
            f"{names} built anew under {lock_description(executed.strongest_lock(operation.table))}; "
            f"{_rewrite_cause(operation)}"
        )
        yield upgrade.finding(
            "table-rewrite",
            executed,
            message,
            _rewrite_recipe(operation, operation.table),
            _object_name(operation, operation.table),
        )


def _is_checked_under_lock(upgrade: Upgrade, executed: ExecutedStatement, operation: Operation) -> bool:
    """Say whether rows were read for a constraint while nobody could write.

    To check a foreign key the server may go through an index, which is no scan; it reads all rows all the same.
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
    """Return what is locked meanwhile; a foreign key locks both tables alike."""
    lock, other = executed.strongest_lock(operation.table), executed.strongest_lock(operation.referenced[0])
    if lock and other and lock.mode == other.mode and lock.table != other.table:
        lock = replace(lock, table=f"{lock.table} and {other.table}")
        return re.sub(r"\bit\b", "them", lock_description(lock))
    return lock_description(lock)


def _not_valid_recipe(operation: Operation) -> str:
    """Return how the constraint is added under a short lock and its rows checked under none that blocks."""
    name = operation.name or f"fk_{operation.table}_{'_'.join(operation.columns)}"
    validate = f'    op.execute("ALTER TABLE {operation.table} VALIDATE CONSTRAINT {name}")'
    if operation.kind is OperationKind.VALIDATE_CONSTRAINT:
        return f"in a later revision, or in its own transaction:\n{_AUTOCOMMIT_BLOCK}\n{validate}"
    if operation.object_type == "FOREIGN KEY":
        other, columns = operation.referenced
        local, remote = ("[" + ", ".join(f'"{each}"' for each in side) + "]" for side in (operation.columns, columns))
        call = (
            f'op.create_foreign_key("{name}", "{operation.table}", "{other}", {local}, {remote}, '
            "postgresql_not_valid=True)"
        )
    else:
        call = f'op.create_check_constraint("{name}", "{operation.table}", …, postgresql_not_valid=True)'
    return f"{_AUTOCOMMIT_BLOCK}\n    {call}\n{validate}"


def _not_null_finding(upgrade: Upgrade, executed: ExecutedStatement, table: str, column: str) -> Finding:
    message = (
        f"NOT NULL of {table}.{column} reads all of {table} under {lock_description(executed.strongest_lock(table))}"
    )
    check = f"ck_{table}_{column}_not_null"
    steps = (
        f"ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",
        f"VALIDATE CONSTRAINT {check}",
        f"ALTER COLUMN {column} SET NOT NULL",
        f"DROP CONSTRAINT {check}",
    )
    hint = "\n".join((_AUTOCOMMIT_BLOCK, *(f'    op.execute("ALTER TABLE {table} {step}")' for step in steps)))
    return upgrade.finding("not-null-scan", executed, message, hint, f"{table}.{column}")


_REWRITE_CAUSES = (
    OperationKind.ALTER_COLUMN_TYPE,
    OperationKind.SET_STORAGE,
    OperationKind.CLUSTER,
    OperationKind.VACUUM,
)


def _cause_rank(operation: Operation) -> int:
    """Return the rank of what a statement does among the causes of a rewrite, the likeliest first."""
    if operation.kind in _REWRITE_CAUSES:
        return _REWRITE_CAUSES.index(operation.kind)
    is_new = operation.kind is OperationKind.ADD_COLUMN and _column_rewrite_cause(operation)
    is_computed = operation.kind is OperationKind.ALTER_COLUMN and "expression" in operation.words
    return len(_REWRITE_CAUSES) + (not is_new and not is_computed)


def _rewrite_cause(operation: Operation | None) -> str:
    """Return what makes a statement write a table anew."""
    match operation:
        case Operation(kind=OperationKind.ALTER_COLUMN_TYPE, name=column):
            return f"the new type of {column} is stored differently"
        case Operation(kind=OperationKind.ADD_COLUMN):
            return _column_rewrite_cause(operation) or "the statement copies it"
        case Operation(kind=OperationKind.SET_STORAGE, words=words):
            return f"SET {' '.join(words[:2]).upper()} copies it"
        case Operation(kind=OperationKind.ALTER_COLUMN, name=column, words=words) if "expression" in words:
            return f"{column} gets other values"
        case Operation(kind=OperationKind.CLUSTER | OperationKind.VACUUM as verb):
            return f"{verb.value} copies it"
    return "the statement copies it"


def _column_rewrite_cause(operation: Operation) -> str:
    if "stored" in operation.words:
        return f"{operation.name} is generated and stored"
    if "identity" in operation.words or any(word.strip("0123456789").endswith("serial") for word in operation.words):
        return f"{operation.name} counts the rows that are there"
    if "default" in operation.words:
        return f"the default of {operation.name} is another one for each row"
    return ""


def _rewrite_recipe(operation: Operation | None, table: str) -> str:
    """Return how the same is had without copying the table at once."""
    match operation:
        case Operation(kind=OperationKind.ALTER_COLUMN_TYPE, name=column):
            return (
                f'op.add_column("{table}", sa.Column("{column}_new", …, nullable=True))\n'
                f"# a trigger or the program fills both; a later revision the old rows, in batches; then {column} goes"
            )
        case Operation(kind=OperationKind.ADD_COLUMN, name=column, words=words):
            if "default" in words:
                return (
                    f'op.add_column("{table}", sa.Column("{column}", …, nullable=True))\n'
                    f'op.alter_column("{table}", "{column}", server_default=…)  # for new rows only\n'
                    "# a later revision fills the old rows in batches"
                )
            return (
                f'op.add_column("{table}", sa.Column("{column}", …, nullable=True))\n# filled in batches, by a trigger'
            )
        case Operation(kind=OperationKind.CLUSTER | OperationKind.VACUUM):
            return "pg_repack does it while others work; it is no business of a revision"
    return "make a new table, fill it in batches while a trigger keeps it up to date, and change the names"


def _object_name(operation: Operation | None, table: str) -> str:
    is_column = operation is not None and operation.kind in {
        OperationKind.ALTER_COLUMN_TYPE,
        OperationKind.ADD_COLUMN,
        OperationKind.ALTER_COLUMN,
    }
    return f"{table}.{operation.name}" if operation is not None and is_column else table
