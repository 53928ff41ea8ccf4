"""Checks that the history gives what the models describe: pure, over two snapshots of one backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
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

# Models describe these only through DDL events; a project that writes none leaves them to revisions.
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


DRIFT = Rule(
    "drift",
    "drift",
    Severity.ERROR,
    meaning="models and migrated schema differ",
    why="The application relies on something that is missing, or that differs.",
    recipe='inv db.revision --message "Say what changed"',
)

OUTSIDE_MODELS = Rule(
    "outside-models",
    "drift",
    Severity.NOTE,
    meaning="something that no model describes",
    why="Views, triggers and the like are left to revisions; only the committed dump shows when they change.",
    recipe="inv db.schema-dump",
)

COLUMN_ORDER = Rule(
    "column-order",
    "drift",
    Severity.NOTE,
    meaning="columns have another order",
    why="Harmless unless something relies on positions, such as INSERT without a list of columns.",
    recipe='op.batch_alter_table("tag", recreate="always", partial_reordering=[("id", "word")])',
)


def check_drift(comparison: Comparison) -> Iterator[Finding]:
    """Report each difference between the migrated schema and the models', or that most models are missing.

    What no model describes, such as a view that a revision made, is a note; so is another order of columns.
    """
    yield from _missing_models(comparison) or _drift_findings(comparison)


LIVE_DRIFT = Rule(
    "live-drift",
    "drift",
    Severity.ERROR,
    meaning="a database is not what the history gives at its revision",
    why="Somebody changed it by hand. The next revision runs on a schema that was never tested.",
    recipe='inv db.revision --message "Make by migration what was made by hand"',
)


def check_live_drift(found: LiveDrift, backend: str) -> Iterator[Finding]:
    """Report each difference between a live database and the history at the database's own revision."""
    for change in found.changes:
        rule = COLUMN_ORDER if isinstance(change, ColumnsReordered) else LIVE_DRIFT
        yield rule.finding(
            f"{change} (history at {', '.join(found.revisions) or 'base'} → database)",
            "somebody changed it by hand: take the change back, or write the migration that makes it",
            backend=backend,
            object_name=change.object,
        )


MODELS_MISSING = Rule(
    "models-missing",
    "drift",
    Severity.ERROR,
    meaning="the models cover under half of the tables",
    why="A module with models is not imported. Autogenerate would propose to drop the tables.",
    recipe="from app import models  # every module with models, in env.py, before the metadata is used",
)


def _missing_models(comparison: Comparison) -> tuple[Finding, ...]:
    """Report metadata that lacks most of the tables: most likely an import is missing."""
    migrated = {table.id for table in comparison.migrated.tables if table.partition_bound is None}
    covered = migrated & {table.id for table in comparison.modelled.tables}
    if not migrated or 2 * len(covered) >= len(migrated):
        return ()
    known = f"{len(covered)} of the {len(migrated)} tables" if comparison.modelled.tables else "none of the tables"
    return (
        MODELS_MISSING.finding(
            f"the models describe {known} that the history makes",
            "import every module with models before env.py passes their metadata to Alembic",
            backend=comparison.backend,
        ),
    )


def _drift_findings(comparison: Comparison) -> Iterator[Finding]:
    for change in diff(comparison.migrated, comparison.modelled):
        if isinstance(change, ColumnsReordered):
            rule = COLUMN_ORDER
            hint = "harmless unless something relies on positions; a rebuild of the table would restore the order"
        elif _is_left_to_revisions(change, comparison.modelled):
            rule = OUTSIDE_MODELS
            hint = "no model describes it, so only the committed dump shows when it changes"
        else:
            rule, hint = DRIFT, 'write the missing migration with: inv db.revision --message "..."'
        message = f"{change} (migrations → models)"
        yield rule.finding(message, hint, backend=comparison.backend, object_name=change.object)


def _is_left_to_revisions(change: Change, modelled: Snapshot) -> bool:
    """Return whether only the history has the object, and the models describe nothing of its kind."""
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
    """Return the types of the objects that a snapshot holds."""
    groups = (snapshot.views, snapshot.functions, snapshot.domains, snapshot.composites, snapshot.ranges)
    found = {type(item) for group in (*groups, snapshot.extensions, snapshot.others) for item in group}
    parts = (part for table in snapshot.tables for part in (*table.triggers, *table.rules, *table.policies))
    return found | {type(part) for part in parts}
