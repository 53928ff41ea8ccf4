"""What became of rows on a round trip: pure judgement on states and statements, which touches no database."""

from dormatory.migrations.survival.judgement import judge
from dormatory.migrations.survival.loss import Kind, Loss, State, Trip

__all__ = ["Kind", "Loss", "State", "Trip", "judge"]
