"""Pending revisions played on a copy of a real database, which is only read."""
