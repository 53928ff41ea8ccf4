"""Rules about statements that an owner of the database who is no superuser may not execute, or not on all rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.errors.location import Location
from dormatory.recording.leg import Direction
from dormatory.sql.operations import OperationKind, parse_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.recording.leg import Statement
    from dormatory.recording.model import Recording, Step
    from dormatory.sql.dialect import Dialect

NEEDS_SUPERUSER = Rule(
    "needs-superuser",
    "roundtrip",
    Severity.WARNING,
    meaning="a statement that only a superuser may execute",
    why="""Managed servers give this right to nobody, and where the database belongs to an ordinary role the revision
    fails. The statement was tried as such an owner, and undone.""",
    recipe="""
    op.execute("SET CONSTRAINTS ALL DEFERRED")  # of DEFERRABLE foreign keys, instead of session_replication_role
    op.execute("ALTER TABLE pen DISABLE TRIGGER USER")  # instead of ALL: its foreign keys stay
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")  # does nothing where the administrator has installed it
    """,
    replaces=("ban-alter-system-options",),
)
_HINTS = (
    (
        re.compile(r"session_replication_role", re.IGNORECASE),
        "make the foreign keys DEFERRABLE, and then: SET CONSTRAINTS ALL DEFERRED; or drop them and add them again",
    ),
    (
        re.compile(r"\b(?:DISABLE|ENABLE)\s+TRIGGER\s+ALL\b", re.IGNORECASE),
        "{} TRIGGER USER leaves the triggers of foreign keys alone; for these, drop the constraint and add it again",
    ),
    (
        re.compile(r"\bCREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?(?P<name>[\w-]+)", re.IGNORECASE),
        "have {name} installed by the administrator before; CREATE EXTENSION IF NOT EXISTS then does nothing",
    ),
    (
        re.compile(r"\bCOPY\b", re.IGNORECASE),
        "read or write the file in Python, on the client's side, or use COPY ... FROM STDIN",
    ),
)
_OTHER_HINT = "have it done by the administrator before the upgrade, and let the revision only check that it was"


def check_privileges(recording: Recording, history: History) -> Iterator[Finding]:
    """Report what the server refused to an owner who is no superuser, and rows that row security hid from him."""
    for step in recording.steps:
        tried = _TriedStep(step, history.by_id[step.revision], dialect_by_name(recording.backend))
        yield from _refused_statements(tried)
        yield from _hidden_rows(tried)


@dataclass(frozen=True, slots=True)
class _TriedStep:
    """A round trip, some of whose statements were tried as the owner."""

    step: Step
    revision: Revision
    dialect: Dialect

    def statements(self) -> Iterator[tuple[Statement, str | None]]:
        """Yield each statement that was tried, with the table whose existing rows it writes to, None if it does not."""
        for leg in self.step.legs:
            for statement in leg.statements if leg.direction is not Direction.SECOND_UPGRADE else ():
                if statement.line and (statement.owner_refusal or statement.owner_rows >= 0):
                    operations = parse_operations(statement.sql, self.dialect)
                    written = (it.table for it in operations if it.kind is OperationKind.WRITE)
                    yield statement, next(written, None)

    def has_forced_security(self, table: str) -> bool:
        """Return whether the row security of a table holds for its owner, before the upgrade or after it."""
        schemas = (self.step.before, self.step.after) if self.step.after else (self.step.before,)
        forced = {it.name for schema in schemas for it in schema.tables if it.row_security == "forced"}
        return table.rpartition(".")[2] in forced

    def finding(self, rule: Rule, statement: Statement, message: str, hint: str) -> Finding:
        """Return a finding at the line that issued a statement."""
        location = self.revision.whole_path(Location(statement.file, statement.line))
        return rule.finding(
            message,
            hint,
            backend=self.dialect.name,
            revision=self.revision.id,
            location=location,
            sql=statement.sql,
        )


def _refused_statements(tried: _TriedStep) -> Iterator[Finding]:
    """Report each refusal once in a revision, at the first statement that got it."""
    seen = set[str]()
    for statement, written in tried.statements():
        refusal = statement.owner_refusal
        if refusal and refusal not in seen and written is None:
            seen.add(refusal)
            message = f"only a superuser may do this; the server tells an ordinary owner: {refusal}"
            yield tried.finding(NEEDS_SUPERUSER, statement, message, _superuser_hint(statement.sql))


def _superuser_hint(sql: str) -> str:
    for pattern, hint in _HINTS:
        if found := pattern.search(sql):
            return hint.format(found[0].split()[0].upper(), **found.groupdict())
    return _OTHER_HINT


ROWS_HIDDEN_BY_POLICY = Rule(
    "rows-hidden-by-policy",
    "roundtrip",
    Severity.WARNING,
    meaning="row level security hides rows from the owner who changes or deletes them",
    why="""FORCE ROW LEVEL SECURITY holds for the owner of the table, too: an UPDATE or DELETE of the revision leaves
    the hidden rows as they are, without an error. The statement was tried as an owner who is no superuser.""",
    recipe="""
    op.execute("ALTER TABLE document NO FORCE ROW LEVEL SECURITY")
    op.execute("UPDATE document SET state = 'new'")
    op.execute("ALTER TABLE document FORCE ROW LEVEL SECURITY")
    """,
)


def _hidden_rows(tried: _TriedStep) -> Iterator[Finding]:
    """Report each statement that reaches fewer rows as the owner, or that had none on which this could be seen."""
    for statement, table in tried.statements():
        if table is None or statement.rows < 0 or not tried.has_forced_security(table):
            continue
        if statement.owner_refusal:
            does = f"fails: {statement.owner_refusal}"
        elif statement.owner_rows < statement.rows:
            does = f"reaches {statement.owner_rows} of {statement.rows} {'row' if statement.rows == 1 else 'rows'}"
        elif statement.rows == 0:
            does = "reaches only the rows that its policies show"
        else:
            continue
        message = f"the row level security of {table} is forced: as an ordinary owner, this statement {does}"
        hint = f'before it: op.execute("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"), and FORCE after it'
        yield tried.finding(ROWS_HIDDEN_BY_POLICY, statement, message, hint)
