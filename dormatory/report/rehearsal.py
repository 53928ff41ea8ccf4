"""What a rehearsal showed, for a reader: each pending revision with its time, its locks, who waited, what was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.recording.model import Course, Direction
from dormatory.report.sanitize import legible_line
from dormatory.system.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.backends.base import Copied
    from dormatory.recording.model import Leg, Step
    from dormatory.rehearsal.forecast import Forecast
    from dormatory.rehearsal.model import Changed, Findings, Offence, Rehearsal, Stall

_WIDTH = 10  # of what a line is about
_REBUILT = "_alembic_tmp_"
_WORDS = {Direction.UPGRADE: "up", Direction.DOWNGRADE: "down", Direction.SECOND_UPGRADE: "again"}
_COURSES = {Course.DOWN: "back to where it was", Course.UP: "up again in one run"}


def rehearsal_lines(rehearsal: Rehearsal) -> Iterator[str]:
    """Yield the report, without the findings that follow from it."""
    recording, copied = rehearsal.recording, rehearsal.copied
    if recording is None or copied is None:
        where = ", ".join(rehearsal.current) or "base"
        yield f"{rehearsal.target} is at {where}, nothing is pending: nothing to rehearse"
        return
    yield f"rehearsal on a copy of {rehearsal.target}: {counted(len(rehearsal.pending), 'pending revision')}"
    yield from _copied(copied)
    titles = {revision.id: revision.title for revision in rehearsal.pending}
    is_file = recording.backend == "sqlite"
    for step, seen in zip(recording.steps, rehearsal.seen, strict=True):
        yield legible_line(f"{step.revision}  {titles[step.revision]}")
        for word, line in _step(step, seen, is_file=is_file):
            yield f"  {word:<{_WIDTH}}{legible_line(line)}"
    if is_file and len(recording.steps) > 1:
        total = sum(step.legs[0].seconds for step in recording.steps)
        yield f"together  {total:.3f} s: in one transaction, as our env.py upgrades a file, writers wait so long"
    for passage in recording.passages:
        ended = f"stopped at {passage.stopped}" if passage.failure else f"{passage.seconds:.3f} s"
        yield f"whole way {_COURSES[passage.course]}: {ended}"
    yield from (f"left out  {end}" for end in rehearsal.loose_ends)
    yield f"target    {legible_line(rehearsal.untouched)}"


def _copied(copied: Copied) -> Iterator[str]:
    part = f", a sample of {counted(copied.sample, 'row')} of each and what they refer to" if copied.sample else ""
    holds = f"{counted(copied.tables, 'table')}, {counted(copied.rows, 'row')}"
    yield f"copied    from {copied.source} to {copied.server} in {copied.seconds:.1f} s: {holds}{part}"
    yield from (f"          {note}" for note in copied.notes)


def _step(step: Step, seen: Findings, *, is_file: bool) -> Iterator[tuple[str, str]]:
    """Yield what is to be said of a revision, each with a word for what it is about."""
    for leg in step.legs:
        yield _WORDS[leg.direction], _ended(leg)
        yield from (("locks", line) for line in _locks(leg))
        if rewritten := _rewritten(leg):
            yield "rewrites", ", ".join(rewritten)
        if leg.direction is Direction.UPGRADE and leg.failure is None:
            yield "rows", ", ".join(map(_changed, seen.changed)) or "none written"
        if waits := _stalls([it for it in seen.stalls if it.direction is leg.direction], is_file=is_file):
            yield "stalls", waits
        yield from (("left", str(change)) for change in leg.trace)
    yield from (("lost", str(loss)) for loss in step.losses)
    yield from (("refused", line) for offence in seen.offences for line in _offence(offence))
    if seen.forecast:
        yield "forecast", _forecast(seen.forecast)


def _ended(leg: Leg) -> str:
    if leg.failure is None:
        return f"{leg.seconds:.3f} s"
    return f"no way back: {leg.failure.why}" if leg.failure.is_declared else f"failed: {leg.failure.why}"


def _locks(leg: Leg) -> Iterator[str]:
    """Yield the locks, the strongest ones on the second and third leg left out: they are the same, or nobody's."""
    if leg.direction is not Direction.SECOND_UPGRADE:
        yield from (f"{lock.table} {lock.mode} for {lock.seconds:.3f} s" for lock in leg.locks)


def _rewritten(leg: Leg) -> list[str]:
    """Return what was written anew from end to end; on SQLite these are the tables that a batch rebuilt."""
    if leg.direction is Direction.SECOND_UPGRADE:
        return []
    found = {name for statement in leg.statements for name in statement.rewritten}
    for statement in leg.statements:
        words = statement.sql.replace('"', "").split(None, 3)
        if [word.upper() for word in words[:2]] == ["INSERT", "INTO"] and words[2].startswith(_REBUILT):
            found.add(words[2].removeprefix(_REBUILT).partition("(")[0])
    return sorted(found)


def _changed(changed: Changed) -> str:
    counts = (("inserted", changed.inserted), ("updated", changed.updated), ("deleted", changed.deleted))
    return f"{changed.table}: " + ", ".join(f"{number} {word}" for word, number in counts if number)


def _stalls(stalls: Sequence[Stall], *, is_file: bool) -> str:
    parts = []
    for stall in stalls:
        whose = f"{stall.user} of {'the file' if is_file else stall.table}"
        parts.append(f"{whose} {stall.seconds:.3f} s")
    return "; ".join(parts)


def _offence(offence: Offence) -> Iterator[str]:
    columns = f" ({', '.join(offence.columns)})" if offence.columns else ""
    count = counted(offence.rows, "row")
    yield f"{offence.rule} of {offence.table}{columns}: {count if offence.query else 'a row that the revision writes'}"
    if not offence.query:
        return
    masked = ", ".join(f"{name}='…'" for name in offence.key_names)
    shown = [*offence.keys, *(["…"] if len(offence.keys) < offence.rows and offence.keys else [])]
    yield "  keys: " + ("; ".join(shown) or f"{masked} (told with --show-values)")
    yield f"  found by: {offence.query}"


def _forecast(forecast: Forecast) -> str:
    measured = " and ".join(f"{it.seconds:.3f} s at {counted(it.rows, 'row')}" for it in forecast.measured)
    if forecast.seconds is None:
        return f"none for {counted(forecast.rows, 'row')}: {forecast.why}; measured {measured}"
    return f"{forecast.seconds:.3f} s at {counted(forecast.rows, 'row')}, if it grows as measured: {measured}"
