"""Checks of what a revision makes others wait for on PostgreSQL: pure, over what the play measured."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from dormatory.checks.locks.duration import backfilling, lingering, no_timeouts
from dormatory.checks.locks.identifiers import identifiers
from dormatory.checks.locks.indexes import building
from dormatory.checks.locks.names_in_use import in_use as names_in_use
from dormatory.checks.locks.scans import reading, rewriting, validating
from dormatory.checks.locks.upgrade import Scene

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Recording

__all__ = ["OF_NAMES", "locks"]

OF_NAMES = frozenset({"column-in-use-dropped", "table-in-use-dropped", "renamed-in-use"})  # what `in_use` decides
_BACKEND = "postgresql"  # the only one that has locks on tables


def locks(
    recording: Recording, history: History, *, in_use: Mapping[str, Collection[str]] | None = None
) -> Iterator[Finding]:
    """Report what blocks programs, or fails them, while a revision is applied to a database in use.

    Only upgrades are judged: production goes back through a backup. Only tables count that were there before the
    revision, whatever their size. `in_use` are the columns of each table that the models of the base reference use.
    """
    if recording.backend != _BACKEND:
        return
    known = {revision.id: revision for revision in history.revisions}
    scenes = [Scene.of(step, known[step.revision]) for step in recording.steps]
    for scene in scenes:
        found = list(chain(building(scene), validating(scene), rewriting(scene), backfilling(scene)))
        found += reading(scene, {finding.line for finding in found})
        blamed = {finding.line for finding in found}
        found += chain(lingering(scene, blamed), names_in_use(scene, in_use), identifiers(scene))
        yield from sorted(dict.fromkeys(found), key=lambda finding: finding.line)  # a loop may do a thing twice
    yield from no_timeouts(scenes)
