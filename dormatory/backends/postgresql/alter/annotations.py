"""Comments and grants of all objects and their parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from dormatory.backends.postgresql.alter.step import AlterStep, Phase, part_target, quoted, short_name
from dormatory.schema.snapshot import Domain, Namespace, Table, View
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.schema.describe import Part
    from dormatory.schema.snapshot import Composite, Enum, Range, Sequence, Snapshot

    Owner: TypeAlias = Table | View | Enum | Domain | Composite | Range | Sequence | Namespace

_GRANT = re.compile(r"(?P<privileges>.*?) (?P<verb>to|revoked from) (?P<grantee>.*?)(?P<option> with grant option)?")
_GRANT_KINDS = {"VIEW": "TABLE", "MATERIALIZED VIEW": "TABLE", "FOREIGN TABLE": "TABLE", "DOMAIN": "TYPE"}


class _Annotated(NamedTuple):
    """What has a comment and grants: its name for COMMENT ON, that of its owner, and its name for GRANT."""

    target: str
    owner: str
    grant_target: str
    comment: str | None
    grants: tuple[str, ...]
    column: str = ""


def annotation_steps(before: Snapshot, after: Snapshot, made: Collection[str]) -> Iterator[AlterStep]:
    """Yield the statements for comments and grants; what was made (names for COMMENT ON) starts without any."""
    old = {it.target: it for it in _annotated_objects(before) if it.target not in made and it.owner not in made}
    for new in _annotated_objects(after):
        previous = old.get(new.target)
        if (previous.comment if previous else None) != new.comment:
            text = "NULL" if new.comment is None else quote_literal(new.comment)
            yield AlterStep(Phase.ANNOTATE, f"COMMENT ON {new.target} IS {text}")
        known = previous.grants if previous else ()
        for grant in known:
            if grant not in new.grants:
                yield AlterStep(Phase.ANNOTATE, _grant_statement(new, grant, is_undone=True))
        for grant in new.grants:
            if grant not in known:
                yield AlterStep(Phase.ANNOTATE, _grant_statement(new, grant))


def _annotated_objects(snapshot: Snapshot) -> Iterator[_Annotated]:
    kinds: tuple[tuple[str, tuple[Owner, ...]], ...] = (
        ("SCHEMA", snapshot.namespaces),
        ("TYPE", (*snapshot.enums, *snapshot.composites, *snapshot.ranges)),
        ("DOMAIN", snapshot.domains),
        ("SEQUENCE", snapshot.sequences),
        ("", (*snapshot.tables, *snapshot.views)),
    )
    for kind, owners in kinds:
        for owner in owners:
            yield from _annotated_parts(owner, kind or _relation_kind(owner))


def _annotated_parts(owner: Owner, kind: str) -> Iterator[_Annotated]:
    """Yield an object and its parts."""
    name = quoted(owner.name) if isinstance(owner, Namespace) else short_name((owner.namespace, owner.name))
    grant_target = f"{_GRANT_KINDS.get(kind, kind)} {name}"
    target = f"{kind} {name}"
    yield _Annotated(target, target, grant_target, owner.comment, owner.grants)
    if isinstance(owner, Table | View):
        for column in owner.columns:
            place = f"COLUMN {name}.{quoted(column.name)}"
            yield _Annotated(place, target, grant_target, column.comment, column.grants, quoted(column.name))
        parts: tuple[Part, ...] = (*owner.indexes, *owner.triggers, *owner.rules)
        for part in parts:
            yield _Annotated(part_target((owner.namespace, owner.name), part), target, "", part.comment, ())
    if isinstance(owner, Table):
        own_parts: tuple[Part, ...] = (*owner.constraints, *owner.policies)
        for each in own_parts:
            yield _Annotated(part_target((owner.namespace, owner.name), each), target, "", each.comment, ())
    if isinstance(owner, Domain):
        for constraint in owner.constraints:
            place = f"CONSTRAINT {quoted(constraint.name or '')} ON DOMAIN {name}"
            yield _Annotated(place, target, "", constraint.comment, ())


def _relation_kind(owner: Owner) -> str:
    kind = owner.kind.upper() if isinstance(owner, Table | View) else ""
    return "TABLE" if kind == "PARTITIONED TABLE" else kind


def _grant_statement(of: _Annotated, grant: str, *, is_undone: bool = False) -> str:
    found = _GRANT.fullmatch(grant)
    if found is None:  # see introspection.convert.grant_text
        raise AssertionError(grant)
    column = f" ({of.column})" if of.column else ""
    privileges = ", ".join(f"{privilege}{column}" for privilege in found["privileges"].split(", "))
    grantee = {"public": "PUBLIC", "its owner": "CURRENT_USER"}.get(found["grantee"]) or quoted(found["grantee"])
    if (found["verb"] == "to") == is_undone:
        return f"REVOKE {privileges} ON {of.grant_target} FROM {grantee}"
    option = " WITH GRANT OPTION" if found["option"] else ""
    return f"GRANT {privileges} ON {of.grant_target} TO {grantee}{option}"
