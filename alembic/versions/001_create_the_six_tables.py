"""Create the six tables.

Their first, plain form: keys are hexadecimal text, moments are ISO 8601 text in UTC, permission levels are numbers
and attribute values are text. What a later type will refuse, a CHECK refuses from the start.

Revision ID: 001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "001"
down_revision: str | tuple[str, ...] | None = None


def upgrade() -> None:
    """Create type, object, link, permissions, versioning and attributes."""
    op.create_table(
        "type",
        *_key("type"),
        sa.Column("type_name", sa.String(100), nullable=False),
        sa.UniqueConstraint("type_name", name=op.f("uq_type_type_name")),
    )
    op.create_table(
        "object",
        *_key("object"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        _reference("object", "type", "type"),
        *_moment("object", "created_on"),
        sa.Column("created_by", sa.String(100), nullable=True),
    )
    op.create_table(
        "link",
        *_key("link"),
        _reference("link", "parent", "object"),
        _reference("link", "child", "object"),
        _reference("link", "parent_type", "type"),
        _reference("link", "child_type", "type"),
        sa.Column("r_name", sa.String(100), nullable=False),
    )
    op.create_table(
        "permissions",
        *_key("permissions"),
        _reference("permissions", "object", "object"),
        sa.Column("user", sa.String(100), nullable=False),
        sa.Column("permission_level", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.UniqueConstraint("object", "user", name=op.f("uq_permissions_object_user")),
        sa.CheckConstraint("permission_level IN (1, 2, 3)", name=op.f("ck_permissions_permission_level")),
    )
    op.create_table(
        "versioning",
        *_key("versioning"),
        _reference("versioning", "object", "object"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_moment("versioning", "created_at"),
        sa.UniqueConstraint("object", "version", name=op.f("uq_versioning_object_version")),
    )
    op.create_table(
        "attributes",
        *_key("attributes"),
        _reference("attributes", "object", "object"),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        *_moment("attributes", "created_on"),
        *_moment("attributes", "updated_on", optional=True),
        sa.UniqueConstraint("object", "name", name=op.f("uq_attributes_object_name")),
    )


def downgrade() -> None:
    """Drop the six tables; every row is lost."""
    for table in ("attributes", "versioning", "permissions", "link", "object", "type"):
        op.drop_table(table)


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _key(table: str) -> tuple[sa.SchemaItem, ...]:
    """Return the key of a table: 32 hexadecimal digits, drawn by the database if nobody else does."""
    random = "replace(gen_random_uuid()::text, '-', '')" if _on_postgresql() else "(lower(hex(randomblob(16))))"
    key = sa.Column("id", sa.CHAR(32), server_default=sa.text(random), nullable=False)
    primary = sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}"))
    if not _on_postgresql():
        # SQLite has no type uuid to come, so its key stays CHAR(32) and no text in it can be wrong.
        return key, primary
    return key, primary, sa.CheckConstraint("id ~ '^[0-9a-f]{32}$'", name=op.f(f"ck_{table}_id"))


def _reference(table: str, column: str, to: str) -> sa.Column[str]:
    """Return a column that refers to the key of another table."""
    foreign_key = sa.ForeignKey(f"{to}.id", name=op.f(f"fk_{table}_{column}_{to}"))
    return sa.Column(column, sa.CHAR(32), foreign_key, nullable=False)


def _moment(table: str, column: str, *, optional: bool = False) -> tuple[sa.Column[str], sa.CheckConstraint]:
    """Return a column for moments such as 2024-02-29T23:59:59.123456Z, and the CHECK that they are real ones."""
    if _on_postgresql():
        now = """to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        real = f"""to_char({column}::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') = {column}"""
    else:
        now = "(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))"
        # Only a modifier makes SQLite count the 30th of February as another day. The fraction is looked at as text: it
        # would be rounded to milliseconds, and so into the next second.
        real = (
            f"substr({column}, 1, 4) > '0000'"
            f" AND strftime('%Y-%m-%dT%H:%M:%S', substr({column}, 1, 19), '+0 days') IS substr({column}, 1, 19)"
            f" AND substr({column}, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]Z'"
        )
    default = None if optional else sa.text(now)
    check = sa.CheckConstraint(f"length({column}) = 27 AND {real}", name=op.f(f"ck_{table}_{column}_iso"))
    return sa.Column(column, sa.Text(), server_default=default, nullable=optional), check
