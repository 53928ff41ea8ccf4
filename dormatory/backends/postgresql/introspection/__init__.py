"""Read the structure of a PostgreSQL database from its catalogs."""

from dormatory.backends.postgresql.introspection.reader import read_catalog, schema_tracker

__all__ = ["read_catalog", "schema_tracker"]
