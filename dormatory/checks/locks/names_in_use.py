"""Rules about names that running programs still use, or cannot use yet, when a revision changes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import full_name
from dormatory.checks.rule import Rule
from dormatory.sql.operations import Operation, OperationKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement, Upgrade
    from dormatory.schema.snapshot import Table

_THREE_RELEASES = """
# release 1: add the new one, write both     release 2: read the new one
# release 3, when no program uses it any more:
op.drop_column("employee", "salary")
"""
_RENAME_SCHEMA = re.compile(
    r"""\s*ALTER\s+SCHEMA\s+(?P<old>"[^"]+"|\w+)\s+RENAME\s+TO\s+(?P<new>"[^"]+"|\w+)""", re.IGNORECASE
)
_USED_BY_MODELS = "the models of the base reference use it"
_DROP_LATER = "drop it one release after the last program that uses it:"
_MAY_BE_USED = "programs of the last release may use it until they are gone"


TABLE_IN_USE_DROPPED = Rule(
    "table-in-use-dropped",
    "locks",
    Severity.WARNING,
    meaning="a table is dropped that the models of the base reference still use",
    why="Until the last old program is gone, each of its queries fails.",
    recipe='op.drop_table("employee")  # one release after the last program that uses it',
    replaces=("ban-drop-table",),
)

COLUMN_IN_USE_DROPPED = Rule(
    "column-in-use-dropped",
    "locks",
    Severity.WARNING,
    meaning="a column is dropped that the models of the base reference still use",
    why="Until the last old program is gone, each of its queries fails.",
    recipe=_THREE_RELEASES,
    replaces=("ban-drop-column",),
)

RENAMED_IN_USE = Rule(
    "renamed-in-use",
    "locks",
    Severity.WARNING,
    meaning="a table, schema, column or label is renamed that programs may still use under its old name",
    why="Old programs use the old name, new ones the new name, and both run during a deployment.",
    recipe=_THREE_RELEASES,
    replaces=("renaming-column", "renaming-table"),
)


# Whether a dropped thing is still in use, only a base reference shows; a rename breaks whatever says the old name.
DROPPED_IN_USE_RULES = frozenset({TABLE_IN_USE_DROPPED.id, COLUMN_IN_USE_DROPPED.id})
IN_USE_RULES = DROPPED_IN_USE_RULES | {RENAMED_IN_USE.id}


def incompatible_changes(upgrade: Upgrade, used_columns: Mapping[str, Collection[str]] | None) -> Iterator[Finding]:
    """Report tables and columns whose names are gone afterwards, and new columns that every program has to fill.

    `used_columns` are the columns of each table that the models of the base reference use; None if they are unknown.
    """
    if upgrade.step.after is None:
        return
    tables_after = {full_name(table): table for table in upgrade.tables_after}
    views = {view.name for view in upgrade.step.after.views}
    for table in upgrade.step.before.tables:
        name = full_name(table)
        if now := tables_after.get(name):
            used = None if used_columns is None else used_columns.get(table.name, ())
            yield from _removed_columns(upgrade, table, now, used)
            yield from _required_columns(upgrade, table, now)
        elif name not in views and (used_columns is None or table.name in used_columns):
            yield from _removed_table(upgrade, name, _USED_BY_MODELS if used_columns else _MAY_BE_USED)
    yield from _renamed_schemas(upgrade, used_columns)
    yield from _renamed_labels(upgrade, used_columns)


def _renamed_schemas(upgrade: Upgrade, used_columns: Mapping[str, Collection[str]] | None) -> Iterator[Finding]:
    """Report a schema that is renamed with tables in it."""
    for executed in upgrade.statements:
        found = _RENAME_SCHEMA.match(executed.statement.sql)
        old = found["old"].strip('"') if found else ""
        tables = [
            table.name
            for table in upgrade.step.before.tables
            if table.namespace == old and (used_columns is None or table.name in used_columns)
        ]
        if found and tables:
            new = found["new"].strip('"')
            usage = _USED_BY_MODELS.replace("it", "them") if used_columns is not None else _MAY_BE_USED
            message = f"the schema {old} is renamed to {new}, and with it {', '.join(tables)}; {usage}"
            hint = "\n".join(
                ["keep the old names as views until no program uses them:", f'op.execute("CREATE SCHEMA {old}")']
                + [f'op.execute("CREATE VIEW {old}.{table} AS TABLE {new}.{table}")' for table in tables]
            )
            yield upgrade.finding(RENAMED_IN_USE, executed, message, hint, old)


def _renamed_labels(upgrade: Upgrade, used_columns: Mapping[str, Collection[str]] | None) -> Iterator[Finding]:
    """Report labels of enumerations that programs write and read by a name that no longer exists."""
    known = {full_name(enum) for enum in upgrade.step.before.enums}
    for executed, operation in upgrade.all_operations():
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
                f"hold {operation.name}, in batches"
            )
            yield upgrade.finding(RENAMED_IN_USE, executed, message, hint, f"{operation.object_type}.{operation.name}")


def _removed_table(upgrade: Upgrade, name: str, usage: str) -> Iterator[Finding]:
    found = _last_operation(upgrade, name, OperationKind.RENAME_TABLE, OperationKind.DROP_TABLE)
    if found is None:
        return
    executed, operation = found
    if operation.kind is OperationKind.DROP_TABLE:
        hint = f'{_DROP_LATER}\nop.drop_table("{name}")'
        yield upgrade.finding(TABLE_IN_USE_DROPPED, executed, f"{name} is dropped; {usage}", hint, name)
    else:
        message = f"{name} is renamed to {operation.new_name}; {usage}"
        hint = "keep the old name as a view until no program uses it:\n"
        hint += f'op.execute("CREATE VIEW {name} AS TABLE {operation.new_name}")'
        yield upgrade.finding(RENAMED_IN_USE, executed, message, hint, name)


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
            yield upgrade.finding(RENAMED_IN_USE, executed, message, hint, place)
        else:
            hint = f'{_DROP_LATER}\nop.drop_column("{name}", "{column.name}")'
            yield upgrade.finding(COLUMN_IN_USE_DROPPED, executed, f"{place} is dropped; {usage}", hint, place)


REQUIRED_COLUMN = Rule(
    "required-column",
    "locks",
    Severity.WARNING,
    meaning="a required column without a default is added to an existing table",
    why="Programs that do not know it yet cannot insert any more.",
    recipe="""
    op.add_column("guest", sa.Column("level", sa.Integer(), server_default="0", nullable=False))
    """,
    replaces=("adding-required-field",),
)


def _required_columns(upgrade: Upgrade, before: Table, after: Table) -> Iterator[Finding]:
    """Report new columns that every program has to fill."""
    name, known = full_name(before), {column.name for column in before.columns}
    renamed = {
        operation.new_name for _, operation in upgrade.all_operations() if operation.kind is OperationKind.RENAME_COLUMN
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
                "# a later release drops the default"
            )
            yield upgrade.finding(REQUIRED_COLUMN, found[0], message, hint, f"{name}.{column.name}")


def _last_operation(
    upgrade: Upgrade, table: str, *kinds: OperationKind, column: str = ""
) -> tuple[ExecutedStatement, Operation] | None:
    """Return the last operation of these kinds on a table that existed before, or on one of its columns."""
    found = [
        (executed, operation)
        for executed, operation in upgrade.all_operations()
        if operation.kind in kinds and operation.table == table and column in {"", operation.name}
    ]
    return found[-1] if found else None
