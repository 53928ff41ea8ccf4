"""The statements of PostgreSQL that turn one structure into another: part `alter`."""

from dormatory.backends.postgresql.alter.alter import alter_statements

__all__ = ["alter_statements"]
