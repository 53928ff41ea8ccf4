"""Index the links by child.

Alone in its revision: what is built concurrently is committed at once, with all that ran before it.

Revision ID: 012
Revises: 011
"""

from __future__ import annotations

from alembic import op

revision: str = "012"
down_revision: str | tuple[str, ...] | None = "011"

INDEX = "ix_link_child"


def upgrade() -> None:
    """Index the way up from an object, without stopping writers on PostgreSQL."""
    if op.get_context().dialect.name != "postgresql":
        op.create_index(op.f(INDEX), "link", ["child"])
        return
    with op.get_context().autocommit_block():
        # A build that failed or was killed leaves an invalid index of this name, which IF NOT EXISTS would accept.
        op.drop_index(op.f(INDEX), "link", if_exists=True, postgresql_concurrently=True)
        op.create_index(op.f(INDEX), "link", ["child"], postgresql_concurrently=True)


def downgrade() -> None:
    """Drop the index; nothing is lost."""
    if op.get_context().dialect.name != "postgresql":
        op.drop_index(op.f(INDEX), "link")
        return
    with op.get_context().autocommit_block():
        # It may be gone already: a run killed here has dropped it and not said so.
        op.drop_index(op.f(INDEX), "link", if_exists=True, postgresql_concurrently=True)
