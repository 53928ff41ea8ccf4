"""Finds the revision that called: its id, its direction, and which of its loops this is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.errors.batches import OutsideRevisionError

if TYPE_CHECKING:
    from types import FrameType

    from alembic.runtime.migration import MigrationContext

_DIRECTIONS = ("upgrade", "downgrade")


@dataclass(frozen=True, slots=True)
class RevisionLoop:
    """One loop of a revision: the same one whenever the revision runs; `number` counts its loops from 1."""

    revision: str
    direction: str
    number: int


@dataclass(slots=True)
class _Run:
    """A call of upgrade() or downgrade(), and how many loops it has begun."""

    frame: FrameType
    loops: int = 0


_RUN_ATTRIBUTE = "_dormatory_batches"  # of Alembic's context, which lives as long as the command


def begin_loop(context: MigrationContext, caller: FrameType) -> RevisionLoop:
    """Return the loop that a revision begins; raises OutsideRevisionError if none has called.

    Alembic does not say which revision is running. A call that is repeated, after a lock was not granted, begins with
    the first loop again: it has another frame.
    """
    frame = _revision_frame(caller)
    run: _Run | None = getattr(context, _RUN_ATTRIBUTE, None)
    if run is None or run.frame is not frame:
        run = _Run(frame)
        setattr(context, _RUN_ATTRIBUTE, run)
    run.loops += 1
    direction = "downgrade" if frame.f_code.co_name.startswith("downgrade") else "upgrade"
    return RevisionLoop(str(frame.f_globals["revision"]), direction, run.loops)


def _revision_frame(caller: FrameType) -> FrameType:
    """Return the outermost call of an upgrade or downgrade function: one may call the other."""
    found, frame = None, caller
    while True:
        if frame.f_code.co_name.startswith(_DIRECTIONS) and {"revision", "down_revision"} <= frame.f_globals.keys():
            found = frame
        if frame.f_back is None:
            break
        frame = frame.f_back
    if found is None:
        raise OutsideRevisionError
    return found
