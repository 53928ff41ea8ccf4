"""Alembic, run on databases: the process, the environment, the scratch databases."""
