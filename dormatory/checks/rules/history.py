"""The rules of the revision graph and of the sums of published revisions."""

from __future__ import annotations

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES = (
    Rule(
        "several-heads",
        "graph",
        _ERROR,
        "the history ends in more than one revision",
        """Two revisions were written on the same parent. Git merged them without a conflict, `head` means neither, and
        the next upgrade fails for everybody. Branches that each have a label of their own are meant to stay side by
        side: that is a note.""",
        """
        # the newer one goes behind the other:
        down_revision = "014"
        # or both are joined:
        alembic merge 014 015 -m "Join two branches"
        """,
    ),
    Rule(
        "duplicate-id",
        "graph",
        _ERROR,
        "two files claim the same revision id",
        """Two people took the same number. Alembic keeps one of the two files, and databases that have run the other
        one count as migrated.""",
        """
        # the newer one takes the next free number, in its name and in:
        revision = "015"
        down_revision = "014"
        """,
    ),
    Rule(
        "missing-parent",
        "graph",
        _ERROR,
        "a revision builds on one that no file has",
        "The file was deleted, renamed or never merged. Alembic does not start at all.",
        'down_revision = "014"  # a revision that is there; or restore the file',
    ),
    Rule(
        "cycle",
        "graph",
        _ERROR,
        "revisions come before each other",
        "No order of upgrade exists, so Alembic does not start at all.",
        'down_revision = "013"  # the one that was written before it',
    ),
    Rule(
        "unreachable-revision",
        "graph",
        _ERROR,
        "no way leads to a revision from the empty database",
        "What it builds on lacks a parent or lies in a cycle, so it is never applied.",
        'down_revision = "014"  # mend the revisions below it first',
    ),
    Rule(
        "unreadable-revision",
        "graph",
        _ERROR,
        "a file of the history does not parse, or assigns no revision",
        """Alembic imports every file of the directory of revisions and stops at the first that is none. Helpers belong
        elsewhere.""",
        """
        revision = "015"  # a plain text; it is read without running the file
        down_revision = "014"
        """,
    ),
    Rule(
        "broken-history",
        "graph",
        _ERROR,
        "the history cannot be read",
        "Nothing else can be checked as long as the history does not fit together.",
        "inv db.history",
    ),
    Rule(
        "no-downgrade",
        "graph",
        _ERROR,
        "a revision has no downgrade function",
        "Going back fails at this revision, most likely during a rollback in a hurry.",
        """
        def downgrade() -> None:
            op.drop_column("tag", "colour")

        # or, where there is no way back:
        def downgrade() -> None:
            raise NotImplementedError("the numbers were erased")
        """,
    ),
    Rule(
        "no-downgrades",
        "graph",
        _WARNING,
        "no revision of the history has a downgrade function",
        "The project only goes forward. That is a decision, and it is said once.",
        'irreversible = "restore the backup"  # at the top of each revision',
    ),
    Rule(
        "empty-revision",
        "graph",
        _WARNING,
        "the upgrade of a revision does nothing",
        """Usually autogenerate was run against a database that had the change already. A merge of branches, a branch
        label and a mere depends_on are meant to be empty.""",
        """
        inv db.revision --message "Add user table"  # compares with a scratch database at head
        """,
    ),
    Rule(
        "id-too-long",
        "graph",
        _ERROR,
        "a revision id has more than 32 characters",
        """The version table holds 32. SQLite does not mind; PostgreSQL fails after the revision's own statements have
        run.""",
        'revision = "015"',
    ),
    Rule(
        "file-name",
        "graph",
        _WARNING,
        "a file's name and its revision id disagree",
        "Whoever looks for the revision finds another one, and two files may come to claim one number.",
        "git mv alembic/versions/014_add_tags.py alembic/versions/015_add_tags.py",
    ),
    Rule(
        "branches-collide",
        "graph",
        _WARNING,
        "branches that are joined change the same thing",
        """Each was written without the other. Which of them comes last is chance, and so is what is left.""",
        """
        # one after the other instead of side by side:
        down_revision = "014"
        # or, where the branches stay, in an order that is said:
        depends_on = "014"
        """,
    ),
    Rule(
        "backend-not-supported",
        "graph",
        _NOTE,
        "the project does not run on a backend, so nothing was played there",
        "Its setting `backends` says so.",
        'backends = ["sqlite", "postgresql"]',
    ),
    Rule(
        "revision-changed",
        "integrity",
        _ERROR,
        "a published revision is not what it was",
        """Databases that ran the old text will never run the new one: from here on they differ, and no tool tells.
        Layout, comments and docstrings do not count.""",
        """
        git checkout main -- alembic/versions/003_store_moments.py   # and write another revision
        inv db.sum --reason "003: it never ran on PostgreSQL 15"     # if it must be
        """,
    ),
    Rule(
        "revision-removed",
        "integrity",
        _ERROR,
        "a published revision is gone",
        "A database that is at it cannot be upgraded or downgraded any more.",
        """
        git checkout main -- alembic/versions/003_store_moments.py
        inv db.sum --reason "003: squashed into 010"
        """,
    ),
    Rule(
        "revision-unsummed",
        "integrity",
        _ERROR,
        "a revision has no line in versions.sum, or its line is older than the revision",
        """The line is what makes two branches meet in git, and what tells later that the revision was changed.""",
        "inv db.sum",
    ),
    Rule(
        "sum-unreadable",
        "integrity",
        _ERROR,
        "a line of versions.sum does not read",
        "Conflict markers were left, or it was written by hand. What the line protects is not protected.",
        "inv db.sum",
    ),
    Rule(
        "suppression-without-reason",
        "suppression",
        _WARNING,
        "a comment asks not to see a finding and does not say why; the finding stays",
        "Nobody can tell later whether it still holds.",
        'op.create_index("ix_a", "a", ["b"])  # db-check: ignore[index-not-concurrent] ten rows',
    ),
    Rule(
        "suppression-unused",
        "suppression",
        _WARNING,
        "a comment asks not to see a finding that is not there, or of a rule that is unknown",
        "It would hide the finding that comes there next.",
        "# remove the comment, or move it to the line that the finding names",
    ),
)
