"""One upgrade as the rules of locks see it: what each statement does, to which tables, under which locks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dormatory.checks.registry import finding
from dormatory.recording.model import Direction, Lock
from dormatory.sql.lock_modes import LOCK_MODES
from dormatory.sql.operations import Act, Verb, acts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.project.history import Revision
    from dormatory.recording.model import Leg, Statement, Step
    from dormatory.schema.snapshot import Enum, Snapshot, Table, View

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
_BLOCKS = {
    "SHARE UPDATE EXCLUSIVE": "no other change of its structure can run",
    "SHARE": "nobody can write to it",
    "SHARE ROW EXCLUSIVE": "nobody can write to it",
    "EXCLUSIVE": "nobody can write to it",
    "ACCESS EXCLUSIVE": "nobody can read or write it",
}
# What needs less than ACCESS EXCLUSIVE, as PostgreSQL documents ALTER TABLE.
_MILDER = {
    Verb.VALIDATE: "SHARE UPDATE EXCLUSIVE",
    Verb.CREATE_INDEX: "SHARE",
    Verb.WRITE: "ROW EXCLUSIVE",
    Verb.OTHER: "ACCESS SHARE",
    Verb.CREATE_TABLE: "ACCESS SHARE",
}


@dataclass(frozen=True, slots=True)
class Played:
    """A statement that was executed; the tables of its acts are those that were there before, or "".

    `held` are the locks that its transaction had before it. Nobody could ask what a statement did that failed, and what
    was a transaction of its own has given its locks back: the form tells of both (`is_unseen`).
    """

    statement: Statement
    acts: tuple[Act, ...]
    held: Mapping[str, Lock]
    has_failed: bool = False

    @property
    def is_unseen(self) -> bool:
        """Whether the locks of this statement could not be measured."""
        return self.has_failed or not self.statement.transaction

    def reads_all_of(self, table: str) -> bool:
        """Say whether the statement read a table from end to end, or failed while it did."""
        return table in self.statement.scanned or self.has_failed

    def lock(self, table: str) -> Lock | None:
        """Return the strongest lock on a table while this statement ran, its own included."""
        own = [lock for lock in self.statement.locks if lock.table == table]
        if self.is_unseen:
            asking = [act for act in self.acts if table in {act.table, act.refers[0]}]
            own += [Lock(table, _mode(act), self.statement.seconds) for act in asking]
        held = [self.held[table]] if table in self.held else []
        return max(held + own, key=lambda lock: LOCK_MODES.index(lock.mode), default=None)

    def locks(self) -> Iterator[Lock]:
        """Yield the strongest lock on each table that this statement locked anew."""
        tables = [lock.table for lock in self.statement.locks]
        if self.is_unseen:
            tables += [act.table for act in self.acts if act.table]
        yield from (lock for table in dict.fromkeys(tables) if (lock := self.lock(table)))


def _mode(act: Act) -> str:
    if act.verb is Verb.ADD_CONSTRAINT and act.kind == "FOREIGN KEY":
        return "SHARE ROW EXCLUSIVE"
    if act.verb in {Verb.CREATE_INDEX, Verb.DROP_INDEX} and act.is_gentle:
        return "SHARE UPDATE EXCLUSIVE"
    return _MILDER.get(act.verb, ACCESS_EXCLUSIVE)


@dataclass(frozen=True, slots=True)
class Scene:
    """The upgrade of one revision: what was executed, on the tables that were there before."""

    revision: Revision
    step: Step
    played: tuple[Played, ...]

    @classmethod
    def of(cls, step: Step, revision: Revision) -> Scene:
        """Return the upgrade of a step; statements that no line of a revision issued do not count."""
        legs = [leg for leg in step.legs if leg.direction is Direction.UPGRADE]
        issued = [statement for leg in legs for statement in leg.statements if statement.line]
        names, held, played = _Names(step.before), dict[int, dict[str, Lock]](), list[Played]()
        for statement in issued:
            before = held.get(statement.transaction, {}) if statement.transaction else {}
            known = tuple(names.follow(act) for act in acts(statement.sql))
            it = Played(statement, known, before, has_failed=_has_failed(legs, statement, issued))
            played.append(it)
            held[statement.transaction] = before | {lock.table: lock for lock in it.locks()}
        return cls(revision, step, tuple(played))

    def deeds(self, *verbs: Verb) -> Iterator[tuple[Played, Act]]:
        """Yield the acts of some kinds that meet a table that was there before and still is afterwards."""
        for it in self.played:
            for act in it.acts:
                if act.verb in verbs and act.table and self.stays(act.table):
                    yield it, act

    def stays(self, table: str) -> bool:
        """Say whether a table that was there is there afterwards, by whatever name; who drops one uses it no more."""
        dropped = {act.table for it in self.played for act in it.acts if act.verb is Verb.DROP_TABLE}
        return table not in dropped and any(table == full_name(each) for each in self.step.before.tables)

    def before(self, table: str) -> Table:
        """Return a table as it was before the upgrade."""
        return next(each for each in self.step.before.tables if full_name(each) == table)

    def after(self, table: str) -> Table | None:
        """Return the table of this name after the upgrade, None where there is none or the upgrade failed."""
        tables = self.step.after.tables if self.step.after else ()
        return next((each for each in tables if full_name(each) == table), None)

    def finding(self, rule: str, played: Played, message: str, hint: str, object_: str, **more: Any) -> Finding:
        """Return a finding at the line that issued a statement."""
        statement, path = played.statement, self.revision.path
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


def blocking(lock: Lock | None) -> str:
    """Return what a lock keeps others from, and how long it did in the play."""
    if lock is None:
        return ""
    return f"{lock.mode} on {lock.table}: {_BLOCKS.get(lock.mode, 'nobody waits')} ({_duration(lock.seconds)} here)"


def blocks_writers(lock: Lock | None) -> bool:
    """Say whether nobody can write to a table while it is locked so."""
    return lock is not None and LOCK_MODES.index(lock.mode) >= LOCK_MODES.index("SHARE")


def full_name(table: Table | View | Enum) -> str:
    """Return the name of a table, a view or a type as a recording says it: with its namespace unless that is public."""
    return table.name if table.namespace in {None, "public"} else f"{table.namespace}.{table.name}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


class _Names:
    """Which table from before a name means, while tables are renamed, dropped and made again."""

    def __init__(self, before: Snapshot) -> None:
        self._tables = {full_name(table): full_name(table) for table in before.tables}
        self._bare: dict[str, str] = {}
        self._indexes: dict[str, str] = {}
        for table in before.tables:
            self._bare.setdefault(table.name, full_name(table))
            self._indexes.update({index.name: full_name(table) for index in table.indexes})

    def follow(self, act: Act) -> Act:
        """Return the act with the table as it was called before, "" for one that was not there."""
        if act.verb is Verb.DROP_INDEX:
            return replace(act, table=self._indexes.get(act.name.rpartition(".")[2], ""))
        table = self._known(act.table)
        if act.verb is Verb.DROP_TABLE or (act.verb is Verb.RENAME_TABLE and table):
            self._tables.pop(act.table, None)
            self._bare.pop(act.table, None)
        if act.verb is Verb.RENAME_TABLE and table:
            space, dot, _ = act.table.rpartition(".")
            new = act.new if "." in act.new else f"{space}{dot}{act.new}"
            self._tables[new.removeprefix("public.")] = table
        refers = (self._known(act.refers[0]) or act.refers[0], act.refers[1])
        return replace(act, table=table, refers=refers)

    def _known(self, name: str) -> str:
        return self._tables.get(name) or self._bare.get(name, "")
