"""All rules, collected from the modules that define them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks import (
    acceptance,
    branch_conflicts,
    data,
    drift,
    dump,
    engine_errors,
    environment,
    graph,
    integrity,
    parity,
    privileges,
    recreated,
    revision_files,
    roundtrip,
    row_failures,
    source,
    sqlfluff,
    squawk,
    suppression,
    traces,
)
from dormatory.checks.locks import (
    duration,
    foreign_keys,
    identifiers,
    indexes,
    names_in_use,
    new_columns,
    partitions,
    rewrites,
    scans,
    table_settings,
    whole_tables,
)
from dormatory.checks.rule import Rule
from dormatory.checks.source import colons, imports, naming, portability, transaction_ends, transactions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

# In the order of the manual; a module that holds a rule and is missing here fails a test.
_MODULES = (
    *(graph, revision_files, branch_conflicts, engine_errors, integrity, suppression, acceptance),
    *(imports, naming, colons, transaction_ends, transactions, portability, source),
    *(roundtrip, traces, row_failures, environment, recreated, privileges, data, drift, parity, dump),
    *(indexes, scans, rewrites, names_in_use, partitions, duration, whole_tables, foreign_keys, new_columns),
    *(table_settings, identifiers, squawk, sqlfluff),
)
FAMILIES: Mapping[str, str] = {
    "graph": "The revision graph, read from the files; no database, nothing imported.",
    "integrity": "Published revisions stay as they are: `alembic/versions.sum` holds a digest of each.",
    "suppression": "Comments that hide a finding, and the file of accepted findings.",
    "source": "What a revision's own text shows.",
    "roundtrip": "What playing the history up, down and up again shows.",
    "data": "What becomes of rows on the way.",
    "drift": "Models and database against the history.",
    "parity": "The two backends against each other.",
    "dump": "The committed schema files.",
    "locks": "What a revision does to programs that run meanwhile, on PostgreSQL, to tables that existed before it.",
    "sql": "SQL written by hand.",
}


def collect_rules(modules: Iterable[ModuleType]) -> dict[str, Rule]:
    """Return the rules that modules hold, by id and family by family; ValueError for an id that two rules have."""
    found: dict[str, Rule] = {}
    for rule in (value for module in modules for value in vars(module).values() if isinstance(value, Rule)):
        if found.setdefault(rule.id, rule) is not rule:
            raise ValueError(f"two rules have the id {rule.id}")
    order = list(FAMILIES)
    return {rule.id: rule for rule in sorted(found.values(), key=lambda rule: order.index(rule.family))}


RULES: Mapping[str, Rule] = collect_rules(_MODULES)
RULES_REPLACED_IN_SQUAWK = frozenset(name for rule in RULES.values() for name in rule.replaces)
