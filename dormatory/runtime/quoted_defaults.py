"""Compares defaults on PostgreSQL as Alembic does, but for those that hold a quote.

Alembic puts quotes around the text and doubles none in it: the server takes the rest for SQL, and refuses it. Alembic
uses this class as soon as this module is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy import String, literal_column, select

from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from sqlalchemy import Connection


class QuotedDefaultsImpl(PostgresqlImpl):
    """Alembic's PostgreSQL, except for defaults with a quote."""

    __dialect__ = "postgresql"

    def compare_server_default(
        self,
        inspector_column: Any,
        metadata_column: Any,
        rendered_metadata_default: Any,
        rendered_inspector_default: Any,
    ) -> bool:
        """Return whether the default of a column differs from the one in the models."""
        text = getattr(metadata_column.server_default, "arg", None)
        if rendered_inspector_default is None or not isinstance(text, str) or "'" not in text[1:-1]:
            given = inspector_column, metadata_column, rendered_metadata_default, rendered_inspector_default
            return bool(super().compare_server_default(*given))  # type: ignore[no-untyped-call]  # Alembic's
        connection, stored = cast("Connection", self.connection), literal_column(rendered_inspector_default, String)
        return not connection.scalar(select(stored == literal_column(quote_literal(text), String)))
