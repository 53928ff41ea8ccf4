"""Read the structure of a PostgreSQL database from its catalogs."""

from dormatory.backends.postgresql.introspection.reader import read_snapshot, schema_tracker

__all__ = ["read_snapshot", "schema_tracker"]
