"""PostgreSQL's lock modes on tables, weakest first."""

from __future__ import annotations

# PostgreSQL's table locks, the weakest first, as its documentation orders them.
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
