"""The statements of PostgreSQL that turn one structure into another: part `alter`."""

from dormatory.backends.postgresql.alter.alter import alter_statements, occupy_tables
from dormatory.backends.postgresql.alter.casts import type_conversion

__all__ = ["alter_statements", "occupy_tables", "type_conversion"]
