"""Alembic's entry: everything it does is dormatory.migrations.environment's."""

from dormatory import models
from dormatory.migrations import environment

environment.run(models.load())
