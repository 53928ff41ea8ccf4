"""One upgrade as the rules of locks read it: what each statement does, to which tables, under which locks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction, Lock
from dormatory.sql.lexer import tokenize_statement
from dormatory.sql.lock_modes import LOCK_MODES
from dormatory.sql.operations import Operation, OperationKind, parse_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Reversible

    from dormatory.checks.finding import Finding, Severity
    from dormatory.checks.rule import Rule
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.leg import Leg, Statement
    from dormatory.recording.model import Recording, Step
    from dormatory.schema.snapshot import Enum, Function, Sequence, Snapshot, Table, View
    from dormatory.sql.dialect import Dialect

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
_DDL = re.compile(r"\s*(?:CREATE|ALTER|DO)\b", re.IGNORECASE)
_BLOCKED_ACCESS = {
    "SHARE UPDATE EXCLUSIVE": "no other change of its structure can run",
    "SHARE": "nobody can write to it",
    "SHARE ROW EXCLUSIVE": "nobody can write to it",
    "EXCLUSIVE": "nobody can write to it",
    "ACCESS EXCLUSIVE": "nobody can read or write it",
}
# Operations that need less than ACCESS EXCLUSIVE: https://www.postgresql.org/docs/current/explicit-locking.html
_WEAKER_LOCK_MODES = {
    OperationKind.VALIDATE_CONSTRAINT: "SHARE UPDATE EXCLUSIVE",
    OperationKind.CREATE_INDEX: "SHARE",
    OperationKind.WRITE: "ROW EXCLUSIVE",
    OperationKind.OTHER: "ACCESS SHARE",
    OperationKind.CREATE_TABLE: "ACCESS SHARE",
}


@dataclass(frozen=True, slots=True)
class ExecutedStatement:
    """A statement that was executed; the tables of its operations are those that existed before, or "".

    `held_locks` are the locks that its transaction already held. The locks of a statement that failed, and of one that
    was a transaction of its own, could not be measured (`has_unknown_locks`), nor one that the transaction already
    held when the leg began, because env.py runs all revisions in one: they follow from its operations.
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
        """Return whether the statement read a table from end to end, or failed and may have."""
        return table in self.statement.scanned or self.has_failed

    def strongest_lock(self, table: str) -> Lock | None:
        """Return the strongest lock on a table while this statement ran, its own included."""
        measured = [lock for lock in self.statement.locks if lock.table == table]
        if table in self.held_locks:
            measured.append(self.held_locks[table])
        if self.has_unknown_locks or not measured:
            locking = [it for it in self.operations if table in {it.table, it.referenced[0]}]
            measured += [Lock(table, _documented_lock_mode(it), self.statement.seconds) for it in locking]
        return max(measured, key=lambda lock: LOCK_MODES.index(lock.mode), default=None)

    def acquired_locks(self) -> Iterator[Lock]:
        """Yield the strongest lock on each table that this statement locked."""
        tables = [lock.table for lock in self.statement.locks]
        named = [name for it in self.operations for name in (it.table, it.referenced[0]) if name]
        tables += [name for name in named if self.has_unknown_locks or name not in self.held_locks]
        yield from (lock for table in dict.fromkeys(tables) if (lock := self.strongest_lock(table)))


_ONLINE_KINDS = {OperationKind.CREATE_INDEX, OperationKind.DROP_INDEX, OperationKind.DETACH_PARTITION}


def _documented_lock_mode(operation: Operation) -> str:
    """Return the mode that an operation needs by the page of its statement in the manual.

    See https://www.postgresql.org/docs/current/sql-altertable.html and the pages of other statements.
    """
    match operation:
        case Operation(kind=OperationKind.ADD_CONSTRAINT, object_type="FOREIGN KEY"):
            return "SHARE ROW EXCLUSIVE"
        case Operation(kind=OperationKind.ALTER_TABLE, words=("trigger", *_)):  # ENABLE or DISABLE
            return "SHARE ROW EXCLUSIVE"
        case Operation(kind=OperationKind.ALTER_TABLE, words=() | ("partition" | "on", *_)):  # SET (…), ATTACH, CLUSTER
            return "SHARE UPDATE EXCLUSIVE"
        case Operation(kind=OperationKind.ALTER_COLUMN, words=("set",) | ("set", "statistics", *_)):
            return "SHARE UPDATE EXCLUSIVE"
    if operation.kind in _ONLINE_KINDS and operation.is_online:
        return "SHARE UPDATE EXCLUSIVE"
    return _WEAKER_LOCK_MODES.get(operation.kind, ACCESS_EXCLUSIVE)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The upgrade of one revision: what was executed, on the tables that existed before."""

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

    @property
    def tables_after(self) -> tuple[Table, ...]:
        """The tables after the upgrade, none where it failed."""
        return self.step.after.tables if self.step.after else ()

    def operations(self, *kinds: OperationKind) -> Iterator[tuple[ExecutedStatement, Operation]]:
        """Yield the operations of some kinds on tables that existed before and still exist afterwards."""
        for executed, operation in self.all_operations():
            if operation.kind in kinds and operation.table and self.has_kept(operation.table):
                yield executed, operation

    def all_operations(self) -> Iterator[tuple[ExecutedStatement, Operation]]:
        """Yield every operation, with its statement."""
        yield from ((executed, operation) for executed in self.statements for operation in executed.operations)

    def has_kept(self, table: str) -> bool:
        """Return whether a table that existed before still does, under any name; nobody waits for a dropped one."""
        dropped = {
            operation.table for _, operation in self.all_operations() if operation.kind is OperationKind.DROP_TABLE
        }
        return table not in dropped and any(table == full_name(each) for each in self.step.before.tables)

    def table_before(self, table: str) -> Table:
        """Return a table as it was before the upgrade."""
        return next(each for each in self.step.before.tables if full_name(each) == table)

    def ddl_naming(self, *names: str) -> ExecutedStatement | None:
        """Return the first statement of DDL that contains all these names."""
        for executed in self.statements:
            if _DDL.match(executed.statement.sql):
                words = {token.text.lower() for token in tokenize_statement(executed.statement.sql, self.dialect)}
                if words >= {name.lower() for name in names}:
                    return executed
        return None

    def finding(  # the fields that every rule of locks fills
        self,
        rule: Rule,
        executed: ExecutedStatement,
        message: str,
        hint: str,
        object_name: str,
        *,
        severity: Severity | None = None,
    ) -> Finding:
        """Return a finding at the line that issued a statement."""
        statement = executed.statement
        return rule.finding(
            message,
            hint,
            severity=severity,
            backend=self.dialect.name,
            object_name=object_name,
            revision=self.revision.id,
            location=self.revision.whole_path(Location(statement.file, statement.line)),
            sql=statement.sql,
        )


def recorded_upgrades(recording: Recording, history: History) -> tuple[Upgrade, ...]:
    """Return the upgrades of a replay; none where no step was played, or where the rules cannot read the statements."""
    if not recording.steps:  # then no backend was opened, and the recording names none
        return ()
    dialect = dialect_by_name(recording.backend)
    if not dialect.has_lock_rules:
        return ()
    return tuple(Upgrade.of(step, history.by_id[step.revision], dialect) for step in recording.steps)


def schema_at_head(upgrades: Reversible[Upgrade]) -> Snapshot | None:
    """Return the schema after the last upgrade that passed, None where none did."""
    return next((it.step.after for it in reversed(upgrades) if it.step.after), None)


def _has_failed(legs: list[Leg], statement: Statement, issued: list[Statement]) -> bool:
    """Return whether an upgrade failed at a statement, which then is its last one."""
    location = Location(statement.file, statement.line)
    return statement is issued[-1] and any(leg.failure is not None and leg.failure.location == location for leg in legs)


def lock_description(lock: Lock | None) -> str:
    """Return what a lock keeps others from, and how long it did so in the replay."""
    if lock is None:
        return ""
    return (
        f"{lock.mode} on {lock.table}: {_BLOCKED_ACCESS.get(lock.mode, 'nobody waits')} "
        f"({_duration(lock.seconds)} here)"
    )


def is_blocking_writers(lock: Lock | None) -> bool:
    """Return whether nobody can write to a table while the lock is held."""
    return lock is not None and LOCK_MODES.index(lock.mode) >= LOCK_MODES.index("SHARE")


def full_name(value: Table | View | Enum | Function | Sequence) -> str:
    """Return the name of a table, a view, a type, ... as in a recording: with its namespace unless that is public."""
    return value.name if value.namespace in {None, "public"} else f"{value.namespace}.{value.name}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


class _TableNames:
    """Resolves names to the tables that existed before, while tables are renamed, dropped and created again."""

    def __init__(self, before: Snapshot) -> None:
        self._by_full_name = {full_name(table): full_name(table) for table in before.tables}
        self._by_bare_name: dict[str, str] = {}
        self._tables_of_indexes: dict[str, str] = {}
        for table in before.tables:
            self._by_bare_name.setdefault(table.name, full_name(table))
            self._tables_of_indexes.update({index.name: full_name(table) for index in table.indexes})

    def resolve(self, operation: Operation) -> Operation:
        """Return the operation with the name that its table had before, "" for a table that did not exist."""
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
        other, columns = operation.referenced
        return replace(operation, table=table, referenced=(self._table_before(other) or other, columns))

    def _table_before(self, name: str) -> str:
        return self._by_full_name.get(name) or self._by_bare_name.get(name, "")
