"""Constraints of tables: dropped, renamed, and added in steps that keep nobody out for long."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.pairs import is_of_type
from dormatory.backends.postgresql.alter.parts import part_change
from dormatory.backends.postgresql.alter.step import AlterStep, Phase, mentions, part_target, quoted, short_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.alter.pairs import SnapshotPair, TablePair
    from dormatory.schema.snapshot import Constraint, Table, TableId

_KEYS = frozenset({"PRIMARY KEY", "UNIQUE"})
_GROUP = r'\((?:[^()"]|"(?:[^"]|"")*")*\)'
_KEY = re.compile(
    rf"(?P<kind>PRIMARY KEY|UNIQUE)(?P<nulls> NULLS NOT DISTINCT)? (?P<columns>{_GROUP})(?P<include> INCLUDE {_GROUP})?"
)
_DEFINITION = re.compile(
    r"(?P<core>.*?)(?P<deferred>(?: DEFERRABLE)?(?: INITIALLY DEFERRED)?)(?P<options> WITH \([^()]*\))?"
    r"(?P<cluster> CLUSTER)?(?P<identity> REPLICA IDENTITY)?",
    re.DOTALL,
)
_UNCHECKED = re.compile(r" NOT (?:VALID|ENFORCED)$")


def inline_constraint(constraint: Constraint) -> str | None:
    """Return a constraint as CREATE TABLE has it; None for a foreign key, which is added when all tables exist."""
    if constraint.kind == "FOREIGN KEY":
        return None
    return f"CONSTRAINT {_name(constraint)} {_definition(constraint)}"


def constraint_steps(snapshots: SnapshotPair) -> Iterator[AlterStep]:
    """Yield the statements for the constraints of all tables; those of a new table come with it."""
    for table in snapshots.removed_tables:
        yield from _drops_before_tables(snapshots, table)
    for pair in snapshots.pairs.values():
        yield from _pair_steps(snapshots, pair)
    for table in snapshots.added_tables:
        for constraint in table.constraints:
            if constraint.references:
                locked = frozenset([constraint.references.table_id]) & frozenset(snapshots.pairs)
                yield AlterStep(Phase.ADD_FOREIGN_KEYS, _add(table, constraint), locked)
            yield from _settings(table, constraint, frozenset())


def _drops_before_tables(snapshots: SnapshotPair, table: Table) -> Iterator[AlterStep]:
    """Yield the drops of foreign keys between tables that all go: their order then does not matter."""
    gone = {it.id for it in snapshots.removed_tables} - {table.id}
    for constraint in table.constraints:
        if constraint.references and constraint.references.table_id in gone:
            yield AlterStep(Phase.DROP_FOREIGN_KEYS, _drop(table, constraint))


def _pair_steps(snapshots: SnapshotPair, pair: TablePair) -> Iterator[AlterStep]:
    change = part_change(
        pair.before.constraints, pair.after.constraints, lambda it: _is_in_the_way(snapshots, pair, it), _can_alter
    )
    own = frozenset([pair.after.id])
    for old, new in change.altered:
        yield from _alteration(pair, old, new)
    for old, new in change.renamed:
        sql = f"ALTER TABLE {short_name(pair.after.id)} RENAME CONSTRAINT {_name(old)} TO {_name(new)}"
        yield AlterStep(Phase.RENAME_PARTS, sql, own)
    for constraint in change.dropped:
        if not constraint.references and {it.name for it in pair.removed}.intersection(constraint.columns):
            continue  # it goes with its column
        phase = Phase.DROP_FOREIGN_KEYS if constraint.references else Phase.DROP_CONSTRAINTS
        yield AlterStep(phase, _drop(pair.before, constraint), _locked_tables(snapshots, pair.before, constraint))
    for constraint in change.made:
        target = part_target(pair.after.id, constraint)
        yield from (replace(step, makes=(target,)) for step in _additions(snapshots, pair.after, constraint))


def _is_in_the_way(snapshots: SnapshotPair, pair: TablePair, constraint: Constraint) -> bool:
    """Return whether a constraint that stays must be dropped for what happens to its columns."""
    if constraint.references:
        return snapshots.is_foreign_key_in_the_way(constraint, pair)
    exchanged = {it.name for it in pair.after.columns if is_of_type(it, snapshots.exchanged_names)}
    is_typed = constraint.kind not in _KEYS and mentions(constraint.definition, exchanged)
    return is_typed or mentions(constraint.definition, pair.remade_names)


def _can_alter(old: Constraint, new: Constraint) -> bool:
    """Return whether a constraint can be changed in place: validated, or a foreign key checked at another time."""
    if old.definition == f"{new.definition} NOT VALID":
        return True
    return bool(old.references and new.references) and _parts(old)["core"] == _parts(new)["core"]


def _alteration(pair: TablePair, old: Constraint, new: Constraint) -> Iterator[AlterStep]:
    table, own = short_name(pair.after.id), frozenset([pair.after.id])
    if old.definition == f"{new.definition} NOT VALID":
        yield AlterStep(Phase.ADD_CHECKS, f"ALTER TABLE {table} VALIDATE CONSTRAINT {_name(new)}", own, is_online=True)
    else:
        state = _parts(new)["deferred"].strip() or "NOT DEFERRABLE"
        yield AlterStep(Phase.RENAME_PARTS, f"ALTER TABLE {table} ALTER CONSTRAINT {_name(new)} {state}", own)


def _additions(snapshots: SnapshotPair, table: Table, constraint: Constraint) -> Iterator[AlterStep]:
    """Yield the statements that add a constraint to a table with rows."""
    locked = _locked_tables(snapshots, table, constraint)
    is_partitioned = table.kind == "partitioned table"
    if constraint.kind in _KEYS:
        yield from _key_additions(table, constraint, locked)
    elif constraint.kind == "EXCLUDE":
        yield AlterStep(Phase.ADD_KEYS, _add(table, constraint), locked)
    else:
        phase = Phase.ADD_FOREIGN_KEYS if constraint.references else Phase.ADD_CHECKS
        if _UNCHECKED.search(constraint.definition) or (is_partitioned and constraint.references):
            yield AlterStep(phase, _add(table, constraint), locked)
        else:
            validate = f"ALTER TABLE {short_name(table.id)} VALIDATE CONSTRAINT {_name(constraint)}"
            yield AlterStep(phase, f"{_add(table, constraint)} NOT VALID", locked, is_online=True)
            yield AlterStep(phase, validate, locked, is_online=True)
    yield from _settings(table, constraint, locked)


def _key_additions(table: Table, constraint: Constraint, locked: frozenset[TableId]) -> Iterator[AlterStep]:
    """Yield how a key is added: its index is built while others write, except on a partitioned table."""
    parts, name = _parts(constraint), _name(constraint)
    key = _KEY.fullmatch(parts["core"])
    if key is None or table.kind == "partitioned table":
        yield AlterStep(Phase.ADD_KEYS, _add(table, constraint), locked)
        return
    rest = "".join(filter(None, (key["include"], key["nulls"], parts["options"])))
    index = f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {short_name(table.id)} {key['columns']}{rest}"
    yield AlterStep(Phase.ADD_KEYS, index, locked, is_online=True)
    action = f"ADD CONSTRAINT {name} {key['kind']} USING INDEX {name}{parts['deferred']}"
    yield AlterStep(Phase.ADD_KEYS, f"ALTER TABLE {short_name(table.id)} {action}", locked)


def _settings(table: Table, constraint: Constraint, locked: frozenset[TableId]) -> Iterator[AlterStep]:
    parts = _parts(constraint)
    if parts["cluster"]:
        yield AlterStep(Phase.SET_TABLES, f"ALTER TABLE {short_name(table.id)} CLUSTER ON {_name(constraint)}", locked)
    if parts["identity"]:
        action = f"REPLICA IDENTITY USING INDEX {_name(constraint)}"
        yield AlterStep(Phase.SET_TABLES, f"ALTER TABLE {short_name(table.id)} {action}", locked)


def _locked_tables(snapshots: SnapshotPair, table: Table, constraint: Constraint) -> frozenset[TableId]:
    """Return the tables that stay and that a change of a constraint locks."""
    found = {table.id} | ({constraint.references.table_id} if constraint.references else set())
    return frozenset(found) & frozenset(snapshots.pairs)


def _add(table: Table, constraint: Constraint) -> str:
    return f"ALTER TABLE {short_name(table.id)} ADD CONSTRAINT {_name(constraint)} {_definition(constraint)}"


def _drop(table: Table, constraint: Constraint) -> str:
    return f"ALTER TABLE {short_name(table.id)} DROP CONSTRAINT {_name(constraint)}"


def _name(constraint: Constraint) -> str:
    return quoted(constraint.name or "")


def _definition(constraint: Constraint) -> str:
    """Return a definition as SQL has it: the parameters of the index before DEFERRABLE."""
    parts = _parts(constraint)
    return "".join(filter(None, (parts["core"], parts["options"], parts["deferred"])))


def _parts(constraint: Constraint) -> re.Match[str]:
    if found := _DEFINITION.fullmatch(constraint.definition):
        return found
    raise AssertionError(constraint)  # it matches every text
