"""Runs an env.py that we did not write on the target, and verifies that it connected there and nowhere else."""

from __future__ import annotations

import contextlib
import re
import traceback
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection
from sqlalchemy.exc import ArgumentError

from dormatory.backends.registry import backend_for
from dormatory.errors import EnvironmentFailedError, SeveralDatabasesError, WrongDatabaseError
from dormatory.errors.location import Location
from dormatory.runtime import guards, step_guard
from dormatory.runtime.env_call import run_env

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from dormatory.backends.base import BlockerMonitor
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.env_passes import EnvPasses

_PACKAGE_DIRECTORY = f"{Path(__file__).resolve().parents[1]}/"


class _ConfigureInterceptor:
    """Replaces Alembic's configure(): checks where env.py connected before Alembic does anything there."""

    def __init__(
        self,
        environment: EnvironmentContext,
        passes: EnvPasses,
        *,
        transaction_per_step: bool,
        lock_version_table: Callable[[str], None],
    ) -> None:
        self._environment, self._configure = environment, environment.configure
        self._passes, self._transaction_per_step = passes, transaction_per_step
        self._lock_version_table = lock_version_table
        self.is_configured = False
        environment.configure = self.configure  # type: ignore[method-assign,assignment]  # env.py's proxy is tied to the class

    def configure(self, connection: Connection | None = None, **options: Any) -> None:
        """Refuse a connection to any other database; begin a pass."""
        if connection is not None and not self._environment.is_offline_mode():
            _refuse_other_database(connection, self._passes.target)
        self.is_configured = True
        self._passes.configure(dict(options))
        theirs = options.pop("on_version_apply", None) or ()
        options["on_version_apply"] = (
            *(theirs if isinstance(theirs, (list, tuple, set)) else (theirs,)),
            self._passes.record_heads,
        )
        if self._transaction_per_step:
            options["transaction_per_migration"] = True
        self._configure(connection, **options)
        context = self._environment.get_context()
        self._passes.attach(context)
        namespace = context.version_table_schema
        self._lock_version_table(f"{namespace}.{context.version_table}" if namespace else context.version_table)


def run_external_env(
    project: Project,
    script: ScriptDirectory,
    config: Config,
    *,
    passes: EnvPasses,
    given: Connection | None,
    steps: Callable[..., Any],
    transaction_per_step: bool,
    **options: Any,
) -> None:
    """Run env.py once with `steps`, offering its connection in every way that it may accept until one works.

    `attributes["connection"]` is a Connection; an Engine if env.py fails on a Connection; None if it fails on both.
    What env.py leaves uncommitted is committed, then a second connection confirms the heads. Without a `given`
    connection, a migration holds the upgrade lock from before the current revision is read.
    """
    if project.database_names and not project.settings.database:
        raise SeveralDatabasesError(project.ini, project.database_names)
    target = passes.target
    wait = project.settings.lock_wait
    engine = backend_for(target).engine(target, writing=True, wait_seconds=wait)
    errors: list[BaseException] = []
    fn = _record_errors(steps, errors, checks_transaction=transaction_per_step)
    with contextlib.ExitStack() as stack:
        is_migrating = given is None and not options.get("dont_mutate")
        locks: list[BlockerMonitor] = []
        lock_version_table = _version_table_lock(stack, target, wait, locks) if is_migrating else lambda _: None
        fn = _with_lock_check(fn, locks)
        connection = given if given is not None else stack.enter_context(engine.connect())
        for offer in (connection, engine, None):
            config.attributes["connection"] = offer
            with EnvironmentContext(config, script, fn=fn, as_sql=False, **options) as environment:
                interceptor = _ConfigureInterceptor(
                    environment,
                    passes,
                    transaction_per_step=transaction_per_step,
                    lock_version_table=lock_version_table,
                )
                try:
                    run_env(script.run_env, project, target, is_given=given is not None)
                except (AttributeError, TypeError, ArgumentError) as error:
                    if offer is None or interceptor.is_configured or not _is_about_connection(error):
                        raise
                    connection.rollback()
                    continue
            break
        if errors:
            raise errors[0]  # env.py caught it
        if connection.in_transaction():
            connection.commit()
        passes.confirm()


def _with_lock_check(steps_of: Callable[..., Any], locks: Sequence[BlockerMonitor]) -> Callable[..., Any]:
    """Raise LostLockError before a step if one of the locks is gone."""

    def steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
        for lock in locks:
            if context.connection:
                lock.watch_stalls(context.connection)
        for step in steps_of(heads, context):
            for lock in locks:
                lock.refuse_lost_lock()
            yield step

    return steps


def _version_table_lock(
    stack: contextlib.ExitStack, target: Target, wait_seconds: float, locks: list[BlockerMonitor]
) -> Callable[[str], None]:
    """Return a function that takes the upgrade lock of a version table, once, and holds it until the stack ends.

    It adds what it has taken to `locks`.
    """

    @cache  # env.py may configure Alembic more than once, and would wait for its own lock
    def lock_version_table(version_table: str) -> None:
        lock = backend_for(target).upgrade_lock(target, version_table, wait_seconds=wait_seconds)
        if monitor := stack.enter_context(lock):
            locks.append(monitor)

    return lock_version_table


def environment_failure(error: BaseException, project: Project, target: Target | None) -> EnvironmentFailedError | None:
    """Return an error that names the innermost line of the project's own code, for one from outside any revision.

    Return None for an error of this package, which env.py calls, or which runs between two steps: it is a bug of ours.
    """
    homes = (f"{project.script_location}/", f"{project.root}/")
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != step_guard.__file__
    ]
    text = _first_words(error)
    if isinstance(error, SyntaxError) and error.filename:  # no frame is in a file that does not parse
        frames, text = [*frames, (error.filename, error.lineno)], error.msg
    own = [frame for frame in frames if _is_own_file(frame[0], homes)]
    ours = [frame for frame in frames if frame[0].startswith(_PACKAGE_DIRECTORY)]
    last = frames[-1:]
    if project.has_our_environment:  # below it only this package runs
        last = [frame for frame in frames if frame in own or frame in ours][-1:]
    if last and last[0] in ours:
        return None
    places = own or frames
    location = Location(places[-1][0].removeprefix(homes[1]), places[-1][1] or 0) if places else None
    message = f"{type(error).__name__}: {target.mask(text) if target else text}"
    return EnvironmentFailedError(location, message)


def _first_words(error: BaseException) -> str:
    """Return the first line of an error's text, with the first field and its problem for those of pydantic."""
    first, *rest = [*(line.strip() for line in str(error).splitlines()), ""]
    if not re.fullmatch(r"\d+ validation errors? for .*", first):
        return first
    return ": ".join((first, *rest[:2])).partition(" [type=")[0]  # behind it is the value, cut in the middle


def _is_own_file(name: str, homes: Sequence[str]) -> bool:
    """Return whether a file is the project's own, and not one of a library in an environment inside of it."""
    inside = [name.removeprefix(home) for home in homes if name.startswith(home)]
    return any("-packages/" not in part for part in inside) and not name.startswith(_PACKAGE_DIRECTORY)


def _record_errors(
    steps: Callable[..., Any], errors: list[BaseException], *, checks_transaction: bool
) -> Callable[..., Iterator[Any]]:
    """Add the error of a step to `errors`: env.py may log and forget it. Ending the transaction may be one, too."""

    def recorded_steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
        for step in steps(heads, context):
            step.migration_fn = with_recording(step, context)
            yield step

    def with_recording(step: Any, context: MigrationContext) -> Callable[..., None]:
        checks = checks_transaction and not getattr(step, "is_replayed", False)
        migrate = guards.with_transaction_check(step, context) if checks else step.migration_fn

        def run(**arguments: Any) -> None:
            try:
                with guards.mark_kept_work(context):
                    migrate(**arguments)
            except BaseException as error:
                errors.append(error)
                raise

        return run

    return recorded_steps


def _is_about_connection(error: BaseException) -> bool:
    """Return whether an error says that env.py needs something else than it was given: an Engine, or nothing."""
    return re.search(r"\b(Connection|Engine|RootTransaction)\b", str(error)) is not None


def _refuse_other_database(connection: Any, target: Target) -> None:
    """Raise WrongDatabaseError unless a connection leads to the target; its transaction stays as it was."""
    if not isinstance(connection, Connection):
        kind = type(connection).__name__
        raise TypeError(f"env.py configures Alembic with a {kind}, not with a Connection")
    name = connection.dialect.name
    if name != target.backend_name:
        raise WrongDatabaseError(str(target), f"it is connected to a {name} database", other_backend=name)
    backend = backend_for(target)
    with backend.engine(target, writing=False).connect() as ours:
        expected = backend.identity(ours)
    was_in_transaction = connection.in_transaction()
    found = backend.identity(connection)
    if not was_in_transaction:
        connection.rollback()  # Alembic would leave the commit of a transaction that is open here to env.py
    if found != expected:
        raise WrongDatabaseError(str(target), f"it is connected to {found[1] or 'a database in memory'}")
