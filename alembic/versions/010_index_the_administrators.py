"""Index the administrators of an object.

Revision ID: 010
Revises: 009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "010"
down_revision: str | tuple[str, ...] | None = "009"


def upgrade() -> None:
    """Index the few permissions that matter when somebody asks who administers an object."""
    administrators = sa.text("permission_level = 'admin'")
    op.create_index(
        op.f("ix_permissions_admin"),
        "permissions",
        ["object"],
        postgresql_where=administrators,
        sqlite_where=administrators,
    )


def downgrade() -> None:
    """Drop the index; nothing is lost."""
    op.drop_index(op.f("ix_permissions_admin"), "permissions")
