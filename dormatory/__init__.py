"""DORMATORY: structured hierarchical data in a flat set of tables, and the workflow that migrates it."""
