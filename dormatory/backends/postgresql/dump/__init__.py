"""Write the structure of a PostgreSQL database as SQL, by pg_dump, in a stable order."""
