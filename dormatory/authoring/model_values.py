"""What the models know of the values of a column: the default that Python gives, and the members of an enumeration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util import to_list

from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alembic.runtime.migration import MigrationContext

    from dormatory.authoring.transition import ColumnKey


class ModelValues:
    """The columns of the models, by name."""

    def __init__(self, columns: Mapping[ColumnKey, sa.Column[Any]]) -> None:
        self._columns = columns

    @classmethod
    def read(cls, context: MigrationContext) -> ModelValues:
        """Return those of the models that an env.py compares."""
        default = context.dialect.default_schema_name
        return cls(
            {
                (None if table.schema == default else table.schema, table.name, column.name): column
                for metadata in to_list(context.opts["target_metadata"])
                for table in metadata.tables.values()
                for column in table.columns
            }
        )

    def default_value(self, key: ColumnKey, backend: str) -> str | None:
        """Return the `default=` of a column as SQL of a backend, None if it has none that is the same for each row."""
        column = self._columns.get(key)
        default: Any = column.default if column is not None else None
        if column is None or default is None or not (default.is_scalar or default.is_clause_element):
            return None
        if default.is_scalar and isinstance(default.arg, bool) and isinstance(column.type, sa.Boolean):
            return str(default.arg).lower()
        if default.is_scalar and isinstance(column.type, sa.JSON):
            return quote_literal(json.dumps(default.arg))
        value = sa.literal(default.arg, column.type) if default.is_scalar else default.arg
        # Another style of parameters would double each `%`.
        dialect: Any = URL.create(backend).get_dialect()
        try:
            return str(value.compile(dialect=dialect(paramstyle="named"), compile_kwargs={"literal_binds": True}))
        except (SQLAlchemyError, ValueError, TypeError, LookupError, NotImplementedError):
            return None  # it has no literal

    def computed_default(self, key: ColumnKey) -> str:
        """Return the name of the function that gives each row of a column its value, "" if there is none."""
        column = self._columns.get(key)
        default: Any = column.default if column is not None else None
        return getattr(default.arg, "__name__", "") if default is not None and default.is_callable else ""

    def member_names(self, key: ColumnKey) -> dict[str, str]:
        """Return the names of Python's members of an enumeration, by the values that the database stores."""
        column = self._columns.get(key)
        type_: Any = column.type if column is not None else None
        enum = getattr(type_, "item_type", type_)
        if not isinstance(enum, sa.Enum) or enum.enum_class is None:
            return {}
        names = list(enum.enum_class.__members__)
        return dict(zip(enum.enums, names, strict=True)) if len(names) == len(enum.enums) else {}
