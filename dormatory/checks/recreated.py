"""The rule about what is lost with a view, table or function that a revision drops and creates again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import Upgrade, full_name
from dormatory.checks.lost_parts import LostPart, containers, lost_dependents, lost_with_container
from dormatory.checks.rule import Rule
from dormatory.schema.describe import object_kind
from dormatory.sql.names import BATCH_TABLE_PREFIX
from dormatory.sql.operations import OperationKind
from dormatory.sql.split import executed_statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import ExecutedStatement
    from dormatory.project.history import History
    from dormatory.recording.model import Recording
    from dormatory.schema.snapshot import Snapshot

NOT_RECREATED = Rule(
    "not-recreated",
    "roundtrip",
    Severity.WARNING,
    meaning="an index, grant, trigger, comment, ... is lost with what the revision drops and creates again",
    why="""DROP takes along everything that hangs on a view, a table or a function, and CREATE brings none of it back:
    queries get slow, REFRESH CONCURRENTLY fails, programs lose their rights.""",
    recipe="""
    op.execute("DROP MATERIALIZED VIEW score")
    op.execute("CREATE MATERIALIZED VIEW score AS SELECT ...")
    op.execute("CREATE UNIQUE INDEX score_team ON score (team)")  # as it was
    op.execute("GRANT SELECT ON score TO reader")
    """,
)
_PURPOSEFUL = frozenset({"drop", "alter", "comment", "revoke"})


def check_recreated(recording: Recording, history: History) -> Iterator[Finding]:
    """Report what the upgrades of a recording lost with an object that they dropped and created again."""
    owners: dict[str, LostPart] = {}
    for step in recording.steps:
        if step.after is not None:
            upgrade = Upgrade.of(step, history.by_id[step.revision], dialect_by_name(recording.backend))
            given = _given_owners(upgrade)
            earlier = {name: owner for name, owner in owners.items() if name not in given}
            yield from _lost_parts(upgrade, step.before, step.after, earlier)
            owners |= given


_OWNER = re.compile(
    r"""(?:^|;)\s*(?P<sql>ALTER\s+(?P<kind>(?:MATERIALIZED\s+|FOREIGN\s+)?\w+)\s+(?:IF\s+EXISTS\s+)?(?P<name>[\w.]+)\s*(?:\([^)]*\)\s*)?
    OWNER\s+TO\s+(?P<role>"[^"]+"|\w+))""",
    re.IGNORECASE | re.VERBOSE,
)


def _given_owners(upgrade: Upgrade) -> dict[str, LostPart]:
    """Return what an upgrade gave to another owner, by name; a snapshot holds no owners, they differ by server."""
    found: dict[str, LostPart] = {}
    for executed in upgrade.statements:
        for match in _OWNER.finditer(executed.statement.sql):
            if not match["role"].upper().startswith(("CURRENT_", "SESSION_")):
                name = match["name"].lower().removeprefix("public.")
                found[name] = LostPart(f"owner {match['role']}", match["sql"])
    return found


def _lost_parts(
    upgrade: Upgrade, before: Snapshot, after: Snapshot, owners: Mapping[str, LostPart]
) -> Iterator[Finding]:
    recreated = _recreated_objects(upgrade, before, after)
    if not recreated:
        return
    purposes = _purposes(upgrade)
    for name, (executed, label) in recreated.items():
        container = lost_with_container(before, after, name)
        dependents = lost_dependents(before, after, name, recreated.keys())
        is_batch = _is_batch(upgrade, name)
        lost = [
            part
            for part in (*container, *dependents, *([owners[name]] if name in owners else []))
            if not part.purposes & purposes and not (is_batch and part.is_reflected)
        ]
        if lost:
            without = ", ".join(part.label for part in lost)
            message = f"{label} is dropped and created again, without what it had: {without}"
            yield upgrade.finding(NOT_RECREATED, executed, message, _recipe(lost), name)


def _recipe(lost: list[LostPart]) -> str:
    statements = [part.remedy for part in lost if part.remedy]
    if not statements:
        return "create it again, too, after the CREATE"
    return "\n".join(["after the CREATE:", *(f'op.execute("""{statement}""")' for statement in statements)])


def _recreated_objects(upgrade: Upgrade, before: Snapshot, after: Snapshot) -> dict[str, tuple[ExecutedStatement, str]]:
    """Return by name what was dropped and exists again, with the statement that dropped it last and its label."""
    dropped = {
        operation.table or operation.name: executed
        for executed, operation in upgrade.all_operations()
        if operation.kind in {OperationKind.DROP_TABLE, OperationKind.DROP_OBJECT}
        and operation.object_type not in {"TRIGGER", "POLICY", "RULE", "STATISTICS"}  # parts, which are not containers
    }
    if not dropped:
        return {}
    labels = _labels(before)
    kept = labels.keys() & _labels(after).keys()
    return {name: (executed, labels[name]) for name, executed in dropped.items() if name in kept}


def _labels(schema: Snapshot) -> dict[str, str]:
    """Return tables, views, functions and sequences by name, each with its kind and name."""
    return {full_name(it): f"{object_kind(it)} {full_name(it)}" for it in containers(schema)}


def _purposes(upgrade: Upgrade) -> frozenset[tuple[str, str]]:
    """Return the verb of each statement that drops or changes something on purpose, with each name in it."""
    return frozenset(
        (tokens[0].word.upper(), token.text.lower())
        for executed in upgrade.statements
        for tokens in executed_statements(executed.statement.sql, upgrade.dialect)
        if tokens and tokens[0].word in _PURPOSEFUL
        for token in tokens
        if token.is_name
    )


def _is_batch(upgrade: Upgrade, table: str) -> bool:
    """Return whether Alembic rebuilt a table: what it reflects it keeps, unless the revision dropped it in Python."""
    return any(f"{BATCH_TABLE_PREFIX}{table}" in executed.statement.sql for executed in upgrade.statements)
