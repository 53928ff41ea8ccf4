"""Alembic's entry: everything it does is dormatory.environment's."""

from dormatory import environment, models
from dormatory.authoring.hook import complete_script

environment.run(models.load(), complete=complete_script)
