"""Forbid empty names.

What has an empty one is called "unnamed" and its key: unique where names are, and known again by the downgrade.

Revision ID: 009
Revises: 008
"""

from __future__ import annotations

from alembic import op

revision: str = "009"
down_revision: str | tuple[str, ...] | None = "008"

# "user" is a word of SQL.
NAMES = {"type": "type_name", "object": "name", "link": "r_name", "permissions": '"user"', "attributes": "name"}
GIVEN = "'unnamed ' || CAST(id AS text)"


def upgrade() -> None:
    """Name what has no name, and refuse to store the next."""
    for table, column in NAMES.items():
        op.execute(f"UPDATE {table} SET {column} = {GIVEN} WHERE {column} = ''")
        with op.batch_alter_table(table) as batch:
            batch.create_check_constraint(_check(table, column), f"{column} <> ''")


def downgrade() -> None:
    """Allow empty names again, and empty those the upgrade gave; nothing is lost."""
    for table, column in NAMES.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(_check(table, column), type_="check")
        op.execute(f"UPDATE {table} SET {column} = '' WHERE {column} = {GIVEN}")


def _check(table: str, column: str) -> str:
    return op.f("ck_{}_{}_not_empty".format(table, column.strip('"')))
