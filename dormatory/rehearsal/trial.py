"""The trial of one pending revision on real rows: its round trip on a clone, and its upgrade of the replica."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from dormatory.recording.leg import Direction
from dormatory.rehearsal.forecast import Measurement
from dormatory.rehearsal.offending_rows import record_failed_statement
from dormatory.rehearsal.round_trip import CloneRoundTrip
from dormatory.rehearsal.row_counts import largest_table_rows
from dormatory.rehearsal.session import blocking_tables, new_session, run_steps, run_with_probes
from dormatory.replay.routes import downgrade_all, upgrade_all_and_compare
from dormatory.replay.session import ReplaySession

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.recording.leg import Failure
    from dormatory.recording.model import Route, Step
    from dormatory.recording.offending_rows import OffendingRows
    from dormatory.rehearsal.model import Wait, WrittenRows
    from dormatory.schema.snapshot import Snapshot, TableId


@dataclass(frozen=True, slots=True)
class Trial:
    """What was observed of a revision: its round trip on a clone, and how long readers and writers waited.

    `affected_tables` are the tables that it changed or locked, `largest_table_rows` the rows in the largest of them.
    `failure` is why the upgrade of the replica failed although the one of the clone did not. `unprobed` are tables
    that no reader or writer tried, since there were too many.
    """

    server: str
    step: Step
    written_rows: tuple[WrittenRows, ...]
    waits: tuple[Wait, ...]
    offending_rows: tuple[OffendingRows, ...]
    affected_tables: frozenset[TableId]
    largest_table_rows: int = 0
    failure: Failure | None = None
    unprobed: tuple[str, ...] = ()


def run_trial(project: Project, replica: Target, clone: Target, revision: str, show_values: bool) -> Trial:  # noqa: FBT001  # a worker's arguments have no names
    """Play a revision up, down and up again on a clone of the replica, then upgrade the replica itself.

    The round trip shows which tables the revision locks: readers and writers try these while the replica is upgraded.
    """
    with record_failed_statement() as failed_statement:
        trip = CloneRoundTrip(project, replica, clone, revision, failed_statement, show_values=show_values)
        step = trip.play()
    trial = Trial(trip.server, step, trip.written_rows, tuple(trip.waits), trip.offending_rows, trip.affected_tables)
    if step.after is None:
        return trial
    rows = largest_table_rows(replica, step.before, trial.affected_tables)
    session, tables = new_session(project, replica, show_values=show_values), blocking_tables(step.legs[:1])
    with session.connect():
        failure, waits = run_with_probes(session, tables, Direction.UPGRADE, lambda: session.plain_steps((revision,)))
    _, unprobed = backend_for(replica).probe.split_by_limit(tables)
    waits += trial.waits
    return replace(trial, waits=waits, largest_table_rows=rows, failure=failure, unprobed=tuple(unprobed))


def time_upgrades(
    project: Project, replica: Target, plan: tuple[tuple[str, Snapshot, frozenset[TableId]], ...]
) -> tuple[tuple[str, Measurement], ...]:
    """Upgrade a replica revision by revision; return how long each took, on how many rows, up to one that fails.

    The plan has, for each revision, the structure before it and the tables that it affects.
    """
    session, found = ReplaySession(project, replica), list[tuple[str, Measurement]]()
    for revision, schema, ids in plan:
        rows = largest_table_rows(replica, schema, ids)
        with session.connect():
            if run_steps(session, partial(session.recorded_step, revision, Direction.UPGRADE)):
                break
        found.append((revision, Measurement(rows, session.seconds)))
    return tuple(found)


def downgrade_and_upgrade_all(
    project: Project,
    replica: Target,
    revisions: tuple[str, ...],
    ends: tuple[Snapshot, Snapshot],
    show_values: bool,  # noqa: FBT001  # a worker's arguments have no names
) -> tuple[Route, ...]:
    """Downgrade a replica through all revisions, then upgrade it in one run; `ends` are the expected structures."""
    session = new_session(project, replica, show_values=show_values)
    with session.connect():
        down = downgrade_all(session, tuple(reversed(revisions)), ends[0])
        return (down, upgrade_all_and_compare(session, ends[1])) if down.is_clean else (down,)
