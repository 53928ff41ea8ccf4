"""Errors of `in_batches`: a loop that cannot run. They are shown as the error of the revision, at its line."""

from __future__ import annotations


class BatchError(Exception):
    """A loop over batches cannot run; the text says what, why and what to do."""

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        super().__init__(f"{what} ({why}); {fix}")


class MissingTableError(BatchError):
    """The database has no such table."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"in_batches finds no table {table}",
            why="this revision meets a database without it",
            fix="name a table that an earlier revision creates",
        )


class MissingPrimaryKeyError(BatchError):
    """The table has no primary key."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"in_batches cannot go through {table}",
            why="it has no primary key, by which the rows of a batch are found",
            fix="give it one in an earlier revision, or write all rows with one statement, without in_batches",
        )


class NullKeyError(BatchError):
    """Rows of the table have NULL in their primary key, which SQLite allows."""

    def __init__(self, table: str, columns: str) -> None:
        super().__init__(
            f"in_batches would leave out rows of {table}",
            why=f"they have NULL in their primary key, {columns}",
            fix="give them keys in an earlier revision",
        )


class CommitImpossibleError(BatchError):
    """The batches cannot be committed one by one: the transaction is not Alembic's own."""

    def __init__(self, *, is_in_block: bool) -> None:
        if is_in_block:
            why = "they stand in an autocommit_block() already"
            fix = "take the loop out of the block: in_batches begins and commits each batch itself"
        else:
            why = "the transaction is not Alembic's: env.py, or who gave the connection, has begun it"
            fix = "let Alembic begin it: in env.py, with context.begin_transaction(): after connect(), and no begin()"
        super().__init__("in_batches cannot commit its batches", why=why, fix=fix)


class OfflineBatchesError(BatchError):
    """Alembic writes SQL and has no database."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"in_batches cannot write SQL for {table}",
            why="which batches there are depends on the rows, and --sql has no database",
            fix="upgrade the database itself across this revision; --sql can write those before it and after it",
        )


class OutsideRevisionError(BatchError):
    """in_batches was called from code that is not part of a revision."""

    def __init__(self) -> None:
        super().__init__(
            "in_batches does not know whose position it should keep",
            why="it was not called from upgrade() or downgrade() of a revision",
            fix="call it there, or with resume=False",
        )


class LoopTakenOverError(BatchError):
    """Another run of the same revision has finished the loop meanwhile."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"the batches of {table} are no longer this command's",
            why="another run of the same revision has finished it meanwhile",
            fix="see where the database is with: inv db.status",
        )
