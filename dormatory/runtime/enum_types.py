"""Completes what autogenerate writes about enumeration types: it creates none for a new column, and drops none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateTableOp,
    MigrateOperation,
    OpContainer,
)
from sqlalchemy.util import to_list

from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.autogenerate.api import AutogenContext
    from alembic.operations import MigrationScript
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.types import TypeEngine

_TypeName = tuple[str | None, str]


class EnumTypeOp(MigrateOperation):
    """CREATE TYPE or DROP TYPE, on the dialect that has such types; Alembic has no operation for it."""

    def __init__(self, dialect: str, sql: str) -> None:
        self.dialect, self.sql = dialect, sql


@renderers.dispatch_for(EnumTypeOp)
def _render(context: AutogenContext, operation: EnumTypeOp) -> str:
    prefix = context.opts["alembic_module_prefix"]
    return f"if {prefix}get_context().dialect.name == {operation.dialect!r}: {prefix}execute({operation.sql!r})"


def add_enum_types(context: MigrationContext, script: MigrationScript) -> None:
    """Add what creates and drops the types of the enumerations that come or go with the columns of a revision.

    A table that is created creates the types of its columns by itself.
    """
    if not context.dialect.supports_native_enum or context.connection is None:
        return
    inspector: Any = sa.inspect(context.connection)
    existing = {_type_name(it["schema"], it["name"], inspector) for it in inspector.get_enums("*")}
    modelled = {
        _type_name(it.schema, it.name, inspector)
        for metadata in to_list(context.opts["target_metadata"])
        for table in metadata.tables.values()
        for column in table.columns
        for it in _enums(column.type, context)
    }
    for upgrade, downgrade in zip(script.upgrade_ops_list, script.downgrade_ops_list, strict=True):
        for one, other in ((upgrade, downgrade), (downgrade, upgrade)):
            kept = existing if one is upgrade else modelled
            by_tables = {key for key, _ in _used_enums(one, (CreateTableOp,), context, inspector)}
            added = dict(_used_enums(one, (CreateTableOp, AddColumnOp, AlterColumnOp), context, inspector))
            new = {key: it for key, it in added.items() if key not in kept}
            one.ops[:0] = [_create(it, context) for key, it in new.items() if key not in by_tables]
            other.ops += [_drop(it, context) for it in new.values()]


def _used_enums(
    container: OpContainer, kinds: tuple[type[Any], ...], context: MigrationContext, inspector: Any
) -> Iterator[tuple[_TypeName, sa.Enum]]:
    """Yield the enumerations of the columns that operations of these kinds make, by name."""
    for operation in _operations(container):
        if isinstance(operation, kinds):
            for type_ in _types(operation):
                for found in _enums(type_, context):
                    yield _type_name(found.schema, found.name, inspector), found


def _operations(container: OpContainer) -> Iterator[MigrateOperation]:
    for operation in container.ops:
        if isinstance(operation, OpContainer):
            yield from _operations(operation)
        else:
            yield operation


def _types(operation: MigrateOperation) -> Iterator[TypeEngine[Any]]:
    match operation:
        case CreateTableOp(columns=columns):
            yield from (it.type for it in columns if isinstance(it, sa.Column))
        case AddColumnOp(column=column):
            yield column.type
        case AlterColumnOp(modify_type=type_) if type_ is not None:
            yield type_


def _enums(type_: TypeEngine[Any], context: MigrationContext) -> Iterator[Any]:
    """Yield the enumeration that a type stores, if it has a type of its own in the database."""
    found: Any = type_.dialect_impl(context.dialect)
    if isinstance(found, sa.types.TypeDecorator):
        yield from _enums(found.impl_instance, context)
    elif isinstance(found, sa.ARRAY):
        yield from _enums(found.item_type, context)
    elif isinstance(found, sa.Enum) and found.native_enum and found.name:
        yield found


def _type_name(namespace: str | None, name: str, inspector: Any) -> _TypeName:
    return (None if namespace == inspector.default_schema_name else namespace), name


def _create(enum: Any, context: MigrationContext) -> EnumTypeOp:
    labels = ", ".join(map(quote_literal, enum.enums))
    return EnumTypeOp(context.dialect.name, f"CREATE TYPE {_quote(enum, context)} AS ENUM ({labels})")


def _drop(enum: Any, context: MigrationContext) -> EnumTypeOp:
    return EnumTypeOp(context.dialect.name, f"DROP TYPE {_quote(enum, context)}")


def _quote(enum: Any, context: MigrationContext) -> str:
    preparer: Any = context.dialect.identifier_preparer
    return str(preparer.format_type(enum))
