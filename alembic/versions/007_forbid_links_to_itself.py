"""Forbid the link of an object to itself.

Revision ID: 007
Revises: 006
"""

from __future__ import annotations

from alembic import op

revision: str = "007"
down_revision: str | tuple[str, ...] | None = "006"

lossy = "links of an object to itself, deleted by the upgrade"


def upgrade() -> None:
    """Delete the links that make an object its own parent, and forbid them."""
    op.execute("DELETE FROM link WHERE parent = child")
    with op.batch_alter_table("link") as batch:
        batch.create_check_constraint(op.f("ck_link_not_to_itself"), "parent <> child")


def downgrade() -> None:
    """Allow them again; the deleted ones are lost."""
    with op.batch_alter_table("link") as batch:
        batch.drop_constraint(op.f("ck_link_not_to_itself"), type_="check")
