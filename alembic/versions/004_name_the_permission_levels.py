"""Name the permission levels.

Revision ID: 004
Revises: 003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "004"
down_revision: str | tuple[str, ...] | None = "003"

CHECK = "ck_permissions_permission_level"
LEVELS = {1: "read", 2: "write", 3: "admin"}


def upgrade() -> None:
    """Turn the numbers 1, 2, 3 into the names read, write, admin, and let nothing else be stored."""
    names = "('read', 'write', 'admin')"
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"CREATE TYPE permission_level AS ENUM {names}")
        op.drop_constraint(op.f(CHECK), "permissions", type_="check")
        named = " ".join(f"WHEN {number} THEN '{name}'" for number, name in LEVELS.items())
        _convert_on_postgresql("permission_level", f"(CASE permission_level {named} END)::permission_level", "'read'")
        return
    # SQLite has no enumerations; a CHECK of the same values stands for the type.
    with op.batch_alter_table("permissions") as batch:
        batch.drop_constraint(op.f(CHECK), type_="check")
        batch.alter_column("permission_level", type_=sa.String(5), server_default="read")
    for number, name in LEVELS.items():
        op.execute(f"UPDATE permissions SET permission_level = '{name}' WHERE permission_level = '{number}'")
    with op.batch_alter_table("permissions") as batch:
        batch.create_check_constraint(op.f(CHECK), f"permission_level IN {names}")


def downgrade() -> None:
    """Turn the names into their numbers again and drop the type; nothing is lost."""
    numbers = "permission_level IN (1, 2, 3)"
    if op.get_context().dialect.name == "postgresql":
        numbered = " ".join(f"WHEN '{name}' THEN {number}" for number, name in LEVELS.items())
        _convert_on_postgresql("integer", f"CASE permission_level {numbered} END", "1")
        op.create_check_constraint(op.f(CHECK), "permissions", numbers)
        op.execute("DROP TYPE permission_level")
        return
    with op.batch_alter_table("permissions") as batch:
        batch.drop_constraint(op.f(CHECK), type_="check")
    for number, name in LEVELS.items():
        op.execute(f"UPDATE permissions SET permission_level = '{number}' WHERE permission_level = '{name}'")
    with op.batch_alter_table("permissions") as batch:
        batch.alter_column("permission_level", type_=sa.Integer(), server_default=sa.text("1"))
        batch.create_check_constraint(op.f(CHECK), numbers)


def _convert_on_postgresql(to: str, using: str, default: str) -> None:
    # The default of the old type does not convert by itself.
    op.execute(
        "ALTER TABLE permissions ALTER COLUMN permission_level DROP DEFAULT,"
        f" ALTER COLUMN permission_level TYPE {to} USING {using},"
        f" ALTER COLUMN permission_level SET DEFAULT {default}"
    )
