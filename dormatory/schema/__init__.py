"""The structure of a database as a value."""
