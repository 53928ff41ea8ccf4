"""The rules that a revision's own text is held to."""

from __future__ import annotations

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES = (
    Rule(
        "application-import",
        "source",
        _ERROR,
        "a revision imports the application",
        """Live code describes the newest schema. On the day a column is added to the model, or the module moves, a
        fresh database can no longer be made. A type in a column, a helper that lies with the revisions, and what is
        imported but not used are warnings.""",
        """
        profiles = sa.table("profiles", sa.column("id", sa.Integer), sa.column("slug", sa.String))
        op.execute(profiles.update().values(slug=sa.func.lower(profiles.c.nick)))
        """,
    ),
    Rule(
        "create-all",
        "source",
        _ERROR,
        "a revision creates or drops the tables of live metadata",
        """It makes today's tables, not those of its day: a later revision that adds a column finds it there, and
        fails.""",
        """
        op.create_table(
            "cameras",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_cameras")),
        )
        """,
    ),
    Rule(
        "unnamed-constraint",
        "source",
        _WARNING,
        "a constraint or an index is created or dropped without a name",
        """Without a name there is nothing to drop it by: SQLite cannot at all, PostgreSQL made one up. To drop None
        always fails, which is an error; inside create_table it is a note, for a naming convention of the metadata
        may give the name of the day.""",
        """
        batch.create_unique_constraint(op.f("uq_member_phone"), ["phone"])
        batch.drop_constraint(op.f("uq_member_phone"), type_="unique")
        """,
    ),
    Rule(
        "random-name",
        "source",
        _ERROR,
        "a name is made from a clock, a random number or a process",
        "The name is another one in every database, so no later revision can find it.",
        'op.create_index(op.f("ix_tag_word"), "tag", ["word"])',
    ),
    Rule(
        "frozen-default",
        "source",
        _ERROR,
        "a server default is computed by Python, once",
        "Every row written later gets the moment, or the key, of the migration.",
        'sa.Column("created_at", sa.DateTime(), server_default=sa.func.now(), nullable=False)',
    ),
    Rule(
        "unescaped-colon",
        "source",
        _ERROR,
        "a colon in SQL text is taken for a parameter",
        """`op.execute` and `sa.text` read `:word` as a parameter, within quotes, too. A statement then fails; in a
        default, a CHECK or an index, NULL is put there without a word.""",
        r"""
        op.execute("UPDATE page SET address = 'urn\\:isbn' || isbn")
        """,
    ),
    Rule(
        "pragma-foreign-keys",
        "source",
        _WARNING,
        "a revision switches foreign keys with a PRAGMA",
        """Inside a transaction SQLite ignores it: the revision looks protected, and a table that is rebuilt takes the
        rows that refer to it along. In an autocommit block it works, for everything that follows on this
        connection.""",
        """
        # nothing: env.py switches them off before the transaction and checks all before the commit
        with op.batch_alter_table("owners") as batch:
            batch.alter_column("name", type_=sa.String(120))
        """,
    ),
    Rule(
        "transaction-ended",
        "source",
        _ERROR,
        "a revision commits or rolls back by itself",
        """The transaction is Alembic's, and holds the entry in the version table, too. Ended early, the revision is
        half applied, or applied and not written down.""",
        """
        with op.get_context().autocommit_block():  # alone in its revision
            op.execute("ALTER TYPE grade ADD VALUE 'top'")
        """,
    ),
    Rule(
        "autocommit-not-alone",
        "source",
        _NOTE,
        "an autocommit block is not alone in its revision",
        """The block commits all that ran before it. When the block or what follows fails, that stays, the revision is
        not written down, and the next attempt trips over it. It is a note because nobody has to wait for it, and what
        was built concurrently is often needed by the next statement.""",
        """
        def upgrade() -> None:  # and nothing else in this revision
            with op.get_context().autocommit_block():
                op.create_index("ix_a_b", "a", ["b"], postgresql_concurrently=True)
        """,
    ),
    Rule(
        "concurrently-in-transaction",
        "source",
        _ERROR,
        "CONCURRENTLY outside an autocommit block",
        "PostgreSQL refuses to build or drop an index concurrently inside a transaction.",
        """
        with op.get_context().autocommit_block():
            op.create_index("ix_a_b", "a", ["b"], postgresql_concurrently=True)
        """,
    ),
    Rule(
        "dialect-only",
        "source",
        _WARNING,
        "a statement that only one backend understands stands without a guard",
        """The project runs on both. It is a warning because it is read from the text; playing it on both backends
        decides whether it fails.""",
        """
        if op.get_context().dialect.name == "postgresql":
            op.execute("CREATE EXTENSION pg_trgm")

        with op.batch_alter_table("recipe") as batch:  # SQLite has no ALTER COLUMN
            batch.alter_column("name", type_=sa.String(120))
        """,
    ),
    Rule(
        "dead-branch",
        "source",
        _WARNING,
        "a branch for one dialect that no backend has executed",
        """Nobody has seen it work. For a dialect that this workflow does not play, such as mysql, it is a note; a name
        that no dialect has, such as postgres, is never true.""",
        'if op.get_context().dialect.name == "postgresql": ...',
    ),
    Rule(
        "message-too-short",
        "source",
        _NOTE,
        "the title of a revision says too little",
        "It is the file's name and all that the history shows. Two words or more say what it does.",
        '"""Add user table."""',
    ),
    Rule(
        "schema-and-data",
        "source",
        _NOTE,
        "a revision changes a table's structure and its rows in one transaction",
        """The lock of the structure lasts until the last row is written. On a table that `large_tables` names it is a
        warning.""",
        """
        # 014: the column    015: the rows, in batches    016: NOT NULL
        with op.get_context().autocommit_block():
            while op.get_bind().execute(batch_of_a_thousand).rowcount: ...
        """,
    ),
)
