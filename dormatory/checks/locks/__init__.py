"""Checks of what a revision makes others wait for on PostgreSQL: pure, over what the replay measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.locks.duration import backfills_under_lock, missing_timeouts, statements_after_lock
from dormatory.checks.locks.foreign_keys import differing_foreign_key_types, unindexed_foreign_keys
from dormatory.checks.locks.identifiers import long_identifiers
from dormatory.checks.locks.indexes import index_changes
from dormatory.checks.locks.names_in_use import DROPPED_IN_USE_RULES, IN_USE_RULES, incompatible_changes
from dormatory.checks.locks.new_columns import regretted_types
from dormatory.checks.locks.partitions import partition_detaches
from dormatory.checks.locks.rewrites import table_rewrites
from dormatory.checks.locks.scans import unexplained_scans, validations_under_lock
from dormatory.checks.locks.table_settings import costly_settings
from dormatory.checks.locks.upgrade import recorded_upgrades
from dormatory.checks.locks.whole_tables import repeated_passes, whole_table_writes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.recording.model import Recording

__all__ = ["DROPPED_IN_USE_RULES", "IN_USE_RULES", "check_locks"]

_CHECKS = (index_changes, validations_under_lock, table_rewrites, backfills_under_lock, partition_detaches)
_ADVICE = (differing_foreign_key_types, costly_settings, repeated_passes)


def check_locks(
    recording: Recording, history: History, *, used_columns: Mapping[str, Collection[str]] | None = None
) -> Iterator[Finding]:
    """Report what blocks programs, or makes them fail, while a revision is applied to a database in use.

    Only upgrades are checked: production is reset by restoring a backup. Only tables count that existed before the
    revision, whatever their size. `used_columns` are the columns of each table that the models of the base reference
    use, None if they are unknown; only IN_USE_RULES depend on them.
    """
    upgrades = recorded_upgrades(recording, history)
    for upgrade in upgrades:
        found = [finding for check in _CHECKS for finding in check(upgrade)]
        found += unexplained_scans(upgrade, {finding.location.line for finding in found})
        found += statements_after_lock(upgrade, {finding.location.line for finding in found})
        found += whole_table_writes(upgrade, {finding.location.line for finding in found})
        found += [*incompatible_changes(upgrade, used_columns), *long_identifiers(upgrade)]
        found += [finding for check in _ADVICE for finding in check(upgrade)]
        # A loop may do one thing twice.
        yield from sorted(dict.fromkeys(found), key=lambda finding: finding.location.line)
    yield from missing_timeouts(upgrades)
    yield from unindexed_foreign_keys(upgrades)
    yield from regretted_types(upgrades)
