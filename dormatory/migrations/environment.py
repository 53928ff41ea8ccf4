"""What every env.py needs: the engine, its transactions, and what is checked before and after.

`alembic/env.py` calls run(); so plain `alembic upgrade head` behaves exactly as `inv db.upgrade` does.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import wraps
from logging.config import fileConfig
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine

from dormatory.database.backend import backend_for, backend_named
from dormatory.database.process import calling_on_signals
from dormatory.errors import MissingDatabaseError, NotAppliedError, TransactionEndedError
from dormatory.migrations import autogenerate, guard, numbering
from dormatory.migrations.failures import explained
from dormatory.migrations.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection, MetaData

    from dormatory.database.contract import Backend
    from dormatory.database.url import Target


def run(metadata: MetaData) -> None:
    """Do what the Alembic command asked for, on the database that DATABASE_URL names.

    A connection in `config.attributes["connection"]` is used as it is; who gives one is responsible for it.
    Raises CommandError, which Alembic's command line prints in one line; its cause is the DormatoryError.
    """
    config = context.config
    project = Project.of(config)
    if hasattr(config.cmd_opts, "cmd") and config.file_config.has_section("loggers"):  # the command line's own
        fileConfig(project.ini, disable_existing_loggers=False)  # true would mute the application's loggers
    given = config.attributes.get("connection")
    if given is not None:
        _migrate(given, metadata)
        return
    target: Target | None = None
    try:
        target = project.target()
        guard.refuse_broken(context.script, project)
        if context.is_offline_mode():
            _offline(target, metadata)
        elif _needs_no_database():
            with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
                _migrate(connection, metadata)
        else:
            _online(target, metadata)
    except Exception as error:
        known = explained(error, target=target, project=project)
        if known is None:
            raise
        raise CommandError(str(known)) from known


def _online(target: Target, metadata: MetaData) -> None:
    """Run on the target, then let a second connection confirm what the first believes to have done."""
    backend = backend_for(target)
    writing = _is_writing()
    if not writing and not backend.exists(target):
        raise MissingDatabaseError(str(target))
    applied: dict[str, set[str]] = {}
    alone = backend.exclusive(target, "alembic_version") if writing else nullcontext()
    with (
        alone,
        backend.engine(target, writing=writing).connect() as connection,
        calling_on_signals(lambda: backend.cancel(connection)),
    ):
        _migrate(
            connection,
            metadata,
            dont_mutate=not writing,
            on_version_apply=lambda heads, **_: applied.update(heads=set(heads)),
            wrap=lambda steps: _guarded(steps, target),
        )
    if writing:
        with backend.engine(target, writing=False).connect() as second:
            _confirm(second, applied.get("heads"))
            backend.refuse_invalid(second)


def _migrate(
    connection: Connection,
    metadata: MetaData,
    *,
    wrap: Callable[[Any], Any] | None = None,
    **options: Any,
) -> None:
    backend = backend_named(connection.dialect.name)
    # Nothing may be executed before this: what SQLAlchemy began by itself, Alembic takes for the caller's own
    # transaction, and leaves it uncommitted.
    context.configure(
        connection=connection,
        transactional_ddl=True,
        transaction_per_migration=backend.transaction_per_migration,
        **_options(metadata, backend),
        **options,
    )
    migration_context = context.get_context()
    # The only place where a step can be refused before its first statement, or watched until its last.
    steps_of: Any = migration_context._migrations_fn  # noqa: SLF001
    steps = _whole(steps_of)
    migration_context._migrations_fn = wrap(steps) if wrap else steps  # noqa: SLF001
    with context.begin_transaction():
        if migration_context.opts.get("dont_mutate"):  # who only looks is shown a damaged database, too
            context.run_migrations()
            return
        backend.refuse_remains(connection)
        context.run_migrations()
        backend.refuse_damage(connection)


def _offline(target: Target, metadata: MetaData) -> None:
    """Write the SQL instead of running it; a revision that asks the database cannot be written."""
    backend = backend_for(target)
    context.configure(
        url=target.url,
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
        "process_revision_directives": numbering.process,
        "include_object": autogenerate.include_object,
        "render_item": autogenerate.render_item,
    }


def _guarded(steps_of: Callable[..., Iterable[Any]], target: Target) -> Callable[..., Iterator[Any]]:
    """Refuse what must not happen before the first statement of the step that would do it."""

    def steps(heads: tuple[str, ...], migration_context: MigrationContext) -> Iterator[Any]:
        guard.refuse_foreign(context.script, heads, str(target))
        for step in steps_of(heads, migration_context):
            if isinstance(step, RevisionStep) and step.is_downgrade:
                confirmed = context.get_x_argument(as_dictionary=True).get("confirm")
                guard.refuse_production(target, action="downgrade", confirmed=confirmed)
            yield step

    return steps


def _whole(steps_of: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[Any]]:
    """Refuse a revision that ends the transaction it runs in before it is written down as applied."""

    def steps(heads: tuple[str, ...], migration_context: MigrationContext) -> Iterator[Any]:
        for step in steps_of(heads, migration_context):
            if isinstance(step, RevisionStep):
                step.migration_fn = _watched(step, migration_context)
            yield step

    return steps


def _watched(step: RevisionStep, migration_context: MigrationContext) -> Callable[..., None]:
    migrate, connection = step.migration_fn, migration_context.connection

    @wraps(migrate)  # Alembic's log tells the direction by its name
    def run(**arguments: Any) -> None:
        had_one = connection is not None and connection.in_transaction()
        migrate(**arguments)
        if had_one and connection is not None and not connection.in_transaction():
            raise TransactionEndedError(str(step.revision.revision))

    return run


def _confirm(connection: Connection, expected: set[str] | None) -> None:
    """Raise NotAppliedError when the database is not where the run said it went; None expects nothing."""
    opts = context.get_context().opts
    names = {key: opts[key] for key in ("version_table", "version_table_schema") if key in opts}
    found = set(MigrationContext.configure(connection, opts=names).get_current_heads())
    if expected is not None and found != expected:
        raise NotAppliedError(sorted(expected), sorted(found))


def _is_writing() -> bool:
    """Say whether the command moves the database: upgrade, downgrade and stamp name a destination."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _needs_no_database() -> bool:
    """Say whether env.py runs only because `revision_environment` makes it run: plain `revision`, `history`."""
    options: Any = context.config.cmd_opts
    name = options.cmd[0].__name__ if hasattr(options, "cmd") else "revision"
    if name == "history":
        return not options.indicate_current and "current" not in (options.rev_range or "")
    return name == "revision" and getattr(options, "autogenerate", None) is False
