"""PostgreSQL servers of our own: found, started, used and removed."""
