"""What an env.py needs: the engine, its transactions, and the checks before and after a migration.

`alembic/env.py` calls run(), so plain `alembic upgrade head` behaves exactly as `inv db.upgrade` does.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from logging.config import fileConfig
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.runtime.migration import RevisionStep
from alembic.util import CommandError, to_tuple
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from dormatory.backends.missing_database import missing_database
from dormatory.backends.queries import VERSION_TABLE, VERSIONS_QUERY
from dormatory.backends.registry import backend_by_name, backend_for
from dormatory.errors import DatabaseFailedError
from dormatory.project.checksum_update import add_checksums_with
from dormatory.project.project import TARGET_ATTRIBUTE, Project
from dormatory.runtime import autogenerate, guards, numbering, sqlite_batch
from dormatory.runtime import quoted_defaults as _quoted_defaults  # noqa: F401  # importing it makes Alembic use it
from dormatory.runtime.explain import explain_error
from dormatory.runtime.lock_retry import with_lock_retries
from dormatory.runtime.progress import Notice
from dormatory.system.signals import call_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection, MetaData

    from dormatory.backends.base import Backend, BlockerMonitor, LockTimeout
    from dormatory.backends.url import Target
    from dormatory.project.settings import Settings
    from dormatory.runtime.numbering import CompleteScript
    from dormatory.runtime.progress import Event


def run(metadata: MetaData, *, complete: CompleteScript | None = None) -> None:
    """Run the Alembic command on the database that DATABASE_URL names.

    `complete` (dormatory.authoring.hook has it) lets `alembic revision --autogenerate` write what the task writes.

    A connection in `config.attributes["connection"]` is used as it is; its owner is responsible for it.
    Raises CommandError, which Alembic's command line prints in one line; its cause is the DormatoryError.
    """
    config = context.config
    config.attributes[numbering.COMPLETE_ATTRIBUTE] = complete
    project = Project.from_config(config)
    if hasattr(config.cmd_opts, "cmd") and config.file_config.has_section("loggers"):  # only for Alembic's command line
        fileConfig(project.ini, disable_existing_loggers=False)  # true would mute the application's loggers
    given = config.attributes.get("connection")
    if given is not None:
        _migrate(given, metadata, project.settings)
        return
    add_checksums_with(context.script, project)
    target: Target | None = None
    try:
        target = config.attributes.get(TARGET_ATTRIBUTE) or project.target()
        guards.refuse_broken_history(context.script, project)
        if context.is_offline_mode():
            _run_offline(target, metadata)
        elif _needs_no_database():
            with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
                _migrate(connection, metadata, project.settings)
        else:
            _run_online(target, metadata, project.settings)
    except Exception as error:
        known = explain_error(error, target=target, project=project)
        if known is None:
            raise
        raise CommandError(str(known)) from known


def _run_online(target: Target, metadata: MetaData, settings: Settings) -> None:
    """Run on the target, then confirm on a second connection that the work of the first is committed.

    If there is nothing to do, no lock is taken and no other session is waited for.
    """
    backend, wait = backend_for(target), settings.lock_wait
    is_moving = _is_moving()
    if not is_moving and not backend.exists(target):
        raise missing_database(target)
    is_writing = is_moving and not _is_at_destination(target, backend)
    applied: dict[str, set[str]] = {}
    with (
        backend.upgrade_lock(target, VERSION_TABLE, wait_seconds=wait)
        if is_writing
        else nullcontext() as blocker_monitor,
        backend.engine(target, writing=is_writing, wait_seconds=wait).connect() as connection,
        call_on_signals(lambda: backend.cancel(connection)),
    ):
        if blocker_monitor:
            blocker_monitor.watch_stalls(connection)
        _migrate(
            connection,
            metadata,
            settings,
            blocker_monitor=blocker_monitor,
            is_at_destination=is_moving and not is_writing,
            dont_mutate=not is_moving,
            on_version_apply=lambda heads, **_: applied.update(heads=set(heads)),
            wrap=lambda steps: _guard_steps(steps, target, blocker_monitor),
        )
    if is_moving:
        with backend.engine(target, writing=False).connect() as second:
            if "heads" in applied:
                guards.refuse_other_heads(second, applied["heads"], context.get_context().opts)
            backend.refuse_invalid_objects(second)


def _migrate(
    connection: Connection,
    metadata: MetaData,
    settings: Settings,
    *,
    blocker_monitor: BlockerMonitor | None = None,
    is_at_destination: bool = False,
    wrap: Callable[[Any], Any] | None = None,
    **options: Any,
) -> None:
    backend = backend_by_name(connection.dialect.name)
    # Nothing may be executed before this: Alembic would take a transaction that SQLAlchemy began by itself for the
    # caller's, and leave it uncommitted.
    context.configure(
        connection=connection,
        transactional_ddl=True,
        transaction_per_migration=backend.transaction_per_migration,
        **_options(metadata, backend),
        **options,
    )
    migration_context = context.get_context()
    if migration_context.opts.get("dont_mutate"):  # read-only commands work on a damaged database as well
        with context.begin_transaction():
            context.run_migrations()
        return
    with backend.limit_lock_waits(connection, settings.lock_timeout, blocker_monitor) as lock_timeout:
        # The only place where a step can be refused before its first statement, or watched until its last.
        steps_of: Any = migration_context._migrations_fn  # noqa: SLF001
        steps = _wrap_steps(steps_of, lock_timeout, settings.lock_retries if blocker_monitor else None)
        migration_context._migrations_fn = wrap(steps) if wrap else steps  # noqa: SLF001
        with context.begin_transaction():
            backend.refuse_leftovers(connection)
            if not is_at_destination:
                context.run_migrations()
            backend.refuse_dangling_rows(connection)


def _run_offline(target: Target, metadata: MetaData) -> None:
    """Write the SQL instead of running it; a revision that queries the database cannot be written."""
    backend = backend_for(target)
    context.configure(
        url=target.sqlalchemy_url(),
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        transactional_ddl=True,
        transaction_per_migration=backend.transaction_per_migration,
        **_options(metadata, backend),
    )
    with context.begin_transaction():
        context.run_migrations()


def _options(metadata: MetaData, backend: Backend) -> dict[str, Any]:
    return {
        "target_metadata": metadata,
        "render_as_batch": True,  # revisions must run on both backends, whichever they were generated on
        "compare_server_default": backend.compares_defaults,
        "process_revision_directives": numbering.process_revision_directives,
        "include_object": autogenerate.include_object,
        "render_item": autogenerate.render_item,
        sqlite_batch.COPIES_NO_GENERATED_VALUES: True,
    }


def _guard_steps(
    steps_of: Callable[..., Iterable[Any]], target: Target, lock: BlockerMonitor | None
) -> Callable[..., Iterator[Any]]:
    """Before each step, refuse unknown revisions and a lost lock, and secure the first downgrade."""

    def steps(heads: tuple[str, ...], migration_context: MigrationContext) -> Iterator[Any]:
        guards.refuse_unknown_revisions(context.script, heads, str(target))
        is_secured = False
        for step in steps_of(heads, migration_context):
            if isinstance(step, RevisionStep) and step.is_downgrade and not is_secured:
                _secure_downgrade(target, "+".join(heads))
                is_secured = True
            if lock:
                lock.refuse_lost_lock()
            yield step

    return steps


def _secure_downgrade(target: Target, revision: str) -> None:
    """Check and back up before a downgrade by plain Alembic, as the task does before its own."""
    from dormatory.safety import backups, safeguard  # noqa: PLC0415  # an upgrade needs none

    if context.config.attributes.get(safeguard.SECURED_ATTRIBUTE):
        return
    confirmed = context.get_x_argument(as_dictionary=True).get("confirm")
    summary = safeguard.authorize(target, action="downgrade", confirmed=confirmed)
    others = max(0, summary.sessions - backend_for(target).own_session_count)
    summary, project = replace(summary, sessions=others), Project.from_config(context.config)
    if file := safeguard.secure("downgrade", project, target, summary, _print_notice, revision=revision):
        backups.settle_backup(project, target, file, is_needed=True)


def _print_notice(event: Event) -> None:
    """Print what the user of plain Alembic must see before rows are destroyed."""
    if isinstance(event, Notice):
        sys.stderr.write(f"{event.text}\n")
        sys.stderr.flush()


def _wrap_steps(
    steps_of: Callable[..., Iterable[Any]], lock_timeout: LockTimeout | None, retries: int | None
) -> Callable[..., Iterator[Any]]:
    """Limit how long a revision waits for locks, and refuse one that ends its transaction.

    With `retries` it is run again; without, the connection belongs to the caller, who decides.
    """

    def steps(heads: tuple[str, ...], migration_context: MigrationContext) -> Iterator[Any]:
        for step in steps_of(heads, migration_context):
            if isinstance(step, RevisionStep):
                if lock_timeout:
                    step.migration_fn = with_lock_retries(step, migration_context, lock_timeout, retries)
                step.migration_fn = guards.with_transaction_check(step, migration_context)
            yield step

    return steps


def _is_at_destination(target: Target, backend: Backend) -> bool:
    """Return whether the database is already at the command's destination, without waiting for other sessions.

    A database that cannot be read now counts as not there: it is read again under the lock, where errors are reported.
    """
    destination: Any = context.get_revision_argument()
    if getattr(context.config.cmd_opts, "purge", False):  # `alembic stamp` clears the table before it writes
        return False
    try:
        with backend.engine(target, writing=False, wait_seconds=0).connect() as connection:
            is_dedicated = backend.has_dedicated_session(connection)
            found = set(connection.exec_driver_sql(VERSIONS_QUERY).scalars())
            return is_dedicated and bool(found) and found == set(to_tuple(destination) or ())
    except (DBAPIError, DatabaseFailedError):
        return False


def _is_moving() -> bool:
    """Return whether the command moves the database: upgrade, downgrade and stamp have a destination."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _needs_no_database() -> bool:
    """Return whether env.py runs only due to `revision_environment`: for plain `revision`, `merge`, `history`."""
    options: Any = context.config.cmd_opts
    name = options.cmd[0].__name__ if hasattr(options, "cmd") else "revision"
    if name == "history":
        return not options.indicate_current and "current" not in (options.rev_range or "")
    return name == "merge" or (name == "revision" and getattr(options, "autogenerate", None) is False)
