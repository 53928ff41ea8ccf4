"""An Alembic project and its history, as files."""
