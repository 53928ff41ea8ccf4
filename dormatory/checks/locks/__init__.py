"""Checks of what a revision makes others wait for on PostgreSQL: pure, over what the play measured."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.checks.locks.duration import backfills_under_lock, missing_timeouts, statements_after_lock
from dormatory.checks.locks.identifiers import long_identifiers
from dormatory.checks.locks.indexes import index_builds
from dormatory.checks.locks.names_in_use import incompatible_changes as names_in_use
from dormatory.checks.locks.scans import table_rewrites, unexplained_scans, validations_under_lock
from dormatory.checks.locks.upgrade import Upgrade

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Recording

__all__ = ["IN_USE_RULES", "check_locks"]

IN_USE_RULES = frozenset({"column-in-use-dropped", "table-in-use-dropped", "renamed-in-use"})  # what `in_use` decides
_BACKEND = "postgresql"  # the only one that has locks on tables


def check_locks(
    recording: Recording, history: History, *, used_columns: Mapping[str, Collection[str]] | None = None
) -> Iterator[Finding]:
    """Report what blocks programs, or fails them, while a revision is applied to a database in use.

    Only upgrades are judged: production goes back through a backup. Only tables count that were there before the
    revision, whatever their size. `in_use` are the columns of each table that the models of the base reference use.
    """
    if recording.backend != _BACKEND:
        return
    revision_by_id = history.by_id
    dialect = dialect_by_name(recording.backend)
    upgrades = [Upgrade.of(step, revision_by_id[step.revision], dialect) for step in recording.steps]
    for upgrade in upgrades:
        found = list(
            chain(
                index_builds(upgrade),
                validations_under_lock(upgrade),
                table_rewrites(upgrade),
                backfills_under_lock(upgrade),
            )
        )
        found += unexplained_scans(upgrade, {finding.line for finding in found})
        reported_lines = {finding.line for finding in found}
        found += chain(
            statements_after_lock(upgrade, reported_lines),
            names_in_use(upgrade, used_columns),
            long_identifiers(upgrade),
        )
        yield from sorted(dict.fromkeys(found), key=lambda finding: finding.line)  # a loop may do a thing twice
    yield from missing_timeouts(upgrades)
