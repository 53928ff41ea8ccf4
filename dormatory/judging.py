"""The checks on what was gathered: each one a pure function of a comparison, a dump or a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.data import rows_kept
from dormatory.checks.drift import drift
from dormatory.checks.dump import stale_dump
from dormatory.checks.locks import OF_NAMES, locks
from dormatory.checks.parity import parity
from dormatory.checks.parity_comments import declarations
from dormatory.checks.roundtrip import round_trip
from dormatory.checks.squawk import executed, squawked
from dormatory.commands import linters

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.commands.evidence import Evidence
    from dormatory.project.history import History

# What stopped a play stops the way to the head, too, and is said once.
_STOPPED = frozenset({"upgrade-fails", "one-run-differs"})
_STOPPING = frozenset({"upgrade-fails", "transaction-ended"})


def judged(
    evidence: Sequence[Evidence],
    history: History,
    families: Collection[str],
    home: Path,
    names_in_use: Callable[[], Mapping[str, Collection[str]] | None] = lambda: None,
) -> Iterator[Finding]:
    """Yield what the chosen families of rules find in the evidence of all backends; linters run at `home`.

    `names_in_use` gives the columns of each table that programs of today use, None where nobody knows; it is asked only
    where something was dropped or renamed.
    """
    for item in evidence:
        trips = list(round_trip(item.recording, history)) if item.recording and "roundtrip" in families else []
        told = any(found.rule in _STOPPED for found in trips)
        yield from (found for found in item.problems if not (told and found.rule in _STOPPING))
        yield from trips
        if item.comparison and "drift" in families:
            yield from drift(item.comparison)
        if item.dump:
            yield from stale_dump(*item.dump, backend=item.backend)
        if item.recording and "data" in families:
            yield from rows_kept(item.recording, history)
        if item.recording and item.backend == "postgresql" and "locks" in families:
            found = list(locks(item.recording, history))
            if any(each.rule in OF_NAMES for each in found):
                found = list(locks(item.recording, history, in_use=names_in_use()))
            yield from found
            ran = executed(item.recording, history)
            texts = {name: script.text for name, script in ran.items()}
            yield from squawked(ran, linters.squawk(texts, home=home, server=item.recording.server))
    if "parity" in families:
        migrated = {item.backend: item.comparison.migrated for item in evidence if item.comparison}
        if migrated.keys() == {"sqlite", "postgresql"}:
            yield from parity(migrated["sqlite"], migrated["postgresql"], declarations(history))
