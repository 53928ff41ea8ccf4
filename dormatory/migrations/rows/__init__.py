"""Rows for the schema of any revision, made from what the database says of itself and put in by savepoints."""
