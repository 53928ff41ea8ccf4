"""Runs Alembic on a project: the one place that enters its environment, with any env.py."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from functools import cached_property
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, asbool
from sqlalchemy.exc import SAWarning

from dormatory.errors import AlembicRefusedError, DormatoryError, UnwritableFileError, WrongDatabaseError
from dormatory.project.history import History
from dormatory.project.project import TARGET_ATTRIBUTE
from dormatory.runtime import env_call, external_env, guards, numbering
from dormatory.runtime import quoted_defaults as _quoted_defaults  # noqa: F401  # importing it makes Alembic use it
from dormatory.runtime import sqlite_batch as _sqlite_batch  # noqa: F401  # as above
from dormatory.runtime.env_passes import EnvPasses
from dormatory.runtime.explain import explain_error
from dormatory.runtime.placement import DEFAULT_PLACEMENT
from dormatory.runtime.progress import Move, MoveFinished, MovesPlanned, MoveStarted, ignore_progress
from dormatory.runtime.step_guard import contain_code, guard_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.runtime.migration import MigrationContext, RevisionStep
    from sqlalchemy import Connection

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.placement import RevisionPlacement
    from dormatory.runtime.progress import Progress

# Where such an index is lost by a rebuild, the next comparison of structures says so; it is restored, or reported.
warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index", SAWarning)


class Runner:
    """Alembic on one project.

    Without a `connection` the project's own env.py decides where to connect; a given one is passed in
    `config.attributes["connection"]`. Every error becomes a DormatoryError that hides the target's secrets.
    `reached_revisions` are the heads after the latest move; empty if nothing was moved, or all was reverted. `passes`
    are those of the latest run of another project's env.py.
    """

    def __init__(
        self,
        project: Project,
        *,
        target: Target | None = None,
        connection: Connection | None = None,
        confirm: str | None = None,
    ) -> None:
        self.project, self.target = project, target
        self.reached_revisions: tuple[str, ...] = ()
        # What env.py may read: get_x_argument(), and `autogenerate` if a file is written.
        given = [f"confirm={confirm}"] if confirm else []
        self.options = argparse.Namespace(x=[*given, *project.settings.x_arguments], quiet=True)
        toml = project.ini.suffix == ".toml"
        self.config = Config(None if toml else str(project.ini), cmd_opts=self.options)
        pyproject = project.ini if toml else project.ini.with_name("pyproject.toml")
        if pyproject.is_file():
            self.config.toml_file_name = str(pyproject)
        if project.is_inside_scripts:
            self.config.set_main_option("script_location", str(project.script_location))
        if project.settings.database:
            self.config.set_main_option("databases", project.settings.database)
        self.connection = connection
        self.passes: EnvPasses | None = None
        if target is not None:
            self.config.attributes[TARGET_ATTRIBUTE] = target
        if connection is not None:
            self.config.attributes["connection"] = connection

    @cached_property
    def script(self) -> ScriptDirectory:
        """The project's revisions, loaded once, on first use."""
        if self.project.is_inside_scripts and str(self.project.root) not in sys.path:
            sys.path.insert(0, str(self.project.root))
        with contextlib.chdir(self.project.root):  # where other projects' relative paths start
            return ScriptDirectory.from_config(self.config)

    @property
    def runs_env_for_revisions(self) -> bool:
        """Whether env.py runs when a revision is written, even if nothing is compared."""
        # `pyproject.toml` may hold it, too, which Alembic reads from 1.16 on.
        option = getattr(self.config, "get_alembic_option", self.config.get_main_option)
        return asbool(option("revision_environment"))

    def check_upgrade_path(self, to: str = "head") -> None:
        """Load every revision and find the path from base to `to`, before a database is created for it.

        Nothing is checked with another project's env.py: it may have to run first, so that its revisions can import.
        """
        if not self.project.has_our_environment:
            return
        with self._explain_errors():
            guards.refuse_broken_history(self.script, self.project)
            self.script._upgrade_revs(to, ())  # type: ignore[arg-type]  # noqa: SLF001

    def upgrade(self, to: str = "head", progress: Progress = ignore_progress, *, only_pass: int | None = None) -> None:
        """Upgrade to a revision; raises WrongDirectionError if the database has passed it."""

        def plan(script: ScriptDirectory, heads: tuple[str, ...]) -> list[RevisionStep]:
            planned = script._upgrade_revs(to, cast("Any", heads))  # noqa: SLF001  # as alembic.command does
            if not planned:
                guards.refuse_passed_revision(self.project, to, heads)
            return planned

        self._move(to, progress, plan, only_pass)

    def downgrade(self, to: str, progress: Progress = ignore_progress) -> None:
        """Downgrade to a revision; raises WrongDirectionError if the database has not reached it."""

        def plan(script: ScriptDirectory, heads: tuple[str, ...]) -> list[RevisionStep]:
            guards.refuse_unreached_revision(self.project, to, heads)
            try:
                return script._downgrade_revs(to, cast("Any", heads))  # noqa: SLF001
            except CommandError as error:
                steps = int(to[1:]) if to.startswith("-") and to[1:].isdecimal() else 0
                if not steps or "Ambiguous walk" not in str(error):
                    raise
            # Below a merge Alembic does not know which branch is meant: the latest steps are, of all branches.
            return script._downgrade_revs("base", cast("Any", heads))[:steps]  # noqa: SLF001

        self._move(to, progress, plan)

    def run_steps(self, steps: Callable[[ScriptDirectory, MigrationContext], Iterator[Any]]) -> None:
        """Run the steps that a function yields, one after the other, in one run of env.py."""

        def checked_steps(_heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
            guards.refuse_broken_history(self.script, self.project)
            return steps(self.script, context)

        only = self.project.env_pass
        self._run_env(checked_steps, transaction_per_step=True, only_pass=only, destination_rev="heads")

    def stamp(self, to: str, *, purge: bool = False) -> None:
        """Write a revision into the version table without running anything; with `purge`, empty the table first."""
        self.options.purge = purge  # env.py must not take the database for stamped
        self._run_env(lambda heads, _: self.script._stamp_revs(to, heads), destination_rev=to, purge=purge)  # noqa: SLF001  # as alembic.command does

    def sql(self, span: str) -> str:
        """Return the SQL of an upgrade; `span` is a revision or `from:to`.

        Raises WrongDatabaseError if env.py writes it for another kind of database.
        """
        self.config.output_buffer = StringIO()
        start, _, to = span.rpartition(":")

        def steps(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
            if self.target is not None and context.dialect.name != self.target.backend_name:
                why = f"it writes SQL for {context.dialect.name}"
                raise WrongDatabaseError(str(self.target), why, other_backend=context.dialect.name)
            return self.script._upgrade_revs(to, cast("Any", heads))  # noqa: SLF001  # as alembic.command does

        with self._explain_errors(), self._provide_url():
            options: dict[str, Any] = {"as_sql": True, "starting_rev": start or None, "destination_rev": to}
            with EnvironmentContext(self.config, self.script, fn=steps, **options):
                self._call_env(self.script.run_env)
        return self.config.output_buffer.getvalue()

    def current(self) -> tuple[str, ...]:
        """Return the revisions of the database, from the project's version table.

        If env.py has several passes, they are those of the pass that is furthest behind.
        """
        found: list[tuple[str, ...]] = []

        def read_heads(heads: tuple[str, ...], _context: MigrationContext) -> list[Any]:
            found.append(tuple(sorted(heads)))
            return []

        self._run_env(read_heads, dont_mutate=True)
        if len(set(found)) == 1:
            return found[0]
        history = History.read(self.project)
        return max(found, key=lambda heads: len(history.pending(heads)), default=())

    def inspect(self, function: Callable[[MigrationContext], None], *, loads_revisions: bool = False) -> None:
        """Call a function with Alembic's context in each pass of env.py; nothing is migrated.

        With `loads_revisions` they are imported before, as for autogenerate: some models are imported by them alone.
        """

        def call(_heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
            if loads_revisions:
                self.script.get_revisions("heads")
            function(context)
            return []

        self._run_env(call, dont_mutate=True)

    @property
    def version_tables_seen(self) -> tuple[str, ...]:
        """The version tables of the passes in the latest run of another project's env.py."""
        return self.passes.version_tables if self.passes else ()

    def version_tables(self) -> tuple[str, ...]:
        """Return the version table of each pass of env.py, with its namespace if it has one."""
        found: list[MigrationContext] = []
        self.inspect(found.append)
        places = [(it.version_table_schema, it.version_table) for it in found]
        return tuple(dict.fromkeys(f"{namespace}.{table}" if namespace else table for namespace, table in places))

    def write_revision(
        self,
        message: str,
        *,
        autogenerate: bool,
        operations: numbering.RevisionOperations | None = None,
        placement: RevisionPlacement = DEFAULT_PLACEMENT,
    ) -> Path | None:
        """Write the next revision and return its file, or None if there was nothing to write.

        With `operations`, they take the place of what autogenerate finds.
        """
        self.options.autogenerate = autogenerate
        if operations is not None:
            self.config.attributes[numbering.OPERATIONS_ATTRIBUTE] = operations
        try:
            with self._explain_errors(), self._provide_url():
                is_completed = not autogenerate or self.project.has_our_environment
                hook = None if is_completed else numbering.complete_directives
                scripts = self._call_revision(
                    message,
                    autogenerate=autogenerate,
                    process_revision_directives=hook,
                    **placement.alembic_arguments(),
                )
        except OSError as error:
            file, reason = error.filename or self.project.script_location, error.strerror or str(error)
            if isinstance(error, FileNotFoundError):  # the template
                raise AlembicRefusedError(f"{file}: {reason}") from error
            raise UnwritableFileError(file, reason) from error
        return Path(scripts[0].path) if scripts else None

    def _call_revision(self, message: str, **options: Any) -> list[Script]:
        """Call Alembic's command, which runs env.py, and return the scripts that it has written."""
        written = list[Script | None]()

        def run() -> None:
            scripts = command.revision(self.config, message, **options)
            written.extend(scripts if isinstance(scripts, list) else [scripts])

        self._call_env(run)
        return [it for it in written if it]

    def _call_env(self, run: Callable[[], object]) -> None:
        """Call the function that runs env.py, with what that of another project needs."""
        if self.project.has_our_environment or self.target is None:
            run()
        else:
            self.script  # noqa: B018  # loading it puts prepend_sys_path before sys.path
            env_call.run_env(run, self.project, self.target, is_given=self.connection is not None)

    def _move(
        self,
        to: str,
        progress: Progress,
        plan: Callable[[ScriptDirectory, tuple[str, ...]], list[RevisionStep]],
        only_pass: int | None = None,
    ) -> None:
        target = str(self.target or "the database")

        def record_heads(*, heads: set[str], **_: Any) -> None:
            self.reached_revisions = tuple(sorted(heads))

        def steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
            context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, record_heads)
            guards.refuse_broken_history(self.script, self.project)
            guards.refuse_unknown_revisions(self.script, heads, target)
            guards.refuse_overlapping_revisions(self.project, heads, target)
            planned = [(step, _move_of(step)) for step in plan(self.script, heads)]
            tables = self.version_tables_seen
            name = f"{target}, {tables[-1]}" if tables[1:] else target
            progress(MovesPlanned(name, tuple(move for _, move in planned)))
            for step, move in planned:
                progress(MoveStarted(move))
                began = perf_counter()
                yield guard_step(step, context.connection, self.project.root)
                # Now the step is done, and committed if each one commits.
                progress(MoveFinished(move, perf_counter() - began))

        self._run_env(steps, only_pass=only_pass, destination_rev=to)

    def _run_env(
        self,
        steps: Callable[..., Any],
        *,
        transaction_per_step: bool = False,
        only_pass: int | None = None,
        **options: Any,
    ) -> None:
        """Load the scripts and run env.py once with `steps`, in each of its passes or in `only_pass`.

        `transaction_per_step` gives every step of another project a transaction of its own, whatever its env.py
        configures.
        """
        with self._explain_errors(), self._provide_url():
            if self.target is None or self.project.has_our_environment:
                with EnvironmentContext(self.config, self.script, fn=steps, as_sql=False, **options):
                    self.script.run_env()
                return
            self.passes = EnvPasses(self.target, only_pass)
            external_env.run_external_env(
                self.project,
                self.script,
                self.config,
                passes=self.passes,
                given=self.connection,
                steps=steps,
                transaction_per_step=transaction_per_step,
                **options,
            )

    def _provide_url(self) -> contextlib.AbstractContextManager[None]:
        """Give the URL to env.py, and to revisions that open connections of their own.

        Our env.py reads the user's URL itself; it needs this only for a given connection, as to a scratch database.
        """
        if self.target is None or (self.project.has_our_environment and self.connection is None):
            return contextlib.nullcontext()
        return env_call.provide_url(self.project, self.target, self.config)

    @contextlib.contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            with contain_code():
                yield
        except DormatoryError:
            raise
        except Exception as error:
            known = explain_error(error, target=self.target, project=self.project)
            if known is None:
                known = external_env.environment_failure(error, self.project, self.target)
            if known is None:
                raise
            raise known from error


def _move_of(step: Any) -> Move:
    revision = step.revision
    return Move(revision.revision, revision.doc or "", step.is_upgrade)
