"""Checks that the history gives what the models describe: pure, over two snapshots of one backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.registry import finding
from dormatory.schema.changes import ColumnAltered, ColumnsReordered, ObjectAltered, ObjectRemoved, PartRemoved
from dormatory.schema.diff import diff
from dormatory.schema.snapshot import (
    Composite,
    Domain,
    Extension,
    Function,
    Namespace,
    Other,
    Policy,
    Range,
    RewriteRule,
    Snapshot,
    Table,
    Trigger,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.recording.model import Comparison, LiveDrift
    from dormatory.schema.changes import Change

# Models describe these only through DDL events of their own; a project that writes none leaves them to revisions.
_TYPES_OUTSIDE_MODELS = (
    View,
    Function,
    Trigger,
    RewriteRule,
    Policy,
    Composite,
    Domain,
    Range,
    Extension,
    Namespace,
    Other,
)
_ATTRIBUTES_OUTSIDE_MODELS = ("grants", "row_security", "enabled")


def check_drift(comparison: Comparison) -> Iterator[Finding]:
    """Report each difference between the migrated schema and the models', or that the models are not all there.

    What no model describes, such as a view that a revision made, is a note; so is the mere order of columns.
    """
    yield from _missing_models(comparison) or _drift_findings(comparison)


def check_live_drift(found: LiveDrift, backend: str) -> Iterator[Finding]:
    """Report each difference between a live database and the history at the database's own revision."""
    for change in found.changes:
        order = isinstance(change, ColumnsReordered)
        yield finding(
            "column-order" if order else "live-drift",
            f"{change} (history at {', '.join(found.revisions) or 'base'} → database)",
            "somebody changed it by hand: take the change back, or write the migration that makes it",
            backend=backend,
            object=change.object,
        )


def _missing_models(comparison: Comparison) -> tuple[Finding, ...]:
    """Report metadata that lacks most of the tables: a forgotten import, not a wish to drop them."""
    migrated = {table.id for table in comparison.migrated.tables if table.partition_bound is None}
    covered = migrated & {table.id for table in comparison.modelled.tables}
    if not migrated or 2 * len(covered) >= len(migrated):
        return ()
    known = f"{len(covered)} of the {len(migrated)} tables" if comparison.modelled.tables else "none of the tables"
    return (
        finding(
            "models-missing",
            f"the models describe {known} that the history makes",
            "import every module with models before env.py passes their metadata to Alembic",
            backend=comparison.backend,
        ),
    )


def _drift_findings(comparison: Comparison) -> Iterator[Finding]:
    for change in diff(comparison.migrated, comparison.modelled):
        if isinstance(change, ColumnsReordered):
            rule = "column-order"
            hint = "harmless unless something relies on positions; a rebuild of the table would restore the order"
        elif _is_left_to_revisions(change, comparison.modelled):
            rule = "outside-models"
            hint = "no model describes it, so only the committed dump shows when it changes"
        else:
            rule, hint = "drift", 'write the missing migration with: inv db.revision --message "..."'
        message = f"{change} (migrations → models)"
        yield finding(rule, message, hint, backend=comparison.backend, object=change.object)


def _is_left_to_revisions(change: Change, modelled: Snapshot) -> bool:
    """Say whether only the history has it, and the models describe nothing of its kind."""
    match change:
        case ObjectRemoved(value=Table() as table):
            return table.partition_bound is not None or table.kind not in ("table", "partitioned table")
        case ObjectRemoved(value=value):
            return isinstance(value, _TYPES_OUTSIDE_MODELS) and type(value) not in _object_types(modelled)
        case PartRemoved(part=part):
            return isinstance(part, _TYPES_OUTSIDE_MODELS) and type(part) not in _object_types(modelled)
        case ObjectAltered(attribute=attribute, after=after) | ColumnAltered(attribute=attribute, after=after):
            return attribute in _ATTRIBUTES_OUTSIDE_MODELS and not after
    return False


def _object_types(snapshot: Snapshot) -> set[type]:
    """Return the kinds of things that a snapshot holds."""
    groups = (snapshot.views, snapshot.functions, snapshot.domains, snapshot.composites, snapshot.ranges)
    found = {type(item) for group in (*groups, snapshot.extensions, snapshot.others) for item in group}
    parts = (part for table in snapshot.tables for part in (*table.triggers, *table.rules, *table.policies))
    return found | {type(part) for part in parts}
