"""Find objects by name in upper or lower case.

Revision ID: 011
Revises: 010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "011"
down_revision: str | tuple[str, ...] | None = "010"


def upgrade() -> None:
    """Index the names of objects in lower case."""
    # SQLite loses an index on an expression whenever a later revision rebuilds its table: create it again there.
    op.create_index(op.f("ix_object_lower_name"), "object", [sa.text("lower(name)")])


def downgrade() -> None:
    """Drop the index; nothing is lost."""
    op.drop_index(op.f("ix_object_lower_name"), "object")
