"""What a project's env.py leaves out of autogenerate: its own functions are asked, in the way Alembic asks them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import produce_migrations
from alembic.operations import ops

from dormatory.backends.registry import backend_for
from dormatory.errors import EnvironmentFailedError
from dormatory.runtime.external_env import environment_failure
from dormatory.runtime.runner import Runner
from dormatory.runtime.worker import call_in_worker
from dormatory.schema.left_out import LeftOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.runtime.migration import MigrationContext

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.schema.snapshot import TableId

_FILTERS = ("include_object", "include_name")
_DIRECTIVES = "process_revision_directives"
_COMPARISONS = {"compare_type": "type", "compare_server_default": "default"}
# The kind of what an operation is about, and its attribute with the name.
_SUBJECTS: tuple[tuple[tuple[type, ...], str, str], ...] = (
    ((ops.CreateTableOp, ops.DropTableOp), "table", ""),
    ((ops.AddColumnOp, ops.DropColumnOp), "column", "column_name"),
    ((ops.AlterColumnOp,), "attributes", "column_name"),
    ((ops.CreateIndexOp, ops.DropIndexOp), "index", "index_name"),
    ((ops.AddConstraintOp, ops.DropConstraintOp), "constraint", "constraint_name"),
)


def has_filters(options: dict[str, Any]) -> bool:
    """Return whether env.py configures a function that may leave something out."""
    return any(callable(options.get(name)) for name in (*_FILTERS, *_COMPARISONS, _DIRECTIVES))


def read_left_out(project: Project, target: Target) -> tuple[LeftOut, ...]:
    """Return what env.py leaves out when autogenerate compares a database with the models.

    Raises EnvironmentFailedError, with the name of the function, if one raises an error.
    """
    return call_in_worker(project, _read_left_out, project, target)


def _read_left_out(project: Project, target: Target) -> tuple[LeftOut, ...]:
    backend = backend_for(target)
    with backend.engine(target, writing=True).connect() as connection:
        namespace = connection.dialect.default_schema_name if backend.has_namespaces else None
        recorder = _FilterRecorder(project, target, namespace)
        runner = Runner(project, target=target, connection=connection)
        runner.inspect(recorder.compare, loads_revisions=True)
    return tuple(dict.fromkeys(recorder.left_out))


def quiet_migrations(context: MigrationContext) -> ops.MigrationScript:
    """Return what autogenerate finds, without its warnings about what it does not see: the snapshots show that."""
    with warnings.catch_warnings(action="ignore"):
        return produce_migrations(context, context.opts["target_metadata"])


class _FilterRecorder:
    """Lets Alembic compare, and keeps what the functions of env.py leave out."""

    def __init__(self, project: Project, target: Target, default_namespace: str | None) -> None:
        self._project, self._target, self._default_namespace = project, target, default_namespace
        self.left_out: list[LeftOut] = []

    def compare(self, context: MigrationContext) -> None:
        """Run the comparison of autogenerate with the functions of env.py."""
        given = context.opts
        wrapped = {name: self._with_recording(name, given[name]) for name in _FILTERS if callable(given.get(name))}
        context.opts = {**given, **wrapped}
        for name in _COMPARISONS:
            if callable(given.get(name)):  # Alembic keeps these two on the context
                setattr(context, f"_user_{name}", self._with_recording(name, given[name]))
        script = quiet_migrations(context)
        if callable(given.get(_DIRECTIVES)):
            self._record_removed_operations(context, script, given[_DIRECTIVES])

    def _record_removed_operations(
        self, context: MigrationContext, script: ops.MigrationScript, function: Callable[..., Any]
    ) -> None:
        """Let env.py edit the operations that autogenerate would write, and keep what it takes out."""
        before = list(_operations(script))
        directives = [script]
        self._naming_errors(_DIRECTIVES, function)(context, context.get_current_heads(), directives)
        kept = {id(it) for directive in directives for it in _operations(directive)}
        for operation in before:
            if id(operation) not in kept and (found := self._subject_of(operation)):
                self.left_out.append(found)

    def _subject_of(self, operation: Any) -> LeftOut | None:
        """Return what an operation is about; None for one without a name that the schema has."""
        kind, name = _subject(operation)
        if not kind or not (name or kind == "table"):
            return None
        table_name = getattr(operation, "table_name", "") or getattr(operation, "source_table", "")
        return LeftOut(kind, (getattr(operation, "schema", None) or self._default_namespace, table_name), name)

    def _naming_errors(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function; the error that it raises names it."""

        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Exception as error:
                raise self._failure(name, error) from error

        return call

    def _with_recording(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        guarded = self._naming_errors(name, function)

        def call(*arguments: Any) -> Any:
            answer = guarded(*arguments)
            if name == "include_object" and not answer:
                self._record_object(*arguments)
            elif name == "include_name" and not answer:
                self._record_name(*arguments)
            elif name in _COMPARISONS and answer is False:
                column = arguments[1]
                self.left_out.append(LeftOut(_COMPARISONS[name], self._table_id(column.table), column.name))
            return answer

        return call

    def _record_object(self, item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> None:  # noqa: FBT001  # as Alembic calls it
        if kind == "table":
            self.left_out.append(LeftOut("table", self._table_id(item)))
        elif name:
            self.left_out.append(LeftOut(_kind(kind), self._table_id(item.table), str(name)))

    def _record_name(self, name: str | None, kind: str, parents: dict[str, Any]) -> None:
        namespace = parents.get("schema_name") or self._default_namespace
        if kind == "table" and name:
            self.left_out.append(LeftOut("table", (namespace, name)))
        elif kind != "schema" and name:
            self.left_out.append(LeftOut(_kind(kind), (namespace, parents["table_name"]), name))

    def _table_id(self, table: Any) -> TableId:
        return table.schema or self._default_namespace, table.name

    def _failure(self, name: str, error: Exception) -> Exception:
        found = environment_failure(error, self._project, self._target)
        return EnvironmentFailedError(found.location, f"its {name} raised {found.why}") if found else error


def _operations(script: ops.MigrationScript) -> Iterator[ops.MigrateOperation]:
    """Yield the operations of the upgrade, those of one table one by one."""
    pending = list[Any](script.upgrade_ops_list)
    while pending:
        found = pending.pop(0)
        if isinstance(found, ops.OpContainer):
            pending.extend(found.ops)
        else:
            yield found


def _subject(operation: Any) -> tuple[str, str]:
    """Return the kind and the name of what an operation creates, drops or changes."""
    found, attribute = next(((kind, it) for types, kind, it in _SUBJECTS if isinstance(operation, types)), ("", ""))
    name = (
        operation.column.name if isinstance(operation, ops.AddColumnOp) else getattr(operation, attribute or "_", None)
    )
    return found, str(name or "")


def _kind(kind: str) -> str:
    return "constraint" if kind.endswith("_constraint") else kind
