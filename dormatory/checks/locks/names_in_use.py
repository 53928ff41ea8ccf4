"""Rules of names that programs may still use while a revision takes them away, or cannot serve yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.locks.upgrade import full_name
from dormatory.sql.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade
    from dormatory.schema.snapshot import Table

_USED_BY_MODELS = "the models of the base reference use it"
_DROP_LATER = "drop it one release after the last program that uses it:"
_MAY_BE_USED = "programs of the last release may use it until they are gone"


def incompatible_changes(upgrade: Upgrade, used_columns: Mapping[str, Collection[str]] | None) -> Iterator[Finding]:
    """Report tables and columns whose names are gone afterwards, and columns that old programs must fill.

    `used` are the columns of each table that the models of the base reference use; None where nobody knows.
    """
    if upgrade.step.after is None:
        return
    relations = {full_name(table) for table in upgrade.step.after.tables} | {
        view.name for view in upgrade.step.after.views
    }
    for table in upgrade.step.before.tables:
        name = full_name(table)
        if name not in relations:
            if used_columns is None or table.name in used_columns:
                yield from _removed_table(upgrade, name, _USED_BY_MODELS if used_columns else _MAY_BE_USED)
        elif now := upgrade.table_after(name):
            wanted = None if used_columns is None else used_columns.get(table.name, ())
            yield from _removed_columns(upgrade, table, now, wanted)
            yield from _required_columns(upgrade, table, now)
    yield from _renamed_labels(upgrade, used_columns)


def _renamed_labels(upgrade: Upgrade, used_columns: Mapping[str, Collection[str]] | None) -> Iterator[Finding]:
    """Report labels of enumerations that programs write and read by a name that is gone."""
    known = {full_name(enum) for enum in upgrade.step.before.enums}
    for executed, operation in ((each, act) for each in upgrade.statements for act in each.operations):
        if operation.kind is not OperationKind.RENAME_LABEL or operation.object_type not in known:
            continue
        columns = [
            f"{full_name(table)}.{column.name}"
            for table in upgrade.step.before.tables
            for column in table.columns
            if column.type.removesuffix("[]") == operation.object_type
            and (used_columns is None or column.name in used_columns.get(table.name, ()))
        ]
        if columns:
            message = f"the label {operation.name} of {', '.join(columns)} is renamed to {operation.new_name}; "
            message += _USED_BY_MODELS if used_columns is not None else _MAY_BE_USED
            hint = (
                f"op.execute(\"ALTER TYPE {operation.object_type} ADD VALUE '{operation.new_name}'\") "
                " # in an autocommit block\n"
                f"# release 1 reads both, release 2 writes {operation.new_name}; then the rows that "
                f"say {operation.name}, in batches"
            )
            yield upgrade.finding(
                "renamed-in-use", executed, message, hint, f"{operation.object_type}.{operation.name}"
            )


def _removed_table(upgrade: Upgrade, name: str, usage: str) -> Iterator[Finding]:
    found = _last_operation(upgrade, name, OperationKind.RENAME_TABLE, OperationKind.DROP_TABLE)
    if found is None:
        return
    executed, operation = found
    if operation.kind is OperationKind.DROP_TABLE:
        hint = f'{_DROP_LATER}\nop.drop_table("{name}")'
        yield upgrade.finding("table-in-use-dropped", executed, f"{name} is dropped; {usage}", hint, name)
    else:
        message = f"{name} is renamed to {operation.new_name}; {usage}"
        hint = f'leave the old name until then:\nop.execute("CREATE VIEW {name} AS TABLE {operation.new_name}")'
        yield upgrade.finding("renamed-in-use", executed, message, hint, name)


def _removed_columns(
    upgrade: Upgrade, before: Table, after: Table, used_columns: Collection[str] | None
) -> Iterator[Finding]:
    name = full_name(before)
    kept = {column.name for column in after.columns}
    for column in before.columns:
        if column.name in kept or (used_columns is not None and column.name not in used_columns):
            continue
        usage, place = _USED_BY_MODELS if used_columns is not None else _MAY_BE_USED, f"{name}.{column.name}"
        found = _last_operation(
            upgrade, name, OperationKind.DROP_COLUMN, OperationKind.RENAME_COLUMN, column=column.name
        )
        found = found or _last_operation(upgrade, name, OperationKind.DROP_TABLE)
        if found is None:
            continue
        executed, operation = found
        if operation.kind is OperationKind.RENAME_COLUMN:
            hint = (
                f'op.add_column("{name}", sa.Column("{operation.new_name}", …))\n'
                f"# release 1 writes both, release 2 reads {operation.new_name}, release 3 drops {column.name}"
            )
            message = f"{place} is renamed to {operation.new_name}; {usage}"
            yield upgrade.finding("renamed-in-use", executed, message, hint, place)
        else:
            hint = (
                f'drop it one release after the last program that uses it:\nop.drop_column("{name}", "{column.name}")'
            )
            yield upgrade.finding("column-in-use-dropped", executed, f"{place} is dropped; {usage}", hint, place)


def _required_columns(upgrade: Upgrade, before: Table, after: Table) -> Iterator[Finding]:
    """Report columns that are new and that every program must fill."""
    name, known = full_name(before), {column.name for column in before.columns}
    renamed = {
        operation.new_name
        for executed in upgrade.statements
        for operation in executed.operations
        if operation.kind is OperationKind.RENAME_COLUMN
    }
    for column in after.columns:
        fills_itself = column.default is not None or column.identity or column.generated
        if column.name in known | renamed or column.nullable or fills_itself:
            continue
        found = _last_operation(
            upgrade,
            name,
            OperationKind.ADD_COLUMN,
            OperationKind.SET_NOT_NULL,
            OperationKind.ALTER_COLUMN,
            column=column.name,
        )
        if found is not None:
            message = f"{name}.{column.name} is required and has no default: programs that do not know it cannot insert"
            hint = (
                f'op.add_column("{name}", sa.Column("{column.name}", …, server_default=…, nullable=False))\n'
                "# a later release takes the default away"
            )
            yield upgrade.finding("required-column", found[0], message, hint, f"{name}.{column.name}")


def _last_operation(
    upgrade: Upgrade, table: str, *kinds: OperationKind, column: str = ""
) -> tuple[ExecutedStatement, Operation] | None:
    """Return the last act of these kinds on a table that was there, or on one of its columns."""
    found = [
        (executed, operation)
        for executed in upgrade.statements
        for operation in executed.operations
        if operation.kind in kinds and operation.table == table and column in {"", operation.name}
    ]
    return found[-1] if found else None
