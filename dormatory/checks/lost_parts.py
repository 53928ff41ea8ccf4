"""What was lost between two schemas with an object that was dropped and created again: pure, from the snapshots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dormatory.checks.locks.recipes import index_statement
from dormatory.checks.locks.upgrade import full_name
from dormatory.schema.describe import object_kind
from dormatory.schema.snapshot import Constraint, Index, Policy, Table, View
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.schema.snapshot import Function, RewriteRule, Sequence, Snapshot, Trigger

    Container: TypeAlias = Table | View | Function | Sequence
    LostObject: TypeAlias = Constraint | Index | Policy | RewriteRule | Trigger

_WORD = re.compile(r'"(?:[^"]|"")+"|\w+')
_GRANT = re.compile(r"(?P<privileges>.+) to (?P<grantee>\S+)(?P<option> with grant option)?")


@dataclass(frozen=True, slots=True)
class LostPart:
    """One thing that is gone: its label, the statement that brings it back, and what would show a purpose.

    `purposes` are pairs of a verb and a name: a statement with both changes the part on purpose. `is_reflected` is true
    for what a batch operation of Alembic keeps unless the revision drops it in Python.
    """

    label: str
    remedy: str = ""
    purposes: frozenset[tuple[str, str]] = frozenset()
    is_reflected: bool = False


def lost_with_container(before: Snapshot, after: Snapshot, name: str) -> Iterator[LostPart]:
    """Yield the parts and attributes that a table, view, function or sequence of this name has no more."""
    old, new = _container(before, name), _container(after, name)
    if old is None or new is None:
        return
    if isinstance(old, Table | View) and isinstance(new, Table | View):
        yield from _lost_members(old, new)
        yield from _lost_options(old, new)
        yield from _lost_column_comments(old, new)
    yield from _lost_comment_and_grants(old, new, name)


def lost_dependents(before: Snapshot, after: Snapshot, name: str, recreated: Collection[str]) -> Iterator[LostPart]:
    """Yield what depended on an object of this name without being a part of it, and is gone.

    That is what DROP ... CASCADE takes along: views, foreign keys, triggers that call a function.
    """
    bare = name.rpartition(".")[2]
    views = {full_name(view) for view in after.views}
    for view in before.views:
        if full_name(view) not in views and _mentions(view.definition, bare):
            yield LostPart(f"{view.kind} {full_name(view)}", purposes=_drop_purposes(view.name))
    statistics = {other.name for other in after.others}
    for other in before.others:
        if other.kind == "statistics object" and other.name not in statistics and _mentions(other.definition, bare):
            short = other.name.rpartition(".")[2]
            yield LostPart(f"statistics {short}", other.definition or "", _drop_purposes(short))
    old_relations: tuple[Table | View, ...] = (*before.tables, *before.views)
    new_relations: tuple[Table | View, ...] = (*after.tables, *after.views)
    relations = {full_name(each): each for each in new_relations}
    for old in old_relations:
        new, within = relations.get(full_name(old)), full_name(old)
        if new is not None and within not in recreated:
            for part in _missing_members(old, new):
                if part.name and _mentions(_definition(part), bare):
                    label = f"{object_kind(part)} {part.name} on {within}"
                    yield LostPart(label, _remedy(part, within), _drop_purposes(part.name))


def containers(schema: Snapshot) -> tuple[Container, ...]:
    """Return the tables, views, functions and sequences of a schema."""
    return (*schema.tables, *schema.views, *schema.functions, *schema.sequences)


def _container(schema: Snapshot, name: str) -> Container | None:
    return next((it for it in containers(schema) if full_name(it) == name), None)


def _lost_members(old: Table | View, new: Table | View) -> Iterator[LostPart]:
    """Yield indexes, triggers, rules and policies; constraints stand in the CREATE TABLE itself."""
    missing = {column.name for column in old.columns} - {column.name for column in new.columns}
    for part in _missing_members(old, new):
        is_natural = any(_mentions(_definition(part), column) for column in missing)
        if part.name and not is_natural and not isinstance(part, Constraint):
            is_plain = isinstance(part, Index) and all(key.split(" ")[0].isidentifier() for key in part.keys)
            label, remedy = f"{object_kind(part)} {part.name}", _remedy(part, full_name(old))
            yield LostPart(label, remedy, _drop_purposes(part.name), is_reflected=is_plain)


def _missing_members(old: Table | View, new: Table | View) -> Iterator[LostObject]:
    """Yield the parts of one state that the other has under no name."""
    for field in ("constraints", "indexes", "triggers", "rules", "policies"):
        kept = getattr(new, field, ())
        names, definitions = {part.name for part in kept}, {_definition(part) for part in kept}
        for part in getattr(old, field, ()):
            is_renamed = isinstance(part, Index | Constraint) and _definition(part) in definitions
            if part.name not in names and not is_renamed:
                yield part


def _definition(part: LostObject) -> str:
    if isinstance(part, Policy):
        return f"{part.command} {part.using or ''} {part.check or ''}"
    return part.definition


def _remedy(part: LostObject, within: str) -> str:
    """Return the statement that creates a part again, "" where the snapshot does not hold all of it."""
    match part:
        case Index():
            return index_statement(part, within)
        case Constraint():
            return f"ALTER TABLE {within} ADD CONSTRAINT {part.name} {part.definition}"
        case Policy():
            using = f" USING ({part.using})" if part.using else ""
            check = f" WITH CHECK ({part.check})" if part.check else ""
            roles = ", ".join(part.roles)
            return f"CREATE POLICY {part.name} ON {within} FOR {part.command} TO {roles}{using}{check}"
    return part.definition if part.definition.upper().startswith("CREATE") else ""


def _lost_options(old: Table | View, new: Table | View) -> Iterator[LostPart]:
    """Yield row security, and options such as security_barrier."""
    name = full_name(old)
    if isinstance(old, Table) and isinstance(new, Table) and old.row_security and not new.row_security:
        remedy = f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
        yield LostPart("row level security", remedy, frozenset({("ALTER", old.name.lower())}))
    kept = {option.partition("=")[0] for option in new.options}
    for option in old.options:
        if option.partition("=")[0] not in kept and "=" in option:
            kind = "TABLE" if isinstance(old, Table) else old.kind.upper()
            yield LostPart(f"option {option}", f"ALTER {kind} {name} SET ({option})")


def _lost_column_comments(old: Table | View, new: Table | View) -> Iterator[LostPart]:
    columns = {column.name: column for column in new.columns}
    for column in old.columns:
        now, place = columns.get(column.name), f"{full_name(old)}.{column.name}"
        if now is None:
            continue
        if column.comment and not now.comment:
            remedy = f"COMMENT ON COLUMN {place} IS {quote_literal(column.comment)}"
            purposes = frozenset({("COMMENT", column.name.lower())})
            yield LostPart(f"comment of {column.name}", remedy, purposes, is_reflected=True)
        for grant in column.grants:
            if grant not in now.grants:
                purposes = frozenset({("REVOKE", old.name.lower())})
                yield LostPart(f"{grant} on {column.name}", "", purposes)


def _lost_comment_and_grants(old: Container, new: Container, name: str) -> Iterator[LostPart]:
    kind = "TABLE" if isinstance(old, Table) else object_kind(old).upper()
    if old.comment and not new.comment:
        remedy = f"COMMENT ON {kind} {name} IS {quote_literal(old.comment)}"
        yield LostPart("comment", remedy, frozenset({("COMMENT", old.name.lower())}), is_reflected=True)
    target = name if isinstance(old, Table | View) else f"{kind} {name}"
    for grant in old.grants:
        if grant not in new.grants:
            found = _GRANT.fullmatch(grant)
            option = (found["option"] or "").upper() if found else ""
            remedy = f"GRANT {found['privileges']} ON {target} TO {found['grantee']}{option}" if found else ""
            label = f"grant of {grant}" if found else grant
            yield LostPart(label, remedy, frozenset({("REVOKE", old.name.lower())}))


def _drop_purposes(name: str) -> frozenset[tuple[str, str]]:
    return frozenset({("DROP", name.lower()), ("ALTER", name.lower())})


def _mentions(definition: str | None, name: str) -> bool:
    words = {word.strip('"').lower() for word in _WORD.findall(definition or "")}
    return name.lower() in words
