"""What to write where a revision fails: read from the message of the server, of Alembic or of Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.errors import RevisionFailedError
from dormatory.recording.leg import Direction

if TYPE_CHECKING:
    from dormatory.recording.leg import Failure

_NAME = r"""["'`]?(?P<name>[\w.$]+)["'`]?"""
_OBJECT = rf"(?:relation|table|index|view|constraint) {_NAME}"
_GUARD = "guard it with op.get_context().dialect.name"

# Parts of messages, and what to write, where the downgrade left behind what the second upgrade makes again.
_LEFT_BEHIND: tuple[tuple[str, str], ...] = (
    (rf"type {_NAME} already exists", 'the downgrade leaves it behind: op.execute("DROP TYPE {name}") at its end'),
    (
        r'column "(?P<name>\w+)" of relation "(?P<table>\w+)" already exists',
        'the downgrade leaves it behind: op.drop_column("{table}", "{name}")',
    ),
    (rf"duplicate column name: {_NAME}", "the downgrade leaves the column {name} behind: drop it there"),
    (rf"{_OBJECT} already exists", "the downgrade leaves {name} behind: drop it there"),
)
_HINTS: tuple[tuple[str, str], ...] = (
    (
        rf"type {_NAME} already exists",
        'an earlier revision creates it: postgresql.ENUM(..., name="{name}", create_type=False) here',
    ),
    (
        rf"{_OBJECT} already exists",
        "an earlier revision, the baseline, or a live model creates {name}, too: leave one of the two out",
    ),
    (
        rf"(?:relation|table|index|view|constraint|type|column) {_NAME}.* does not exist",
        "nothing is called {name} at this point: use the name that the database has there",
    ),
    (rf"no such (?:table|column|index|view): {_NAME}", "nothing is called {name} at this point of the history"),
    (
        rf"cannot drop [a-z ]+ {_NAME}.* because other objects depend on it",
        "drop first what depends on {name}: foreign keys, views, defaults or columns of other tables",
    ),
    (
        r"No support for ALTER of constraints in SQLite",
        'SQLite has no such ALTER: do it in: with op.batch_alter_table("...") as batch:',
    ),
    (
        r'near "(?:ALTER|CONSTRAINT|DROP|ADD|MODIFY|TYPE)": syntax error',
        f"SQLite has no such ALTER: do it in batch_alter_table, or {_GUARD}",
    ),
    (
        r"Cannot add a NOT NULL column with default value NULL",
        "give the column a server_default, or add it nullable, fill it, and make it NOT NULL then",
    ),
    (
        r'column "(?P<name>\w+)" cannot be cast automatically to type (?P<type>[\w ]+)',
        'say how to convert it: postgresql_using="{name}::{type}"',
    ),
    (
        r'default for column "(?P<name>\w+)" cannot be cast automatically',
        "drop the default of {name} first (server_default=None), and set the new one after the new type",
    ),
    (
        r"cannot (?:run|be executed) inside a transaction block",
        "run it in: with op.get_context().autocommit_block():, alone in its revision",
    ),
    (
        r'unsafe use of new value "(?P<name>[^"]*)"',
        "use the label {name} in the next revision, which has a transaction of its own",
    ),
    (
        r'extension "[^"]*" (?:is not available|must be installed)|could not open extension control file',
        "install it for the PostgreSQL that plays the history, or set DORMATORY_POSTGRES_BIN to one that has it",
    ),
    (r"No module named '(?P<name>[\w.]+)'", "install what has the module {name}, or correct the import"),
    (
        r"no such function: \w+|function [\w.]+\(.*\) does not exist",
        f"this kind of database has no such function: write it otherwise, or {_GUARD}",
    ),
    (r"has no attribute '\w+'|name '\w+' is not defined", "correct the name in that line"),
)


def failure_hint(failure: Failure, direction: Direction) -> str:
    """Return what to write instead, in the names of the failure; "" if its message shows no way."""
    for pattern, hint in (*(_LEFT_BEHIND if direction is Direction.SECOND_UPGRADE else ()), *_HINTS):
        if found := re.search(pattern, failure.why):
            return hint.format_map(found.groupdict())
    usual = {RevisionFailedError.usual_fix, RevisionFailedError.partly_kept_fix}
    return "" if failure.fix in usual else failure.fix
