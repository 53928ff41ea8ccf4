"""Pure functions from histories and recordings to findings."""
