"""The report of a rehearsal: each pending revision with its times, locks, waits and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_by_name
from dormatory.recording.leg import Direction
from dormatory.recording.model import RouteKind
from dormatory.report.sanitize import sanitize_line
from dormatory.sql.names import BATCH_TABLE_PREFIX
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.backends.replica import ReplicaInfo
    from dormatory.recording.leg import Leg
    from dormatory.recording.model import Step
    from dormatory.recording.offending_rows import OffendingRows
    from dormatory.rehearsal.forecast import Forecast
    from dormatory.rehearsal.model import Rehearsal, RevisionObservations, Wait, WrittenRows

_LABEL_WIDTH = 10  # characters
_DIRECTION_WORDS = {Direction.UPGRADE: "up", Direction.DOWNGRADE: "down", Direction.SECOND_UPGRADE: "again"}
_ROUTE_WORDS = {RouteKind.DOWN: "back to where it was", RouteKind.UP: "up again in one run"}


def rehearsal_lines(rehearsal: Rehearsal) -> Iterator[str]:
    """Yield the report, without the findings."""
    recordings, copied = rehearsal.recordings, rehearsal.replica
    if not recordings or copied is None:
        where = ", ".join(rehearsal.current) or "base"
        yield f"{rehearsal.target} is at {where}, nothing is pending: nothing to rehearse"
        return
    yield f"rehearsal on a copy of {rehearsal.target}: {quantity(len(rehearsal.pending), 'pending revision')}"
    yield from _copy_lines(copied)
    titles = {revision.id: revision.title for revision in rehearsal.pending}
    is_file = backend_by_name(recordings[0].backend).is_file
    seen = iter(rehearsal.observations)
    for recording in recordings:
        where = f" with {recording.version_table}" if recording.version_table else ""
        for step in recording.steps:
            yield sanitize_line(f"{step.revision}{where}  {titles[step.revision]}")
            for word, line in _step_lines(step, next(seen), is_file=is_file):
                yield f"  {word:<{_LABEL_WIDTH}}{sanitize_line(line)}"
        if is_file and len(recording.steps) > 1:
            total = sum(step.legs[0].seconds for step in recording.steps)
            yield f"together  {total:.3f} s: in one transaction, as our env.py upgrades a file, writers wait so long"
        for route in recording.routes:
            ended = f"stopped at {route.stopped}" if route.failure else f"{route.seconds:.3f} s"
            yield f"whole way {_ROUTE_WORDS[route.kind]}: {ended}{where}"
    yield from (f"left out  {end}" for end in rehearsal.not_checked)
    yield f"target    {sanitize_line(rehearsal.target_check)}"


def _copy_lines(copied: ReplicaInfo) -> Iterator[str]:
    part = f", a sample of {quantity(copied.sample, 'row')} of each and what they refer to" if copied.sample else ""
    holds = f"{quantity(copied.tables, 'table')}, {quantity(copied.rows, 'row')}"
    yield f"copied    from {copied.source} to {copied.server} in {copied.seconds:.1f} s: {holds}{part}"
    yield from (f"          {note}" for note in copied.notes)


def _step_lines(step: Step, seen: RevisionObservations, *, is_file: bool) -> Iterator[tuple[str, str]]:
    """Yield the lines on one revision, each with its label."""
    for leg in step.legs:
        yield _DIRECTION_WORDS[leg.direction], _result_text(leg)
        yield from (("locks", line) for line in _lock_lines(leg))
        if rewritten := _rewritten_tables(leg):
            yield "rewrites", ", ".join(rewritten)
        if leg.direction is Direction.UPGRADE and leg.failure is None:
            yield "rows", ", ".join(map(_changed_rows_text, seen.written_rows)) or "none written"
        if waits := _waits_text([it for it in seen.waits if it.direction is leg.direction], is_file=is_file):
            yield "stalls", waits
        yield from (("left", str(change)) for change in leg.trace)
    yield from (("lost", str(loss)) for loss in step.losses)
    yield from (("refused", line) for offending in seen.offending_rows for line in _offending_rows_lines(offending))
    if seen.forecast:
        yield "forecast", _forecast_text(seen.forecast)


def _result_text(leg: Leg) -> str:
    if leg.failure is None:
        return f"{leg.seconds:.3f} s"
    return f"no way back: {leg.failure.why}" if leg.failure.is_declared else f"failed: {leg.failure.why}"


def _lock_lines(leg: Leg) -> Iterator[str]:
    """Yield the locks of a leg; the second upgrade takes the same as the first, and has none."""
    if leg.direction is not Direction.SECOND_UPGRADE:
        yield from (f"{lock.table} {lock.mode} for {lock.seconds:.3f} s" for lock in leg.locks)


def _rewritten_tables(leg: Leg) -> list[str]:
    """Return the tables that were rewritten as a whole; on SQLite, those that a batch operation rebuilt."""
    if leg.direction is Direction.SECOND_UPGRADE:
        return []
    found = {name for statement in leg.statements for name in statement.rewritten}
    for statement in leg.statements:
        words = statement.sql.replace('"', "").split(None, 3)
        if [word.upper() for word in words[:2]] == ["INSERT", "INTO"] and words[2].startswith(BATCH_TABLE_PREFIX):
            found.add(words[2].removeprefix(BATCH_TABLE_PREFIX).partition("(")[0])
    return sorted(found)


def _changed_rows_text(changed: WrittenRows) -> str:
    counts = (("inserted", changed.inserted), ("updated", changed.updated), ("deleted", changed.deleted))
    return f"{changed.table}: " + ", ".join(f"{number} {word}" for word, number in counts if number)


def _waits_text(waits: Sequence[Wait], *, is_file: bool) -> str:
    parts = []
    for wait in waits:
        whose = f"{wait.user} of {'the file' if is_file else wait.table}"
        parts.append(f"{whose} {wait.seconds:.3f} s")
    return "; ".join(parts)


def _offending_rows_lines(offending: OffendingRows) -> Iterator[str]:
    columns = f" ({', '.join(offending.columns)})" if offending.columns else ""
    count = quantity(offending.count, "row")
    yield (
        f"{offending.rule} of {offending.table}{columns}: "
        f"{count if offending.query else 'a row that the revision writes'}"
    )
    if not offending.query:
        return
    masked = ", ".join(f"{name}='…'" for name in offending.key_names)
    shown = [*offending.keys, *(["…"] if len(offending.keys) < offending.count and offending.keys else [])]
    yield "  keys: " + ("; ".join(shown) or f"{masked} (shown with --show-values)")
    yield f"  found by: {offending.query}"


def _forecast_text(forecast: Forecast) -> str:
    measured = " and ".join(f"{it.seconds:.3f} s at {quantity(it.rows, 'row')}" for it in forecast.measurements)
    if forecast.seconds is None:
        return f"none for {quantity(forecast.rows, 'row')}: {forecast.why}; measured {measured}"
    return f"{forecast.seconds:.3f} s at {quantity(forecast.rows, 'row')}, if it grows as measured: {measured}"
