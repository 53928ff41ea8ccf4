"""Read the structure of a PostgreSQL database from its catalogs."""
