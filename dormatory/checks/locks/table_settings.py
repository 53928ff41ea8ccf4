"""Rules about settings of tables that cost more than they seem to: replica identity, autovacuum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import full_name
from dormatory.checks.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Upgrade

REPLICA_IDENTITY_FULL = Rule(
    "replica-identity-full",
    "locks",
    Severity.NOTE,
    meaning="a table gets REPLICA IDENTITY FULL",
    why="""Each UPDATE and DELETE writes the whole old row to the log, and a subscriber without a fitting index reads
    its whole table for each.""",
    recipe='op.execute("ALTER TABLE stay REPLICA IDENTITY USING INDEX stay_key")',
    replaces=("ban-replica-identity",),
)

AUTOVACUUM_OFF = Rule(
    "autovacuum-off",
    "locks",
    Severity.NOTE,
    meaning="autovacuum is switched off for a table",
    why="Dead rows stay, and statistics get old, until somebody runs VACUUM by hand.",
    recipe='op.execute("ALTER TABLE stay SET (autovacuum_vacuum_scale_factor = 0.01)")  # more often instead',
)
_OFF = frozenset({"autovacuum_enabled=false", "autovacuum_enabled=off", "autovacuum_enabled=0"})


def costly_settings(upgrade: Upgrade) -> Iterator[Finding]:
    """Report tables that have such a setting after the upgrade, and had not before."""
    before = {full_name(table): set(table.options) for table in upgrade.step.before.tables}
    for table in upgrade.tables_after:
        name, added = full_name(table), set(table.options) - before.get(full_name(table), set())
        if "replica identity full" in added and (executed := upgrade.ddl_naming(table.name, "identity")):
            message = f"each UPDATE and DELETE of {name} writes the whole old row to the log"
            hint = f"a primary key, or: ALTER TABLE {name} REPLICA IDENTITY USING INDEX …"
            yield upgrade.finding(REPLICA_IDENTITY_FULL, executed, message, hint, name)
        if added & _OFF and (executed := upgrade.ddl_naming(table.name, "autovacuum_enabled")):
            message = f"{name} is not vacuumed any more, and its statistics are not renewed"
            hint = f'op.execute("ALTER TABLE {name} RESET (autovacuum_enabled)")  # once the rows are loaded'
            yield upgrade.finding(AUTOVACUUM_OFF, executed, message, hint, name)
