"""Delete what belongs to an object along with it.

Revision ID: 006
Revises: 005
"""

from __future__ import annotations

from alembic import op

revision: str = "006"
down_revision: str | tuple[str, ...] | None = "005"

# Table, and its columns that name the object it belongs to.
BELONGINGS = {
    "link": ("parent", "child"),
    "permissions": ("object",),
    "versioning": ("object",),
    "attributes": ("object",),
}


def upgrade() -> None:
    """Let the foreign keys to object cascade."""
    _replace_foreign_keys(ondelete="CASCADE")


def downgrade() -> None:
    """Let the foreign keys refuse again; nothing is lost."""
    _replace_foreign_keys(ondelete=None)


def _replace_foreign_keys(ondelete: str | None) -> None:
    for table, columns in BELONGINGS.items():
        with op.batch_alter_table(table) as batch:
            for column in columns:
                name = op.f(f"fk_{table}_{column}_object")
                batch.drop_constraint(name, type_="foreignkey")
                batch.create_foreign_key(name, "object", [column], ["id"], ondelete=ondelete)
