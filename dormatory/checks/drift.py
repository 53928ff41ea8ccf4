"""Checks that the history gives what the models describe: pure, over two snapshots of one backend."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.outside_models import is_consequence, is_outside_models
from dormatory.checks.rule import Rule
from dormatory.schema.changes import ColumnAltered, ColumnsReordered, CoverageChanged
from dormatory.schema.describe import object_name
from dormatory.schema.diff import diff
from dormatory.system.text import name_list, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.recording.model import ChangesByHand, Comparison
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot, Table

_MANY = 4  # columns with the same change are one finding, and so are tables with another order of columns

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
_ORDER_HINT = "harmless unless something relies on positions; a rebuild of the table would restore the order"


def check_drift(comparison: Comparison) -> Iterator[Finding]:
    """Report each difference between the migrated schema and the models', and models that seem not to be loaded.

    What no model describes, such as a view that a revision made, is a note; so is another order of columns.
    """
    modelled = comparison.modelled
    if modelled is None:
        if comparison.migrated.tables:
            yield _no_models()
        return
    if comparison.left_out:
        yield _left_out(comparison)
    yield from _unimported_models(comparison)
    if comparison.uncreatable:
        names = name_list(comparison.uncreatable)
        message = f"the models cannot be created on an empty database: without columns: {names}; the rest is compared"
        hint = 'name the columns in the model: sa.Index("...", "column")'
        yield MODELS_FAIL.finding(message, hint, backend=comparison.backend)
    missing = _missing_tables(comparison.migrated, modelled)
    if missing:
        yield _missing_models(comparison, missing)
    yield from _drift_findings(comparison, modelled, missing)


CHANGED_BY_HAND = Rule(
    "changed-by-hand",
    "drift",
    Severity.ERROR,
    meaning="a database is not what the history gives at its revision",
    why="Somebody changed it by hand. The next revision runs on a schema that was never tested.",
    recipe='inv db.revision --message "Make by migration what was made by hand"',
    former_ids=("live-drift",),
)


def check_changes_by_hand(found: ChangesByHand, backend: str) -> Iterator[Finding]:
    """Report each difference between a live database and the history at the database's own revision."""
    for change in found.changes:
        if isinstance(change, CoverageChanged):
            continue  # the object itself is reported
        rule = COLUMN_ORDER if isinstance(change, ColumnsReordered) else CHANGED_BY_HAND
        yield rule.finding(
            f"{change} (history at {', '.join(found.revisions) or 'base'} → database)",
            "somebody changed it by hand: take the change back, or write the migration that makes it",
            backend=backend,
            object_name=change.object,
        )


MODELS_FAIL = Rule(
    "models-fail",
    "drift",
    Severity.ERROR,
    meaning="the models cannot be created on an empty database",
    why="What cannot be created is not compared.",
    recipe='baseline = "baseline.sql"  # what they need and only a migration makes',
)


MODELS_MISSING = Rule(
    "models-missing",
    "drift",
    Severity.ERROR,
    meaning="the models cover under half of the tables",
    why="A module with models is not imported. Autogenerate would propose to drop the tables.",
    recipe="from app import models  # every module with models, in env.py, before the metadata is used",
)


MODELS_NOT_IMPORTED = Rule(
    "models-not-imported",
    "drift",
    Severity.WARNING,
    meaning="a file describes tables of the models, and nothing imports it",
    why="The metadata knows a table only once its module is imported. Autogenerate neither makes it nor keeps it.",
    recipe="from app import billing  # in env.py, before the metadata is used",
)


def _unimported_models(comparison: Comparison) -> Iterator[Finding]:
    for file in comparison.unimported:
        yield MODELS_NOT_IMPORTED.finding(
            f"{file.path} describes {name_list(file.described)} and is not imported: the comparison does not know it",
            f"import it before env.py passes the metadata to Alembic: {file.import_statement}",
            backend=comparison.backend,
            object_name=file.path,
        )


NO_MODELS = Rule(
    "no-models",
    "drift",
    Severity.NOTE,
    meaning="env.py passes no models to Alembic",
    why="Nothing can tell whether the history gives what the application needs.",
    recipe="target_metadata = Base.metadata  # in env.py, and in context.configure(target_metadata=target_metadata)",
)


def _no_models() -> Finding:
    return NO_MODELS.finding(
        "env.py passes no target_metadata to Alembic, so the history is compared with no models",
        "pass the metadata of the models to context.configure(), if the project has models",
    )


LEFT_OUT = Rule(
    "left-out-by-env",
    "drift",
    Severity.NOTE,
    meaning="env.py leaves out something that differs from the models",
    why="Its include_object, include_name, compare_type or compare_server_default says so, as to autogenerate.",
    recipe="""
    def include_object(item, name, kind, reflected, compare_to):
        return not (kind == "table" and name in TABLES_OF_OTHERS)
    """,
)


def _left_out(comparison: Comparison) -> Finding:
    items = comparison.left_out
    return LEFT_OUT.finding(
        f"env.py leaves {quantity(len(items), 'difference')} out of the comparison with the models: {name_list(items)}",
        "nothing to do if that is right: autogenerate leaves them out as well",
        backend=comparison.backend,
    )


def _missing_tables(migrated_schema: Snapshot, modelled_schema: Snapshot) -> tuple[Table, ...]:
    """Return the tables that the models do not describe, if these are most of the tables: an import may be missing."""
    migrated = [table for table in migrated_schema.tables if table.partition_bound is None]
    modelled = {table.id for table in modelled_schema.tables}
    missing = tuple(table for table in migrated if table.id not in modelled)
    return missing if 2 * len(missing) > len(migrated) else ()


def _missing_models(comparison: Comparison, missing: tuple[Table, ...]) -> Finding:
    count = sum(table.partition_bound is None for table in comparison.migrated.tables)
    described = f"{count - len(missing)} of the {count} tables" if count > len(missing) else "none of the tables"
    return MODELS_MISSING.finding(
        f"the models describe {described} that the history makes; not {name_list(map(object_name, missing))}",
        "import every module with models before env.py passes their metadata to Alembic",
        backend=comparison.backend,
    )


DEFAULT_NOT_IN_MODELS = Rule(
    "default-not-in-models",
    "drift",
    Severity.WARNING,
    meaning="columns have a default that the models do not give",
    why="It was needed for old rows, most likely. Rows that others insert get it; those of the application never do.",
    recipe='op.alter_column("run", "status", server_default=None)  # or server_default=... in the model',
)


def _drift_findings(comparison: Comparison, modelled: Snapshot, missing: tuple[Table, ...]) -> Iterator[Finding]:
    tables = tuple(table for table in comparison.migrated.tables if table not in missing)
    changes = [it for it in diff(replace(comparison.migrated, tables=tables), modelled) if not is_consequence(it)]
    kept_defaults = [it for it in changes if _is_kept_default(it)]
    if kept_defaults:
        names = [it.object.removeprefix("column ") for it in kept_defaults]
        yield DEFAULT_NOT_IN_MODELS.finding(
            f"the history gives {quantity(len(names), 'column')} a default that the models do not: {name_list(names)}",
            "drop the default in a revision, or give it to the model as server_default",
            backend=comparison.backend,
            object_name=kept_defaults[0].object if len(names) == 1 else "",
        )
    reordered = [it.within for it in changes if isinstance(it, ColumnsReordered)]
    if len(reordered) >= _MANY:
        yield COLUMN_ORDER.finding(
            f"{len(reordered)} tables have their columns in another order than in the models: {name_list(reordered)}",
            _ORDER_HINT,
            backend=comparison.backend,
        )
    alike: defaultdict[object, list[Change]] = defaultdict(list)
    for change in changes:
        alike[_column_change(change)].append(change)
    for change in changes:
        group = alike[_column_change(change)]
        if _is_kept_default(change) or (isinstance(change, ColumnsReordered) and len(reordered) >= _MANY):
            continue
        if len(group) < _MANY:
            yield _change_finding(change, comparison, ())
        elif change is group[0]:
            yield _change_finding(change, comparison, [it.object.removeprefix("column ") for it in group])


def _is_kept_default(change: Change) -> bool:
    """Return whether only the history has a default, other than the number of a sequence."""
    match change:
        case ColumnAltered(attribute="default", before=str(before), after=None):
            return not before.startswith("nextval(")
    return False


def _column_change(change: Change) -> object:
    """Return what happened to a column, without its name; for other changes what no other change has."""
    match change:
        case ColumnAltered(attribute=attribute, before=before, after=after):
            return attribute, _without_sequence(before), _without_sequence(after)
    return id(change)


def _without_sequence(value: object) -> object:
    """Return a default without the name of the sequence that numbers a column."""
    return "nextval(...)" if isinstance(value, str) and value.startswith("nextval(") else value


def _change_finding(change: Change, comparison: Comparison, columns: Sequence[str]) -> Finding:
    """Return the finding for one change, or for the same change of many `columns`."""
    if isinstance(change, ColumnsReordered):
        rule = COLUMN_ORDER
        hint = _ORDER_HINT
    elif is_outside_models(change, comparison.extension_indexes):
        rule = OUTSIDE_MODELS
        hint = "no model describes it, so only the committed dump shows when it changes"
    else:
        rule, hint = DRIFT, 'write the missing migration with: inv db.revision --message "..."'
    if columns:
        what = re.sub(r"nextval\('[^']*'::regclass\)", "nextval(...)", str(change).partition(": ")[2])
        message = f"{len(columns)} columns: {what} (migrations → models): {name_list(columns)}"
    else:
        message = f"{change} (migrations → models)"
    return rule.finding(message, hint, backend=comparison.backend, object_name="" if columns else change.object)
