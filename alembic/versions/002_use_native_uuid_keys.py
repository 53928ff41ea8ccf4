"""Use native UUID keys.

Sixteen bytes instead of 32, and nothing but a UUID fits. All keys change at once: a foreign key joins equal types.

Revision ID: 002
Revises: 001
"""

from __future__ import annotations

from alembic import op

revision: str = "002"
down_revision: str | tuple[str, ...] | None = "001"

TABLES = ("type", "object", "link", "permissions", "versioning", "attributes")
# Table, column, and the table whose key it holds.
REFERENCES = (
    ("object", "type", "type"),
    ("link", "parent", "object"),
    ("link", "child", "object"),
    ("link", "parent_type", "type"),
    ("link", "child_type", "type"),
    ("permissions", "object", "object"),
    ("versioning", "object", "object"),
    ("attributes", "object", "object"),
)


def upgrade() -> None:
    """Turn the hexadecimal keys into UUIDs on PostgreSQL; on SQLite they stay as they are."""
    # SQLite has no type uuid; CHAR(32) is how SQLAlchemy stores one there.
    if op.get_context().dialect.name != "postgresql":
        return
    for table in TABLES:
        op.drop_constraint(op.f(f"ck_{table}_id"), table, type_="check")
    _convert("uuid", using="{0}::uuid", default="gen_random_uuid()")


def downgrade() -> None:
    """Turn the UUIDs into hexadecimal text again; nothing is lost."""
    if op.get_context().dialect.name != "postgresql":
        return
    text = "replace({0}::text, '-', '')"
    _convert("char(32)", using=text, default=text.format("gen_random_uuid()"))
    for table in TABLES:
        op.create_check_constraint(op.f(f"ck_{table}_id"), table, "id ~ '^[0-9a-f]{32}$'")


def _convert(to: str, *, using: str, default: str) -> None:
    """Change the type of every key and of what refers to it, one rewrite for each table."""
    for table, column, referred in REFERENCES:
        op.drop_constraint(op.f(f"fk_{table}_{column}_{referred}"), table, type_="foreignkey")
    for table in TABLES:
        columns = ["id", *(column for owner, column, _ in REFERENCES if owner == table)]
        changes = [f"ALTER COLUMN {column} TYPE {to} USING {using.format(column)}" for column in columns]
        # The default of the old type does not convert by itself.
        changes.insert(0, "ALTER COLUMN id DROP DEFAULT")
        changes.append(f"ALTER COLUMN id SET DEFAULT {default}")
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    for table, column, referred in REFERENCES:
        op.create_foreign_key(op.f(f"fk_{table}_{column}_{referred}"), table, referred, [column], ["id"])
