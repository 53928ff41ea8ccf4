"""Store moments as timestamps.

Revision ID: 003
Revises: 002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "003"
down_revision: str | tuple[str, ...] | None = "002"

MOMENTS = {"object": ("created_on",), "versioning": ("created_at",), "attributes": ("created_on", "updated_on")}
OPTIONAL = "updated_on"  # it may be NULL and has no default
ISO = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def upgrade() -> None:
    """Turn ISO text into timestamptz on PostgreSQL, into the form of a DateTime on SQLite."""
    for table, columns in MOMENTS.items():
        if op.get_context().dialect.name == "postgresql":
            _drop_checks(table, columns, "iso")
            _convert_on_postgresql(table, columns, "timestamptz", using="{0}::timestamptz", default="now()")
            # The years that ISO text and Python can write: no infinity, nothing before Christ.
            _create_checks(table, columns, "range", "EXTRACT(year FROM {0} AT TIME ZONE 'UTC') BETWEEN 1 AND 9999")
        else:
            now = "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"
            _rebuild_on_sqlite(table, columns, sa.DateTime(timezone=True), default=now, old="iso")
            for column in columns:
                op.execute(f"UPDATE {table} SET {column} = substr({column}, 1, 10) || ' ' || substr({column}, 12, 15)")
            _create_checks(table, columns, "range", _sqlite_form(length=26, separator=" ", end=""))


def downgrade() -> None:
    """Turn timestamps into ISO text again; nothing is lost, microseconds and moment stay."""
    for table, columns in MOMENTS.items():
        if op.get_context().dialect.name == "postgresql":
            _drop_checks(table, columns, "range")
            _convert_on_postgresql(table, columns, "text", using=ISO, default=ISO.format("now()"))
            real = f"length({{0}}) = 27 AND {ISO.format('{0}::timestamptz')} = {{0}}"
            _create_checks(table, columns, "iso", real)
        else:
            now = "(strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))"
            _rebuild_on_sqlite(table, columns, sa.Text(), default=now, old="range")
            for column in columns:
                op.execute(f"UPDATE {table} SET {column} = replace({column}, ' ', 'T') || 'Z'")
            _create_checks(table, columns, "iso", _sqlite_form(length=27, separator="T", end="Z"))


def _drop_checks(table: str, columns: tuple[str, ...], name: str) -> None:
    for column in columns:
        op.drop_constraint(op.f(f"ck_{table}_{column}_{name}"), table, type_="check")


def _create_checks(table: str, columns: tuple[str, ...], name: str, condition: str) -> None:
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.create_check_constraint(op.f(f"ck_{table}_{column}_{name}"), condition.format(column))


def _convert_on_postgresql(table: str, columns: tuple[str, ...], to: str, *, using: str, default: str) -> None:
    changes = []
    for column in columns:
        # The default of the old type does not convert by itself.
        changes += [f"ALTER COLUMN {column} DROP DEFAULT"] if column != OPTIONAL else []
        changes += [f"ALTER COLUMN {column} TYPE {to} USING {using.format(column)}"]
        changes += [f"ALTER COLUMN {column} SET DEFAULT {default}"] if column != OPTIONAL else []
    op.execute(f"ALTER TABLE {table} {', '.join(changes)}")


def _rebuild_on_sqlite(
    table: str, columns: tuple[str, ...], to: sa.types.TypeEngine[object], *, default: str, old: str
) -> None:
    """Rebuild a table with columns of a new type, their values copied as they are."""
    # Passed as reflected, the type is no change to Alembic. Of a change it would make CAST(… AS DATETIME), which for
    # SQLite is a number: of the whole moment, 2024 would be left.
    targets = [
        sa.Column(
            column,
            to,
            server_default=None if column == OPTIONAL else sa.text(default),
            nullable=column == OPTIONAL,
        )
        for column in columns
    ]
    with op.batch_alter_table(table, reflect_args=targets) as batch:
        for column in columns:
            batch.drop_constraint(op.f(f"ck_{table}_{column}_{old}"), type_="check")


def _sqlite_form(*, length: int, separator: str, end: str) -> str:
    # parity: ck_object_created_on_range, ck_versioning_created_at_range, ck_attributes_created_on_range,
    # ck_attributes_updated_on_range: SQLite has no type for moments; its CHECK asks for one form, and the same years.
    #
    # Only a modifier makes SQLite count the 30th of February as another day. The fraction is looked at as text: it
    # would be rounded to milliseconds, and so into the next second.
    seconds = "substr({0}, 1, 19)"
    return (
        f"length({{0}}) = {length} AND substr({{0}}, 1, 4) > '0000'"
        f" AND strftime('%Y-%m-%d{separator}%H:%M:%S', {seconds}, '+0 days') IS {seconds}"
        f" AND substr({{0}}, 20) GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]{end}'"
    )
