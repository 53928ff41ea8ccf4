"""Forbid duplicate links.

Revision ID: 008
Revises: 007
"""

from __future__ import annotations

from alembic import op

revision: str = "008"
down_revision: str | tuple[str, ...] | None = "007"

lossy = "all but one of the links with the same parent, child and role, deleted by the upgrade"


def upgrade() -> None:
    """Keep one of the links with the same parent, child and role, the one with the least key, and forbid more."""
    op.execute(
        """
        DELETE FROM link WHERE EXISTS (
            SELECT 1 FROM link AS kept
            WHERE kept.parent = link.parent
                AND kept.child = link.child
                AND kept.r_name = link.r_name
                AND kept.id < link.id
        )
        """
    )
    with op.batch_alter_table("link") as batch:
        batch.create_unique_constraint(op.f("uq_link_parent_child_r_name"), ["parent", "child", "r_name"])


def downgrade() -> None:
    """Allow duplicates again; the deleted ones are lost."""
    with op.batch_alter_table("link") as batch:
        batch.drop_constraint(op.f("uq_link_parent_child_r_name"), type_="unique")
