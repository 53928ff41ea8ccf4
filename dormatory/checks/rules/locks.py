"""The rules of locks that a revision takes on PostgreSQL, and of SQL written by hand."""

from __future__ import annotations

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule

_WARNING, _NOTE = Severity.WARNING, Severity.NOTE


def _lock(name: str, meaning: str, why: str, recipe: str) -> Rule:
    return Rule(name, "locks", _WARNING, meaning, why, recipe)


_CONCURRENTLY = """
with op.get_context().autocommit_block():  # alone in its revision
    op.create_index("ix_a_b", "a", ["b"], postgresql_concurrently=True)
"""
_NOT_VALID = """
with op.get_context().autocommit_block():
    op.create_foreign_key("fk_a_b", "a", "b", ["b_id"], ["id"], postgresql_not_valid=True)
    op.execute("ALTER TABLE a VALIDATE CONSTRAINT fk_a_b")
"""
_THREE_RELEASES = """
# release 1: add the new one, write both     release 2: read the new one
# release 3, when no program uses it any more:
op.drop_column("employee", "salary")
"""

RULES = (
    _lock(
        "index-not-concurrent",
        "an index is built on an existing table without CONCURRENTLY",
        "Nobody can write to the table until the index is built.",
        _CONCURRENTLY,
    ),
    _lock(
        "index-drop-not-concurrent",
        "an index is dropped without CONCURRENTLY",
        "It takes ACCESS EXCLUSIVE: while it waits for a long query, every reader queues behind it.",
        """
        with op.get_context().autocommit_block():
            op.drop_index("ix_a_b", table_name="a", postgresql_concurrently=True)
        """,
    ),
    _lock(
        "constraint-validated-under-lock",
        "a foreign key or CHECK is validated while its lock is held",
        "All rows are read under the lock. A foreign key locks both tables against writes.",
        _NOT_VALID,
    ),
    _lock(
        "not-null-scan",
        "SET NOT NULL reads the whole table under ACCESS EXCLUSIVE",
        "Nobody can read or write meanwhile. With a validated CHECK the scan is left out.",
        """
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE a ADD CONSTRAINT ck_a_b CHECK (b IS NOT NULL) NOT VALID")
            op.execute("ALTER TABLE a VALIDATE CONSTRAINT ck_a_b")
            op.execute("ALTER TABLE a ALTER COLUMN b SET NOT NULL")
            op.execute("ALTER TABLE a DROP CONSTRAINT ck_a_b")
        """,
    ),
    _lock(
        "table-rewrite",
        "a table is written anew under ACCESS EXCLUSIVE",
        """A change of type, a volatile default, a stored generated column, an identity or a serial copies every row,
        and nobody can read meanwhile.""",
        """
        op.add_column("a", sa.Column("b_new", sa.BigInteger(), nullable=True))
        # then the rows in batches, then the new name, each in a revision of its own
        """,
    ),
    _lock(
        "constraint-builds-index",
        "a unique, primary-key or EXCLUDE constraint builds its own index under ACCESS EXCLUSIVE",
        "Nobody can read or write until the index is built.",
        """
        with op.get_context().autocommit_block():
            op.create_index("uq_a_b", "a", ["b"], unique=True, postgresql_concurrently=True)
            op.execute("ALTER TABLE a ADD CONSTRAINT uq_a_b UNIQUE USING INDEX uq_a_b")
        """,
    ),
    _lock(
        "column-in-use-dropped",
        "a column is dropped that the models of the base reference still use",
        "Until the last old program is gone, each of its queries fails.",
        _THREE_RELEASES,
    ),
    _lock(
        "table-in-use-dropped",
        "a table is dropped that the models of the base reference still use",
        "Until the last old program is gone, each of its queries fails.",
        'op.drop_table("employee")  # one release after the last program that uses it',
    ),
    _lock(
        "renamed-in-use",
        "a table, column or label is renamed that the models of the base reference still use",
        "Old programs ask for the old name, new ones for the new name, and both run during a deployment.",
        _THREE_RELEASES,
    ),
    _lock(
        "required-column",
        "a required column without a default is added to an existing table",
        "Programs that do not know it yet cannot insert any more.",
        """
        op.add_column("guest", sa.Column("level", sa.Integer(), server_default="0", nullable=False))
        """,
    ),
    _lock(
        "no-lock-timeout",
        "ACCESS EXCLUSIVE is asked for without a lock_timeout",
        """It may wait for ever behind one long query, and everybody else waits behind it: an outage by a statement
        that takes a millisecond.""",
        """
        op.execute("SET LOCAL lock_timeout = '5s'")
        """,
    ),
    _lock(
        "statements-after-lock",
        "more statements follow ACCESS EXCLUSIVE in the same transaction",
        "The lock is held until all of them are done.",
        "# the statement with the lock comes last, or has a revision of its own",
    ),
    _lock(
        "backfill-with-ddl",
        "rows are written in the transaction that changed the structure",
        "The lock of the structure is held until the last row is written.",
        """
        # 014: the column    015: the rows, in batches    016: NOT NULL
        with op.get_context().autocommit_block():
            while op.get_bind().execute(batch_of_a_thousand).rowcount: ...
        """,
    ),
    _lock(
        "identifier-too-long",
        "a name has more than 63 bytes",
        "PostgreSQL cuts it off, and two names may become one.",
        'op.f("ix_attributes_value")',
    ),
    _lock(
        "squawk",
        "squawk reports a statement",
        "It reads the SQL that was executed; https://squawkhq.com/docs/rules has its reasons.",
        "# the message names squawk's rule and its remedy",
    ),
    Rule(
        "sqlfluff",
        "sql",
        _WARNING,
        "sqlfluff reports SQL written by hand",
        "https://docs.sqlfluff.com has the reasons; [tool.sqlfluff] of pyproject.toml chooses the rules.",
        "# the message names sqlfluff's rule",
    ),
    Rule(
        "sql-unparsable",
        "sql",
        _NOTE,
        "sqlfluff cannot read SQL written by hand",
        "Its grammar lacks something, or the statement is put together while it runs. It was not judged.",
        "op.execute(sa.text(...))  # one statement, written out",
    ),
)
