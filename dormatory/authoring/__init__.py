"""Writes revisions: what differs between the models and the history, as operations that are right on each backend."""
