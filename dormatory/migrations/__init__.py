"""An Alembic history and what is done with it."""
