"""Enumerations, domains, composite types and ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.step import AlterStep, Phase, quoted, short_name
from dormatory.schema.snapshot import Composite, Domain, Enum, Range
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.alter.pairs import SnapshotPair
    from dormatory.schema.snapshot import Constraint, Snapshot

_Type = Enum | Domain | Composite | Range
_OLD = "_old"  # ends the name of a type while another one takes its place


def type_steps(snapshots: SnapshotPair) -> Iterator[AlterStep]:
    """Yield the statements for all types; the columns of an exchanged one change between its creation and its end."""
    old, new = _types(snapshots.before), _types(snapshots.after)
    exchanged = {(one.namespace, one.name) for one, _ in snapshots.exchanged_types}
    for id_ in exchanged:
        sql = f"ALTER {_kind(old[id_])} {short_name(id_)} RENAME TO {quoted(id_[1] + _OLD)}"
        yield AlterStep(Phase.SET_TYPES_ASIDE, sql)
    for id_, type_ in new.items():
        if id_ in exchanged or id_ not in old:
            yield AlterStep(Phase.CREATE_TYPES, _create(type_), makes=(f"{_kind(type_)} {short_name(id_)}",))
        else:
            yield from _changes(old[id_], type_)
    for id_, type_ in reversed(old.items()):
        if id_ in exchanged:
            yield AlterStep(Phase.DROP_TYPES, f"DROP {_kind(type_)} {short_name((id_[0], id_[1] + _OLD))}")
        elif id_ not in new:
            yield AlterStep(Phase.DROP_TYPES, f"DROP {_kind(type_)} {short_name(id_)}")


def _changes(old: _Type, new: _Type) -> Iterator[AlterStep]:
    """Yield what changes a type in place."""
    match old, new:
        case Enum(), Enum():
            yield from _added_labels(old, new)
        case Domain(), Domain():
            yield from _domain_changes(old, new)


def _types(snapshot: Snapshot) -> dict[tuple[str | None, str], _Type]:
    """Return the types by their names, those that others may use first."""
    every: tuple[_Type, ...] = (*snapshot.enums, *snapshot.domains, *snapshot.composites, *snapshot.ranges)
    return {(it.namespace, it.name): it for it in every}


def _kind(type_: _Type) -> str:
    return "DOMAIN" if isinstance(type_, Domain) else "TYPE"


def _create(type_: _Type) -> str:
    name = short_name((type_.namespace, type_.name))
    match type_:
        case Enum():
            return f"CREATE TYPE {name} AS ENUM ({', '.join(map(quote_literal, type_.values))})"
        case Range():
            return f"CREATE TYPE {name} AS RANGE ({type_.definition.replace(', opclass = ', ', subtype_opclass = ')})"
        case Composite():
            columns = (
                f"{quoted(it.name)} {it.type}{f' COLLATE {it.collation}' * bool(it.collation)}" for it in type_.columns
            )
            return f"CREATE TYPE {name} AS ({', '.join(columns)})"
        case Domain():
            parts = [f"CREATE DOMAIN {name} AS {type_.type}"]
            parts += [f"COLLATE {type_.collation}"] * bool(type_.collation)
            parts += [f"DEFAULT {type_.default}"] * (type_.default is not None)
            parts += ["NOT NULL"] * (not type_.nullable)
            parts += (f"CONSTRAINT {quoted(it.name or '')} {it.definition}" for it in type_.constraints)
            return " ".join(parts)


def _added_labels(old: Enum, new: Enum) -> Iterator[AlterStep]:
    """Yield a statement for each new label; the first stands before the one that follows, the others after."""
    known = list(old.values)
    for place, label in enumerate(new.values):
        if label not in old.values:
            where = (
                f" AFTER {quote_literal(new.values[place - 1])}"
                if place
                else f" BEFORE {quote_literal(known[0])}"
                if known
                else ""
            )
            if place and new.values[place - 1] == known[-1]:
                where = ""  # a label comes last by itself
            name = short_name((new.namespace, new.name))
            yield AlterStep(
                Phase.ADD_LABELS, f"ALTER TYPE {name} ADD VALUE {quote_literal(label)}{where}", is_online=True
            )
            known.insert(place, label)


def _domain_changes(old: Domain, new: Domain) -> Iterator[AlterStep]:
    head = f"ALTER DOMAIN {short_name((new.namespace, new.name))}"
    before, after = {it.name: it for it in old.constraints}, {it.name: it for it in new.constraints}
    for name, constraint in before.items():
        if not _is_same(constraint, after.get(name)):
            yield AlterStep(Phase.DROP_CONSTRAINTS, f"{head} DROP CONSTRAINT {quoted(name or '')}")
    if old.default != new.default:
        action = "DROP DEFAULT" if new.default is None else f"SET DEFAULT {new.default}"
        yield AlterStep(Phase.ALTER_COLUMNS, f"{head} {action}")
    if old.nullable != new.nullable:
        yield AlterStep(Phase.REQUIRE, f"{head} {'DROP' if new.nullable else 'SET'} NOT NULL")
    for name, constraint in after.items():
        if not _is_same(constraint, before.get(name)):
            yield from _domain_constraint(
                f"{head} ADD CONSTRAINT {quoted(name or '')} {constraint.definition}", head, name
            )


def _domain_constraint(add: str, head: str, name: str | None) -> Iterator[AlterStep]:
    if add.endswith(" NOT VALID"):
        yield AlterStep(Phase.ADD_CHECKS, add)
        return
    yield AlterStep(Phase.ADD_CHECKS, f"{add} NOT VALID", is_online=True)
    yield AlterStep(Phase.ADD_CHECKS, f"{head} VALIDATE CONSTRAINT {quoted(name or '')}", is_online=True)


def _is_same(constraint: Constraint, other: Constraint | None) -> bool:
    return other is not None and constraint.definition == other.definition
