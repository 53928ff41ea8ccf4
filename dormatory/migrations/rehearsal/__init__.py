"""Plays the pending revisions on a copy of a real database, which is only read, and tells what they would do to it."""

from __future__ import annotations

from dormatory.migrations.rehearsal.rehearse import Request, rehearse
from dormatory.migrations.rehearsal.values import Rehearsal

__all__ = ["Rehearsal", "Request", "rehearse"]
