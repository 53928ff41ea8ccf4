"""Plays the pending revisions on a copy of a real database, which is only read, and tells what they would do to it."""
