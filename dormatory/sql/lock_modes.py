"""PostgreSQL's lock modes on tables."""

from __future__ import annotations

# The weakest first: https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
LOCK_MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
