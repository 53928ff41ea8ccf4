"""Rows for the schema of any revision, made from what the database says of itself and put in by savepoints."""

from dormatory.migrations.rows.filling import Filled, Filling, Unfilled, fill

__all__ = ["Filled", "Filling", "Unfilled", "fill"]
