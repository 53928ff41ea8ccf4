"""Alembic, run on databases: the runner, worker processes, scratch databases."""
