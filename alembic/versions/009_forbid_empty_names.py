"""Forbid empty names.

What has an empty one is called "unnamed" and its key: unique where names are, and known again by the downgrade.

Revision ID: 009
Revises: 008
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision: str = "009"
down_revision: str | tuple[str, ...] | None = "008"

NAMES = {"type": "type_name", "object": "name", "link": "r_name", "permissions": "user", "attributes": "name"}


def upgrade() -> None:
    """Name what has no name, and refuse to store the next."""
    for table, column in NAMES.items():
        rows, name, placeholder = _named(table, column)
        op.execute(rows.update().where(name == "").values({name: placeholder}))
        with op.batch_alter_table(table) as batch:
            # Quoted for the sake of "user".
            batch.create_check_constraint(op.f(f"ck_{table}_{column}_not_empty"), f"\"{column}\" <> ''")


def downgrade() -> None:
    """Allow empty names again, and empty those the upgrade gave; nothing is lost."""
    for table, column in NAMES.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(op.f(f"ck_{table}_{column}_not_empty"), type_="check")
        rows, name, placeholder = _named(table, column)
        op.execute(rows.update().where(name == placeholder).values({name: ""}))


def _named(table: str, column: str) -> tuple[sa.TableClause, sa.ColumnClause[str], sa.ColumnElement[str]]:
    """Return a table as this revision finds it, its column of names, and the name that its key stands in for."""
    rows = sa.table(table, sa.column("id"), sa.column(column, sa.String))
    return rows, rows.c[column], sa.literal("unnamed ").concat(sa.cast(rows.c.id, sa.String))
