"""The passes of an env.py: each time that it runs the migrations, for another schema, tenant or version table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dormatory.backends.registry import backend_for
from dormatory.errors import EnvironmentFailedError, RepeatedVersionTableError
from dormatory.runtime import guards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import MigrationContext

    from dormatory.backends.url import Target


@dataclass(slots=True)
class EnvPass:
    """One run of the migrations.

    `options` are those of configure(), `version_table` is that with its namespace if it has one of its own.
    `search_path` is where unqualified names lead when it begins; `applied_heads` is None if it wrote no revision.
    """

    options: dict[str, Any]
    version_table: str
    search_path: tuple[str, ...]
    applied_heads: set[str] | None = None

    @property
    def place(self) -> tuple[str, ...]:
        """What distinguishes the version table from those of other passes."""
        return (self.version_table,) if "." in self.version_table else (self.version_table, *self.search_path[:1])


@dataclass(slots=True)
class EnvPasses:
    """The passes of one run of env.py, as far as they have begun.

    With `only`, the steps of a caller belong to the pass of this number: those before it are upgraded, which it may
    build on, those after it do nothing.
    """

    target: Target
    only: int | None = None
    begun: list[EnvPass] = field(default_factory=list)
    _options: dict[str, Any] = field(default_factory=dict)

    @property
    def version_tables(self) -> tuple[str, ...]:
        """The version tables of the passes that have begun, each once."""
        return tuple(dict.fromkeys(one.version_table for one in self.begun))

    def configure(self, options: dict[str, Any]) -> None:
        """Take the options that env.py gives to Alembic, which it may do more than once for a pass."""
        self._options = options

    def attach(self, context: MigrationContext) -> None:
        """Let the migrations of a context begin a pass."""
        is_behind = self.only is not None and len(self.begun) > self.only
        if is_behind:
            context.opts["dont_mutate"] = True  # no version table is created
        steps_of: Any = context._migrations_fn  # noqa: SLF001  # the only place before the first step
        options, number = self._options, len(self.begun)

        def steps(heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
            self._begin(options, context)
            if self.only is None or number == self.only:
                yield from steps_of(heads, context)
            elif not is_behind:
                yield from context.script._upgrade_revs("heads", heads)  # type: ignore[union-attr,arg-type]  # noqa: SLF001  # as alembic.command does
            if self.only is not None:
                _end_reading(context)

        context._migrations_fn = steps  # noqa: SLF001

    def record_heads(self, *, heads: set[str], **_: Any) -> None:
        """Keep the heads that Alembic writes; a callback of configure()."""
        if self.begun:
            self.begun[-1].applied_heads = set(heads)

    def confirm(self) -> None:
        """Require that the migrations were run, and that a second connection finds the heads of each pass."""
        if not self.begun:
            missing = "run_migrations()" if self._options else "configure()"
            raise EnvironmentFailedError(None, f"it ended without calling context.{missing}")
        backend = backend_for(self.target)
        for one in self.begun:
            if one.applied_heads is not None:
                with backend.engine(self.target, writing=False).connect() as second:
                    backend.set_search_path(second, one.search_path)
                    guards.refuse_other_heads(second, one.applied_heads, one.options)

    def _begin(self, options: dict[str, Any], context: MigrationContext) -> None:
        """Begin a pass; raise RepeatedVersionTableError if it has the version table of an earlier one."""
        connection, namespace = context.connection, context.version_table_schema
        table = f"{namespace}.{context.version_table}" if namespace else context.version_table
        path = backend_for(self.target).search_path(connection) if connection is not None else ()
        new = EnvPass(options, table, path)
        if any(one.place == new.place for one in self.begun):
            raise RepeatedVersionTableError(".".join(reversed(new.place)))
        self.begun.append(new)


def _end_reading(context: MigrationContext) -> None:
    """End what a replay began by reading after the last step: Alembic would leave the next commit to env.py.

    A transaction that env.py has begun itself stays open, as it does in an upgrade.
    """
    is_open = context._transaction is not None or context._in_external_transaction  # noqa: SLF001  # Alembic's own
    if context.connection is not None and not is_open and context.connection.in_transaction():
        context.connection.commit()
