"""Operations for CHECK constraints that come, change or go on tables that stay; autogenerate does not compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from alembic.operations import MigrateOperation
from alembic.operations.ops import CreateCheckConstraintOp, CreateTableOp, DropConstraintOp, ModifyTableOps
from alembic.util.sqla_compat import _get_constraint_final_name
from sqlalchemy.sql.elements import conv
from sqlalchemy.util import to_list

from dormatory.schema.portable import DEFAULT_NAMESPACES
from dormatory.schema.snapshot import TableId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.operations.ops import OpContainer
    from alembic.runtime.migration import MigrationContext

    from dormatory.authoring.divergence import Divergence
    from dormatory.schema.snapshot import Table

_CheckId: TypeAlias = tuple[TableId, str]


def check_constraint_operations(
    context: MigrationContext, divergences: Sequence[Divergence]
) -> tuple[list[MigrateOperation], list[MigrateOperation]]:
    """Return what creates and drops CHECK constraints in the upgrade and in the downgrade.

    The conditions are those of the models; that of a constraint that goes is the text that the last backend has kept.
    """
    old, new, changed = dict[_CheckId, str](), dict[_CheckId, str](), set[_CheckId]()
    for divergence in divergences:
        wanted = {table.id: table for table in divergence.wanted.tables} if divergence.wanted else {}
        for table in divergence.found.tables:
            if table.id in wanted:
                before, after = _checks(table), _checks(wanted[table.id])
                changed |= {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
                old, new = old | before, new | after
    modelled = _modelled_checks(context)
    upgrade, downgrade = list[MigrateOperation](), list[MigrateOperation]()
    for key in sorted(changed, key=repr):
        upgrade += [_drop(key)] * (key in old)
        downgrade += [_drop(key)] * (key in new)
        upgrade += [_create(key, modelled[key])] if key in new and key in modelled else []
        downgrade += [_create(key, sa.text(old[key]))] if key in old else []
    return upgrade, downgrade


def add_column_checks(container: OpContainer) -> None:
    """Give the tables that are created the CHECK constraints of their columns, which Alembic does not write."""
    for operation in container.ops:
        if isinstance(operation, CreateTableOp):
            operation.columns = [
                *operation.columns,
                *(
                    sa.CheckConstraint(constraint.sqltext, name=constraint.name)
                    for column in operation.columns
                    if isinstance(column, sa.Column)
                    for constraint in column.constraints
                    if isinstance(constraint, sa.CheckConstraint)
                ),
            ]


def _checks(table: Table) -> dict[_CheckId, str]:
    """Return the expressions of the named CHECK constraints of a table."""
    table_id = (None if table.namespace in DEFAULT_NAMESPACES else table.namespace, table.name)
    return {
        (table_id, it.name): it.expression
        for it in table.constraints
        if it.kind == "CHECK" and it.name and it.expression
    }


def _modelled_checks(context: MigrationContext) -> dict[_CheckId, Any]:
    """Return the expressions of the CHECK constraints of the models, by the names that they have in the database."""
    return {
        ((table.schema, table.name), str(_get_constraint_final_name(constraint, context.dialect))): constraint.sqltext
        for metadata in to_list(context.opts["target_metadata"])
        for table in metadata.tables.values()
        for constraint in (*table.constraints, *(it for column in table.columns for it in column.constraints))
        if isinstance(constraint, sa.CheckConstraint)
    }


def _create(key: _CheckId, condition: Any) -> MigrateOperation:
    (namespace, table), name = key
    operation = CreateCheckConstraintOp(conv(name), table, condition, schema=namespace)
    return ModifyTableOps(table, [operation], schema=namespace)


def _drop(key: _CheckId) -> MigrateOperation:
    (namespace, table), name = key
    operation = DropConstraintOp(conv(name), table, type_="check", schema=namespace)
    return ModifyTableOps(table, [operation], schema=namespace)
