"""Store attribute values as JSON.

A text becomes the JSON string of that text, whatever it looks like: 12 is "12", {"a": 1} is no object. On the way back
a string becomes its text. A value that is no string has no text of its own: it becomes its JSON behind the character
U+001E, which announces JSON in a text sequence (RFC 7464), and of that the next upgrade makes the value again.

Revision ID: 005
Revises: 004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "005"
down_revision: str | tuple[str, ...] | None = "004"

CHECK = "ck_attributes_value_json"


def upgrade() -> None:
    """Make every text a JSON string, and JSON of what a downgrade has marked."""
    if op.get_context().dialect.name == "postgresql":
        _upgrade_on_postgresql()
    else:
        _upgrade_on_sqlite()


def downgrade() -> None:
    """Make text of every value again; nothing is lost, what is no JSON string is marked."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE attributes ALTER COLUMN value TYPE text USING"
            " CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' ELSE chr(30) || value::text END"
        )
    else:
        _downgrade_on_sqlite()


def _upgrade_on_postgresql() -> None:
    # Only trying tells what is JSON: IS JSON came with PostgreSQL 16, and accepts what jsonb refuses.
    op.execute(
        """
        CREATE FUNCTION pg_temp.unmarked(value text) RETURNS jsonb LANGUAGE plpgsql AS $$
        BEGIN
            RETURN CASE jsonb_typeof(substr(value, 2)::jsonb)
                WHEN 'string' THEN to_jsonb(value)
                ELSE substr(value, 2)::jsonb
            END;
        EXCEPTION WHEN others THEN
            RETURN to_jsonb(value);
        END
        $$
        """
    )
    op.execute(
        "ALTER TABLE attributes ALTER COLUMN value TYPE jsonb USING"
        " CASE left(value, 1) WHEN chr(30) THEN pg_temp.unmarked(value) ELSE to_jsonb(value) END"
    )
    op.execute("DROP FUNCTION pg_temp.unmarked(text)")


def _upgrade_on_sqlite() -> None:
    # Before the rebuild: a column declared JSON turns the bare text 007 into the number 7.
    op.execute(
        """
        UPDATE attributes SET value = CASE
            WHEN substr(value, 1, 1) <> char(30) THEN json_quote(value)
            WHEN NOT json_valid(substr(value, 2)) THEN json_quote(value)
            WHEN json_type(substr(value, 2)) = 'text' THEN json_quote(value)
            ELSE substr(value, 2)
        END
        WHERE value IS NOT NULL
        """
    )
    # SQLite has no type jsonb; a CHECK refuses what it would refuse.
    with op.batch_alter_table("attributes") as batch:
        batch.alter_column("value", type_=sa.JSON())
        batch.create_check_constraint(op.f(CHECK), "value IS NULL OR json_valid(value)")


def _downgrade_on_sqlite() -> None:
    # Marked, every value is a JSON string, which the rebuild leaves alone. A number that SQLite's own 15 digits do not
    # bring back is written with 18.
    op.execute(
        """
        UPDATE attributes SET value = json_quote(
            char(30) || CASE
                WHEN typeof(value) <> 'real' THEN value
                WHEN CAST(CAST(value AS TEXT) AS REAL) = value THEN value
                ELSE printf('%!.18g', value)
            END
        )
        WHERE json_type(value) <> 'text'
        """
    )
    with op.batch_alter_table("attributes") as batch:
        batch.drop_constraint(op.f(CHECK), type_="check")
        batch.alter_column("value", type_=sa.Text())
    op.execute("UPDATE attributes SET value = json_extract(value, '$') WHERE value IS NOT NULL")
