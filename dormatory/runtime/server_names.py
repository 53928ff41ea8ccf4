"""Leaves out the names that a server gave to constraints where autogenerate writes a table as it read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations.ops import CreateTableOp, OpContainer
from sqlalchemy.util import to_list

if TYPE_CHECKING:
    from alembic.operations import MigrationScript
    from alembic.runtime.migration import MigrationContext

# As in https://www.postgresql.org/docs/current/sql-createtable.html; with a naming convention, the names are chosen.
_SUFFIXES: dict[type[Any], tuple[str, str]] = {
    sa.PrimaryKeyConstraint: ("pk", "pkey"),
    sa.UniqueConstraint: ("uq", "key"),
    sa.ForeignKeyConstraint: ("fk", "fkey"),
}


def leave_out_server_names(context: MigrationContext, script: MigrationScript) -> None:
    """Leave out names of constraints that nobody chose in the tables that a downgrade creates again.

    The other backend names such constraints otherwise, or not at all, and would get these names by the downgrade.
    """
    conventions = {kind for metadata in to_list(context.opts["target_metadata"]) for kind in metadata.naming_convention}
    for downgrade in script.downgrade_ops_list:
        for table in _created_tables(downgrade):
            items: list[Any] = [*table.columns]
            for item in items:
                key, suffix = _SUFFIXES.get(type(item), ("", ""))
                if key and key not in conventions and item.name in _server_names(table.table_name, item, suffix):
                    item.name = None


def _created_tables(container: OpContainer) -> list[CreateTableOp]:
    return [it for it in container.ops if isinstance(it, CreateTableOp)]


def _server_names(table: str, constraint: Any, suffix: str) -> set[str]:
    columns = "_".join(getattr(it, "name", None) or str(it) for it in _columns(constraint))
    return {f"{table}_{suffix}", f"{table}_{columns}_{suffix}"}


def _columns(constraint: Any) -> list[Any]:
    """Return the columns of a constraint that belongs to no table, or their names."""
    return list(constraint.columns) or list(getattr(constraint, "_pending_colargs", ()))
