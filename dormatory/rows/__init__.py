"""Rows for any schema, made from what the database says of itself."""
