"""One upgrade as the rules of locks see it: what each statement does, to which tables, under which locks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dormatory.checks.registry import finding
from dormatory.recording.model import Direction, Lock
from dormatory.sql.lock_modes import LOCK_MODES
from dormatory.sql.operations import Operation, OperationKind, parse_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.script import Revision
    from dormatory.recording.model import Leg, Statement, Step
    from dormatory.schema.snapshot import Enum, Snapshot, Table, View
    from dormatory.sql.dialect import Dialect

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
_BLOCKED_ACCESS = {
    "SHARE UPDATE EXCLUSIVE": "no other change of its structure can run",
    "SHARE": "nobody can write to it",
    "SHARE ROW EXCLUSIVE": "nobody can write to it",
    "EXCLUSIVE": "nobody can write to it",
    "ACCESS EXCLUSIVE": "nobody can read or write it",
}
# What needs less than ACCESS EXCLUSIVE, as PostgreSQL documents ALTER TABLE.
_WEAKER_LOCK_MODES = {
    OperationKind.VALIDATE_CONSTRAINT: "SHARE UPDATE EXCLUSIVE",
    OperationKind.CREATE_INDEX: "SHARE",
    OperationKind.WRITE: "ROW EXCLUSIVE",
    OperationKind.OTHER: "ACCESS SHARE",
    OperationKind.CREATE_TABLE: "ACCESS SHARE",
}


@dataclass(frozen=True, slots=True)
class ExecutedStatement:
    """A statement that was executed; the tables of its acts are those that were there before, or "".

    `held` are the locks that its transaction had before it. Nobody could ask what a statement did that failed, and what
    was a transaction of its own has given its locks back: the form tells of both (`is_unseen`).
    """

    statement: Statement
    operations: tuple[Operation, ...]
    held_locks: Mapping[str, Lock]
    has_failed: bool = False

    @property
    def has_unknown_locks(self) -> bool:
        """Whether the locks of this statement could not be measured."""
        return self.has_failed or not self.statement.transaction

    def has_scanned(self, table: str) -> bool:
        """Say whether the statement read a table from end to end, or failed while it did."""
        return table in self.statement.scanned or self.has_failed

    def strongest_lock(self, table: str) -> Lock | None:
        """Return the strongest lock on a table while this statement ran, its own included."""
        own = [lock for lock in self.statement.locks if lock.table == table]
        if self.has_unknown_locks:
            asking = [operation for operation in self.operations if table in {operation.table, operation.referenced[0]}]
            own += [Lock(table, _documented_lock_mode(act), self.statement.seconds) for act in asking]
        held = [self.held_locks[table]] if table in self.held_locks else []
        return max(held + own, key=lambda lock: LOCK_MODES.index(lock.mode), default=None)

    def acquired_locks(self) -> Iterator[Lock]:
        """Yield the strongest lock on each table that this statement locked anew."""
        tables = [lock.table for lock in self.statement.locks]
        if self.has_unknown_locks:
            tables += [operation.table for operation in self.operations if operation.table]
        yield from (lock for table in dict.fromkeys(tables) if (lock := self.strongest_lock(table)))


def _documented_lock_mode(operation: Operation) -> str:
    if operation.kind is OperationKind.ADD_CONSTRAINT and operation.object_type == "FOREIGN KEY":
        return "SHARE ROW EXCLUSIVE"
    if operation.kind in {OperationKind.CREATE_INDEX, OperationKind.DROP_INDEX} and operation.is_online:
        return "SHARE UPDATE EXCLUSIVE"
    return _WEAKER_LOCK_MODES.get(operation.kind, ACCESS_EXCLUSIVE)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The upgrade of one revision: what was executed, on the tables that were there before."""

    revision: Revision
    step: Step
    dialect: Dialect
    statements: tuple[ExecutedStatement, ...]

    @classmethod
    def of(cls, step: Step, revision: Revision, dialect: Dialect) -> Upgrade:
        """Return the upgrade of a step; statements that no line of a revision issued do not count."""
        legs = [leg for leg in step.legs if leg.direction is Direction.UPGRADE]
        issued = [statement for leg in legs for statement in leg.statements if statement.line]
        names, held, statements = _TableNames(step.before), dict[int, dict[str, Lock]](), list[ExecutedStatement]()
        for statement in issued:
            before = held.get(statement.transaction, {}) if statement.transaction else {}
            operations = tuple(names.resolve(operation) for operation in parse_operations(statement.sql, dialect))
            it = ExecutedStatement(statement, operations, before, has_failed=_has_failed(legs, statement, issued))
            statements.append(it)
            held[statement.transaction] = before | {lock.table: lock for lock in it.acquired_locks()}
        return cls(revision, step, dialect, tuple(statements))

    def operations(self, *kinds: OperationKind) -> Iterator[tuple[ExecutedStatement, Operation]]:
        """Yield the acts of some kinds that meet a table that was there before and still is afterwards."""
        for it in self.statements:
            for operation in it.operations:
                if operation.kind in kinds and operation.table and self.has_kept(operation.table):
                    yield it, operation

    def has_kept(self, table: str) -> bool:
        """Say whether a table that was there is there afterwards, by whatever name; who drops one uses it no more."""
        dropped = {
            operation.table
            for it in self.statements
            for operation in it.operations
            if operation.kind is OperationKind.DROP_TABLE
        }
        return table not in dropped and any(table == full_name(each) for each in self.step.before.tables)

    def table_before(self, table: str) -> Table:
        """Return a table as it was before the upgrade."""
        return next(each for each in self.step.before.tables if full_name(each) == table)

    def table_after(self, table: str) -> Table | None:
        """Return the table of this name after the upgrade, None where there is none or the upgrade failed."""
        tables = self.step.after.tables if self.step.after else ()
        return next((each for each in tables if full_name(each) == table), None)

    def finding(
        self, rule: str, executed: ExecutedStatement, message: str, hint: str, object_: str, **more: Any
    ) -> Finding:
        """Return a finding at the line that issued a statement."""
        statement, path = executed.statement, self.revision.path
        file = str(path) if path.as_posix().endswith(f"/{statement.file}") else statement.file
        where: dict[str, Any] = {
            "backend": "postgresql",
            "object": object_,
            "revision": self.revision.id,
            "file": file,
            "line": statement.line,
            "sql": statement.sql,
        }
        return finding(rule, message, hint, **(where | more))


def _has_failed(legs: Sequence[Leg], statement: Statement, issued: Sequence[Statement]) -> bool:
    """Say whether an upgrade ended at a statement, which is the last one it has."""
    where = f"{statement.file}:{statement.line}"
    return statement is issued[-1] and any(leg.failure is not None and leg.failure.where == where for leg in legs)


def lock_description(lock: Lock | None) -> str:
    """Return what a lock keeps others from, and how long it did in the play."""
    if lock is None:
        return ""
    return (
        f"{lock.mode} on {lock.table}: {_BLOCKED_ACCESS.get(lock.mode, 'nobody waits')} "
        f"({_duration(lock.seconds)} here)"
    )


def is_blocking_writers(lock: Lock | None) -> bool:
    """Say whether nobody can write to a table while it is locked so."""
    return lock is not None and LOCK_MODES.index(lock.mode) >= LOCK_MODES.index("SHARE")


def full_name(table: Table | View | Enum) -> str:
    """Return the name of a table, a view or a type as a recording says it: with its namespace unless that is public."""
    return table.name if table.namespace in {None, "public"} else f"{table.namespace}.{table.name}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


class _TableNames:
    """Which table from before a name means, while tables are renamed, dropped and made again."""

    def __init__(self, before: Snapshot) -> None:
        self._by_full_name = {full_name(table): full_name(table) for table in before.tables}
        self._by_bare_name: dict[str, str] = {}
        self._tables_of_indexes: dict[str, str] = {}
        for table in before.tables:
            self._by_bare_name.setdefault(table.name, full_name(table))
            self._tables_of_indexes.update({index.name: full_name(table) for index in table.indexes})

    def resolve(self, operation: Operation) -> Operation:
        """Return the act with the table as it was called before, "" for one that was not there."""
        if operation.kind is OperationKind.DROP_INDEX:
            return replace(operation, table=self._tables_of_indexes.get(operation.name.rpartition(".")[2], ""))
        table = self._table_before(operation.table)
        if operation.kind is OperationKind.DROP_TABLE or (operation.kind is OperationKind.RENAME_TABLE and table):
            self._by_full_name.pop(operation.table, None)
            self._by_bare_name.pop(operation.table, None)
        if operation.kind is OperationKind.RENAME_TABLE and table:
            space, dot, _ = operation.table.rpartition(".")
            new = operation.new_name if "." in operation.new_name else f"{space}{dot}{operation.new_name}"
            self._by_full_name[new.removeprefix("public.")] = table
        refers = (self._table_before(operation.referenced[0]) or operation.referenced[0], operation.referenced[1])
        return replace(operation, table=table, referenced=refers)

    def _table_before(self, name: str) -> str:
        return self._by_full_name.get(name) or self._by_bare_name.get(name, "")
