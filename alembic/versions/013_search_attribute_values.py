"""Search objects by what their attributes contain.

Revision ID: 013
Revises: 012
"""

from __future__ import annotations

from alembic import op

revision: str = "013"
down_revision: str | tuple[str, ...] | None = "012"


def upgrade() -> None:
    """Index the values of attributes for @>, on PostgreSQL."""
    # parity: GIN has no SQLite counterpart
    if op.get_context().dialect.name == "postgresql":
        op.create_index(  # db-check: ignore[index-not-concurrent] as old as the table: nobody writes to it yet
            op.f("ix_attributes_value"),
            "attributes",
            ["value"],
            postgresql_using="gin",
            postgresql_ops={"value": "jsonb_path_ops"},
        )


def downgrade() -> None:
    """Drop the index; nothing is lost."""
    if op.get_context().dialect.name == "postgresql":
        op.drop_index(op.f("ix_attributes_value"), "attributes")
