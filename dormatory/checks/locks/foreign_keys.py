"""Rules about foreign keys that a revision adds: no index on the referring side, and a type other than the target's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.recipes import autocommit_block, python_list
from dormatory.checks.locks.upgrade import full_name, schema_at_head
from dormatory.checks.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Upgrade
    from dormatory.schema.snapshot import Constraint, Snapshot, Table

FOREIGN_KEY_NOT_INDEXED = Rule(
    "foreign-key-not-indexed",
    "locks",
    Severity.WARNING,
    meaning="a foreign key has no index on its referring side",
    why="""Each DELETE of a referenced row, and each UPDATE of its key, reads the whole referring table. It is a warning
    where such a DELETE or UPDATE is meant to reach the rows of a table that existed before (CASCADE, SET NULL, SET
    DEFAULT), and else a note.""",
    recipe="""
    with op.get_context().autocommit_block():  # alone in its revision
        op.create_index("ix_stay_room_id", "stay", ["room_id"], postgresql_concurrently=True)
    """,
)
_REACHING_ACTIONS = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


def unindexed_foreign_keys(upgrades: Sequence[Upgrade]) -> Iterator[Finding]:
    """Report new foreign keys for which no index exists at the head of the history either.

    Those that are notes are one note together, at the first of them.
    """
    head = schema_at_head(upgrades)
    unindexed = [
        (upgrade, table, constraint)
        for upgrade in upgrades
        for table, constraint in _added_foreign_keys(upgrade)
        if head is not None and _lacks_index(head, table, constraint)
    ]
    reaching = [it for it in unindexed if it[0].has_kept(full_name(it[1])) and _reaching_event(it[2])]
    for upgrade, table, constraint in reaching:
        executed = upgrade.ddl_naming(table.name, *constraint.columns)
        if executed is not None:
            name, columns = full_name(table), ", ".join(constraint.columns)
            event = _reaching_event(constraint)
            message = f"the foreign key of {name} ({columns}) has no index: {event} reads all of {name} for each row"
            yield upgrade.finding(FOREIGN_KEY_NOT_INDEXED, executed, message, _index_recipe(table, constraint), name)
    yield from _one_note([it for it in unindexed if it not in reaching])


def _one_note(unindexed: Sequence[tuple[Upgrade, Table, Constraint]]) -> Iterator[Finding]:
    """Yield one note for all foreign keys that only a rare DELETE would be slow for, at the first of them."""
    places = [f"{full_name(table)} ({', '.join(constraint.columns)})" for _, table, constraint in unindexed]
    for upgrade, table, constraint in unindexed[:1]:
        executed = upgrade.ddl_naming(table.name, *constraint.columns)
        if executed is not None:
            message = f"no index helps to find the rows that a foreign key refers from: {', '.join(places)}"
            hint = f"where rows of {constraint.references.table if constraint.references else '…'} are deleted:\n"
            hint += _index_recipe(table, constraint)
            note = Severity.NOTE
            yield upgrade.finding(FOREIGN_KEY_NOT_INDEXED, executed, message, hint, full_name(table), severity=note)


def _reaching_event(constraint: Constraint) -> str:
    """Return the event that is meant to reach the referring rows, "" where none is."""
    reference = constraint.references
    if reference is None:
        return ""
    if reference.on_delete in _REACHING_ACTIONS:
        return f"ON DELETE {reference.on_delete}"
    return f"ON UPDATE {reference.on_update}" if reference.on_update in _REACHING_ACTIONS else ""


def _index_recipe(table: Table, constraint: Constraint) -> str:
    name, columns = f"ix_{table.name}_{'_'.join(constraint.columns)}", python_list(constraint.columns)
    call = f'op.create_index("{name}", "{full_name(table)}", {columns}, postgresql_concurrently=True)'
    return autocommit_block(call, comment="alone in its revision")


def _added_foreign_keys(upgrade: Upgrade) -> Iterator[tuple[Table, Constraint]]:
    """Yield the foreign keys that a table has after the upgrade and had not before, under any name."""
    before = {full_name(table): table for table in upgrade.step.before.tables}
    for table in upgrade.tables_after:
        old = before.get(full_name(table))
        known = {(it.columns, it.references) for it in (old.constraints if old else ())}
        for constraint in table.constraints:
            if constraint.kind == "FOREIGN KEY" and (constraint.columns, constraint.references) not in known:
                yield table, constraint


def _lacks_index(head: Snapshot, table: Table, constraint: Constraint) -> bool:
    """Return whether the foreign key still exists at the head and its columns begin no index there."""
    now = next((it for it in head.tables if full_name(it) == full_name(table)), None)
    if now is None or now.kind != "table" or not any(it.columns == constraint.columns for it in now.constraints):
        return False
    keys = [it.columns for it in now.constraints if it.kind in {"PRIMARY KEY", "UNIQUE"}]
    keys += [tuple(key.split(" ")[0].strip('"') for key in index.keys) for index in now.indexes if not index.predicate]
    wanted = set(constraint.columns)
    return not any(set(key[: len(wanted)]) == wanted for key in keys)


FOREIGN_KEY_TYPE_DIFFERS = Rule(
    "foreign-key-type-differs",
    "locks",
    Severity.WARNING,
    meaning="a foreign key has another type than the column that it refers to",
    why="""A narrower one overflows before its target does, and values of different types are converted for each
    comparison.""",
    recipe='sa.Column("room_id", sa.BigInteger(), sa.ForeignKey("room.id"))',
)
_MODIFIERS = re.compile(r"\([^)]*\)")
_TEXTS = frozenset({"text", "character varying"})


def differing_foreign_key_types(upgrade: Upgrade) -> Iterator[Finding]:
    """Report new foreign keys whose columns have other types than those they refer to; lengths do not matter."""
    tables = {table.id: table for table in upgrade.tables_after}
    for table, constraint in _added_foreign_keys(upgrade):
        target = tables.get(constraint.references.table_id) if constraint.references else None
        if target is None or constraint.references is None:
            continue
        types = {column.name: column.type for column in table.columns}
        target_types = {column.name: column.type for column in target.columns}
        for name, other in zip(constraint.columns, constraint.references.columns, strict=False):
            own, wanted = types.get(name, ""), target_types.get(other, "")
            if _plain_type(own) != _plain_type(wanted) and (executed := upgrade.ddl_naming(table.name, name)):
                message = f"{full_name(table)}.{name} is {own}, and {full_name(target)}.{other}, its target, {wanted}"
                hint = f"give {name} the type of its target: {wanted}"
                yield upgrade.finding(FOREIGN_KEY_TYPE_DIFFERS, executed, message, hint, f"{full_name(table)}.{name}")


def _plain_type(text: str) -> str:
    """Return a type without its modifiers; the types of text are one."""
    plain = _MODIFIERS.sub("", text).strip()
    return "text" if plain in _TEXTS else plain
