"""What is refused around the steps of a run: a broken history, unknown revisions, ended transactions, lost entries."""

from __future__ import annotations

import warnings
from contextlib import contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import MigrationContext

from dormatory.errors import (
    MultipleHeadsError,
    OverlappingRevisionsError,
    RevisionNotInCheckoutError,
    TransactionEndedError,
    UnexpectedRevisionError,
    UnknownRevisionError,
    WrongDirectionError,
)
from dormatory.project.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from alembic.runtime.migration import RevisionStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from dormatory.project.project import Project

_KEPT_WORK = "what the revision committed before this error is kept"


def refuse_broken_history(script: ScriptDirectory, project: Project) -> None:
    """Load every revision; raise BrokenHistoryError for what Alembic only warns of, or fails on later.

    If an id is used twice, Alembic drops one of the two files; a parent that no file has is a KeyError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            list(script.walk_revisions())
    except (UserWarning, KeyError):
        History.read(project)  # raises the error with the names of the files
        list(script.walk_revisions())  # the warning was a revision's own


def refuse_unknown_revisions(script: ScriptDirectory, heads: Iterable[str], target_name: str) -> None:
    """Raise RevisionNotInCheckoutError if a database is at a revision that no file has."""
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := sorted(set(heads) - known):
        raise RevisionNotInCheckoutError(target_name, unknown)


def refuse_overlapping_revisions(project: Project, heads: Sequence[str], target_name: str) -> None:
    """Raise OverlappingRevisionsError if the version table names a revision and one that builds on it."""
    if len(heads) > 1 and (overlapping := History.read(project).overlapping(heads)):
        raise OverlappingRevisionsError(target_name, overlapping, sorted(set(heads) - set(overlapping)))


def refuse_passed_revision(project: Project, to: str, heads: Sequence[str]) -> None:
    """Raise WrongDirectionError if a database at `heads` has passed a revision: an upgrade to it does nothing."""
    history = History.read(project)
    passed = _revision_named(history, to)
    if to == "base" or (passed and any(passed in history.ancestors(head) for head in heads)):
        raise WrongDirectionError("upgrade", to, heads)


def refuse_unreached_revision(project: Project, to: str, heads: Sequence[str]) -> None:
    """Raise WrongDirectionError if a database at `heads` has not reached a revision."""
    history = History.read(project)
    ahead = _revision_named(history, to)
    if any(revision.id == ahead for revision in history.pending(heads)):
        raise WrongDirectionError("downgrade", to, heads)


def _revision_named(history: History, name: str) -> str:
    """Return the id of the revision that a name means; "" for what only Alembic reads, such as `+1` or `a@head`."""
    with suppress(UnknownRevisionError, MultipleHeadsError):
        return history.get(name).id
    return ""


def with_transaction_check(step: RevisionStep, context: MigrationContext) -> Callable[..., None]:
    """Return the function of a step that raises TransactionEndedError if the step ends its transaction itself.

    That transaction is Alembic's own, or the one in which the caller gave the connection.
    """
    migrate, connection = step.migration_fn, context.connection

    @wraps(migrate)  # Alembic's log reads the direction from its name
    def run(**arguments: Any) -> None:
        had_transaction = connection is not None and connection.in_transaction()
        with mark_kept_work(context):
            migrate(**arguments)
        transaction = context._transaction  # noqa: SLF001  # a new one after autocommit_block()
        if transaction is not None:
            is_ended = not transaction.is_active
        else:
            is_ended = had_transaction and connection is not None and not connection.in_transaction()
        if is_ended:
            raise TransactionEndedError(str(step.revision.revision))

    return run


@contextmanager
def mark_kept_work(context: MigrationContext) -> Iterator[None]:
    """Mark an error of a revision that may have committed something before: `has_kept_work` returns true for it.

    Without a transaction around it, as with SQLite's driver and most env.py files, each change of the schema is kept.
    """
    before = context._transaction  # noqa: SLF001  # a new one after autocommit_block()
    options = context.connection.get_execution_options() if context.connection is not None else {}
    is_unprotected = not context.impl.transactional_ddl or options.get("isolation_level") == "AUTOCOMMIT"
    try:
        yield
    except Exception as error:
        if is_unprotected or (before is not None and context._transaction is not before):  # noqa: SLF001
            error.add_note(_KEPT_WORK)
        raise


def has_kept_work(error: BaseException) -> bool:
    """Return whether the revision that an error ended had committed something before."""
    return _KEPT_WORK in getattr(error, "__notes__", ())


def refuse_other_heads(connection: Connection, expected: Collection[str], options: Mapping[str, Any]) -> None:
    """Raise UnexpectedRevisionError if a second connection does not find the heads that a run has written.

    `options` are those with which env.py configured Alembic: they may name another version table.
    """
    names = {key: options[key] for key in ("version_table", "version_table_schema") if key in options}
    found = set(MigrationContext.configure(connection, opts=names).get_current_heads())
    if found != set(expected):
        raise UnexpectedRevisionError(sorted(expected), sorted(found))
