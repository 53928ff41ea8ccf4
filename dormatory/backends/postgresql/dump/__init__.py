"""Write the structure of a PostgreSQL database as SQL, by pg_dump, in a stable order."""

from dormatory.backends.postgresql.dump.dump import dump_schema, load_schema

__all__ = ["dump_schema", "load_schema"]
