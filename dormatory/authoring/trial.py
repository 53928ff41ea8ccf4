"""Tries the pieces of a draft on a scratch database: which of them work there, and what they leave to be done."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event

from dormatory.authoring.extra_operations import Undecided
from dormatory.backends.driver import execute_verbatim
from dormatory.backends.introspection import read_snapshot
from dormatory.backends.registry import backend_for, dialect_by_name
from dormatory.sql.operations import OperationKind, parse_operations

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from dormatory.authoring.divergence import Divergence
    from dormatory.authoring.draft import Draft, Piece
    from dormatory.schema.alteration import AlterStatement, Conversions
    from dormatory.schema.snapshot import Snapshot, TableId

_SLOW_KINDS = frozenset({OperationKind.CREATE_INDEX, OperationKind.ADD_CONSTRAINT, OperationKind.SET_NOT_NULL})
FunctionName: TypeAlias = Literal["upgrade", "downgrade"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one direction of a revision is executed on one backend: some pieces of the draft, then statements."""

    backend: str
    kept: frozenset[int]  # places of pieces in the draft
    slow: frozenset[int]  # places of those that only keep others waiting
    statements: tuple[AlterStatement, ...]


class DraftTrial:
    """The database of one divergence, which moves to the models and back."""

    def __init__(self, divergence: Divergence, draft: Draft) -> None:
        self._divergence, self._draft = divergence, draft
        self._backend = backend_for(divergence.target)

    def plan(self, direction: FunctionName, pieces: Sequence[Piece], goal: Snapshot) -> Plan:
        """Return how to get from the present structure to another one, with as few statements as possible.

        A piece that fails is left out, and so is one that keeps others waiting although the backend has a form that
        does not, and the pieces on a table that they do not save a statement for. The database stays as it is.
        """
        conversions = self._draft.conversions.get((direction, self._backend.name), {})
        attempt = partial(self._attempt, pieces, goal, conversions)
        best = attempt(frozenset(it for it, piece in enumerate(pieces) if not _is_replaced(piece, conversions)))
        slow = best.slow
        if slow:
            best = attempt(best.kept - slow)
        for table in best.differing:
            kept = frozenset(it for it in best.kept if pieces[it].is_required or not pieces[it].is_about(table))
            if kept != best.kept:
                other = attempt(kept)
                if len(other.statements) <= len(best.statements):
                    best = other
        return Plan(self._backend.name, best.kept, slow, best.statements)

    def carry_out(self, pieces: Sequence[Piece], plan: Plan) -> None:
        """Move the database along a plan."""
        engine = self._backend.engine(self._divergence.target, writing=True)
        with engine.begin() as connection:
            for place in sorted(plan.kept):
                if not isinstance(pieces[place].operation, Undecided):
                    self._execute(pieces[place], connection)
        for statement in plan.statements:
            with engine.connect() as connection:
                if statement.is_online:
                    connection.execution_options(isolation_level="AUTOCOMMIT")
                execute_verbatim(connection, statement.sql)
                connection.commit()

    def _attempt(
        self, pieces: Sequence[Piece], goal: Snapshot, conversions: Conversions, chosen: Collection[int]
    ) -> _Attempt:
        worked, slow = set[int](), set[int]()
        with self._backend.engine(self._divergence.target, writing=True).connect() as connection:
            self._backend.alter.occupy_tables(connection, self._divergence.found.tables)
            executed = _record_statements(connection)
            for place in sorted(chosen):
                if isinstance(pieces[place].operation, Undecided):
                    worked.add(place)
                    continue
                executed.clear()
                savepoint = connection.begin_nested()
                try:
                    self._execute(pieces[place], connection)
                    savepoint.commit()
                except Exception:  # noqa: BLE001  # whatever is wrong with it, it is not written for this backend
                    savepoint.rollback()
                    continue
                worked.add(place)
                if self._backend.has_online_forms and any(map(self._is_slow, executed)):
                    slow.add(place)
            reached = read_snapshot(connection, ignore=self._divergence.version_tables)
            connection.rollback()
        tables = {table.id: table for table in goal.tables}
        differing = [table.id for table in reached.tables if tables.get(table.id) != table]
        statements = self._backend.alter.alter_statements(reached, goal, conversions)
        return _Attempt(frozenset(worked), frozenset(slow), tuple(differing), statements)

    def _is_slow(self, sql: str) -> bool:
        """Return whether a statement keeps others waiting although the backend has a form that does not."""
        tables = {table.name for table in self._divergence.found.tables}
        indexes = {index.name for table in self._divergence.found.tables for index in table.indexes}
        return any(
            (operation.kind in _SLOW_KINDS and operation.table.split(".")[-1] in tables)
            or (operation.kind is OperationKind.DROP_INDEX and operation.name.split(".")[-1] in indexes)
            for operation in parse_operations(sql, dialect_by_name(self._backend.name))
            if not operation.is_online
        )

    def _execute(self, piece: Piece, connection: Connection) -> None:
        """Execute the code of a piece as a revision does, on a connection."""
        context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
        context.autocommit_block = nullcontext  # type: ignore[method-assign,assignment]  # all is taken back
        names: dict[str, object] = {}
        operations, sqlalchemy = (prefix.rstrip(".") for prefix in self._draft.prefixes)
        exec(f"import sqlalchemy as {sqlalchemy}\n" + "\n".join(self._draft.imports), names)  # noqa: S102
        with Operations.context(context) as names[operations]:
            exec(piece.code, names)  # noqa: S102  # it is the code that Alembic writes into the revision


def _is_replaced(piece: Piece, conversions: Conversions) -> bool:
    """Return whether a piece is about a table whose rows need an expression in the statement that changes it."""
    return not piece.is_required and any(piece.is_about(table) for table, _ in conversions)


@dataclass(frozen=True, slots=True)
class _Attempt:
    kept: frozenset[int]
    slow: frozenset[int]
    differing: tuple[TableId, ...]
    statements: tuple[AlterStatement, ...]


def _record_statements(connection: Connection) -> list[str]:
    """Return a list to which the SQL of each statement of a connection is added."""
    statements = list[str]()

    def add(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", add)
    return statements
