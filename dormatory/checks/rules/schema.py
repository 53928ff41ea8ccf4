"""The rules of schemas: models against history, backend against backend, history against its dump."""

from __future__ import annotations

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES = (
    Rule(
        "drift",
        "drift",
        _ERROR,
        "models and migrated schema differ",
        "What the application takes for granted is not there, or is something else.",
        'inv db.revision --message "Say what changed"',
    ),
    Rule(
        "models-missing",
        "drift",
        _ERROR,
        "the models cover under half of the tables",
        "A module with models is not imported. Autogenerate would propose to drop the tables.",
        "from app import models  # every module with models, in env.py, before the metadata is used",
    ),
    Rule(
        "models-fail",
        "drift",
        _ERROR,
        "the models cannot be created on an empty database",
        "Nothing can be compared.",
        'baseline = "baseline.sql"  # what they need and only a migration makes',
    ),
    Rule(
        "outside-models",
        "drift",
        _NOTE,
        "something that no model describes",
        "Views, triggers and the like are left to revisions; only the committed dump shows when they change.",
        "inv db.schema-dump",
    ),
    Rule(
        "column-order",
        "drift",
        _NOTE,
        "columns stand in another order",
        "Harmless unless something relies on positions, such as INSERT without a list of columns.",
        'op.batch_alter_table("tag", recreate="always", partial_reordering=[("id", "word")])',
    ),
    Rule(
        "live-drift",
        "drift",
        _ERROR,
        "a database is not what the history gives at its revision",
        "Somebody changed it by hand. The next revision meets something else than was tested.",
        'inv db.revision --message "Make by migration what was made by hand"',
    ),
    Rule(
        "parity",
        "parity",
        _WARNING,
        "the two backends differ, and no revision says why",
        "What is tested on one does not hold on the other.",
        """
        # parity: ix_attributes_value: GIN has no SQLite counterpart
        """,
    ),
    Rule(
        "parity-declaration",
        "parity",
        _WARNING,
        "a comment declares a difference between the backends that is not there",
        "It would hide the one that comes next.",
        "# remove the comment",
    ),
    Rule(
        "stale-dump",
        "dump",
        _ERROR,
        "a committed schema file is not what the history gives",
        "Reviewers read it to see what a revision does.",
        "inv db.schema-dump",
    ),
)
