"""An Alembic project and its history, read as files."""
