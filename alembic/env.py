"""Alembic's entry: everything it does is dormatory.environment's."""

from dormatory import environment, models

environment.run(models.load())
