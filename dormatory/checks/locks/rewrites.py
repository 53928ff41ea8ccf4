"""Rules about tables, indexes and materialised views that are rewritten while others wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import full_name, lock_description
from dormatory.checks.rule import Rule
from dormatory.sql.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade

TABLE_REWRITE = Rule(
    "table-rewrite",
    "locks",
    Severity.WARNING,
    meaning="a table is rewritten under ACCESS EXCLUSIVE",
    why="""A change of type, a volatile default, a stored generated column, an identity or a serial copies every row,
    and nobody can read meanwhile.""",
    recipe="""
    op.add_column("a", sa.Column("b_new", sa.BigInteger(), nullable=True))
    # then the rows in batches, then the new name, each in a revision of its own
    """,
    replaces=("adding-field-with-default", "changing-column-type", "prefer-repack"),
)


def table_rewrites(upgrade: Upgrade) -> Iterator[Finding]:
    """Report tables and indexes that a statement rewrote, with the cause."""
    tables = {full_name(table) for table in upgrade.step.before.tables}
    for executed in upgrade.statements:
        if any(operation.kind is OperationKind.REINDEX for operation in executed.operations):
            continue
        for name in executed.statement.rewritten:
            if name in tables and upgrade.has_kept(name):
                of_table = (operation for operation in executed.operations if operation.table == name)
                operation = min(of_table, key=_cause_rank, default=None)
                yield _rewrite_finding(upgrade, executed, f"{name} is rewritten", name, operation)
        yield from _refreshed_views(upgrade, executed)
        if not tables & set(executed.statement.rewritten):
            yield from _rebuilt_indexes(upgrade, executed)


def _rewrite_finding(
    upgrade: Upgrade, executed: ExecutedStatement, what: str, table: str, operation: Operation | None
) -> Finding:
    lock = lock_description(executed.strongest_lock(table))
    message = f"{what} under {lock}; {_rewrite_cause(operation)}"
    hint, about = _rewrite_recipe(operation, table), _object_name(operation, table)
    return upgrade.finding(TABLE_REWRITE, executed, message, hint, about)


def _refreshed_views(upgrade: Upgrade, executed: ExecutedStatement) -> Iterator[Finding]:
    """Report materialised views that are refilled while nobody can read them."""
    for view in upgrade.step.before.views:
        name = full_name(view)
        if name in executed.statement.rewritten and "not populated" not in view.options:
            message = f"{name} is refilled under {lock_description(executed.strongest_lock(name))}"
            hint = f"over a unique index without a condition:\nREFRESH MATERIALIZED VIEW CONCURRENTLY {name}"
            yield upgrade.finding(TABLE_REWRITE, executed, message, hint, name)


def _rebuilt_indexes(upgrade: Upgrade, executed: ExecutedStatement) -> Iterator[Finding]:
    """Report indexes that a change of type rebuilds although the table itself is not rewritten."""
    changes = (it for it in executed.operations if it.kind is OperationKind.ALTER_COLUMN_TYPE and it.table)
    operation = next(changes, None)
    if operation and executed.statement.rewritten and upgrade.has_kept(operation.table):
        what = f"{', '.join(executed.statement.rewritten)} rebuilt"
        yield _rewrite_finding(upgrade, executed, what, operation.table, operation)


_REWRITE_CAUSES = (
    OperationKind.ALTER_COLUMN_TYPE,
    OperationKind.SET_STORAGE,
    OperationKind.CLUSTER,
    OperationKind.VACUUM,
)


def _cause_rank(operation: Operation) -> int:
    """Return the rank of an operation among the causes of a rewrite, the likeliest first."""
    if operation.kind in _REWRITE_CAUSES:
        return _REWRITE_CAUSES.index(operation.kind)
    is_new = operation.kind is OperationKind.ADD_COLUMN and _column_rewrite_cause(operation)
    is_computed = operation.kind is OperationKind.ALTER_COLUMN and "expression" in operation.words
    return len(_REWRITE_CAUSES) + (not is_new and not is_computed)


def _rewrite_cause(operation: Operation | None) -> str:
    """Return why a statement rewrites a table."""
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
        return f"{operation.name} numbers the existing rows"
    if "default" in operation.words:
        return f"the default of {operation.name} differs for each row"
    return ""


def _rewrite_recipe(operation: Operation | None, table: str) -> str:
    """Return how to reach the same without copying the whole table at once."""
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
            return "pg_repack does it while others work; it does not belong into a revision"
    return "make a new table, fill it in batches while a trigger keeps it up to date, and change the names"


def _object_name(operation: Operation | None, table: str) -> str:
    is_column = operation is not None and operation.kind in {
        OperationKind.ALTER_COLUMN_TYPE,
        OperationKind.ADD_COLUMN,
        OperationKind.ALTER_COLUMN,
    }
    return f"{table}.{operation.name}" if operation is not None and is_column else table
