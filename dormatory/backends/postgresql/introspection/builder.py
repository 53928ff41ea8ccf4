"""The values of a snapshot, built from what PostgreSQL's catalogs answered."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from dormatory.backends.postgresql.introspection import convert as rows
from dormatory.backends.postgresql.introspection.catalog_rows import AttachedRow
from dormatory.schema.snapshot import (
    Column,
    Composite,
    Constraint,
    Domain,
    Enum,
    Extension,
    Function,
    Index,
    Namespace,
    Other,
    Range,
    Sequence,
    Table,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.introspection.catalog import Memory
    from dormatory.backends.postgresql.introspection.catalog_rows import TypeRow

_ATTACHED_CATALOGS = {"trigger": "pg_trigger", "rule": "pg_rewrite", "policy": "pg_policy"}
_FIELDS = {"trigger": "triggers", "rule": "rules", "policy": "policies"}
_BY_NAME, _NUMBER = attrgetter("name"), itemgetter(1)
_T = TypeVar("_T")


class Builder:
    """Builds values; `version` is the server's number."""

    def __init__(self, memory: Memory, version: int) -> None:
        self._memory, self._version = memory, version
        self._noted = {oid for notes in (memory.comments, memory.grants) for _, oid, _ in notes}

    def relation(self, oid: int) -> Table | View:
        """Return a table or a view."""
        row = self._memory.relations[oid]
        attached = self._attached(oid)
        parts: dict[str, Any] = {
            "columns": self._columns(oid),
            "indexes": self._indexes(oid),
            **{kind: tuple(attached[kind]) for kind in ("triggers", "rules") if kind in attached},
            **self._facts("pg_class", oid),
        }
        if row.view is not None:
            return replace(rows.view(row, self._version), **parts)
        policies = tuple(attached.get("policies", ()))
        return replace(rows.table(row), constraints=self._constraints(oid, oid), policies=policies, **parts)

    def type(self, row: TypeRow) -> Enum | Domain | Composite | Range:
        """Return a type."""
        facts = self._facts("pg_type", row.oid)
        if row.kind == "e":
            return Enum(row.namespace, row.name, tuple(row.labels), **facts)
        if row.kind == "c":
            return Composite(row.namespace, row.name, self._columns(row.relation), **facts)
        if row.kind == "r":
            return Range(row.namespace, row.name, row.range or "", **facts)
        return Domain(
            row.namespace,
            row.name,
            row.base,
            nullable=not row.not_null,
            default=row.default,
            collation=row.collation,
            constraints=self._constraints(-row.oid, 0),
            **facts,
        )

    def sequence(self, oid: int) -> Sequence | None:
        """Return a sequence, if it is one: those behind identity columns and of tables left out do not count."""
        memory, owner = self._memory, None
        row = memory.sequences.get(oid)
        if row is None or row.dependency == "i" or row.relation in memory.left_out:
            return None
        if row.relation in memory.relations:
            relation = memory.relations[row.relation]
            owner = f"{relation.namespace}.{relation.name}.{memory.names[row.relation][row.column or 0]}"
        return self._with_facts(rows.sequence(row, owner), "pg_class", oid)

    def function(self, oid: int) -> Function:
        """Return a function."""
        return self._with_facts(rows.function(self._memory.functions[oid]), "pg_proc", oid)

    def places(self) -> Iterator[Namespace | Extension]:
        """Yield namespaces and extensions."""
        for kind, oid, name, namespace, version in self._memory.places:
            if kind == "namespace":
                yield Namespace(name, **self._facts("pg_namespace", oid))
                continue
            usual = name == "plpgsql" or self._memory.extension_defaults.get(name) == version
            yield Extension(name, namespace, None if usual else version)

    def others(self) -> Iterator[Other]:
        """Yield what is of a rarer kind."""
        for kind, name, kept_in, oid, definition in self._memory.others:
            yield Other(kind, name, definition, self._memory.comments.get((kept_in, oid, 0)))

    def _facts(self, kept_in: str, oid: int, part: int = 0) -> dict[str, Any]:
        """Return the comment and the grants of an object, as far as it has any."""
        facts: dict[str, Any] = {}
        if oid not in self._noted:  # as most are
            return facts
        key = kept_in, oid, part
        if (comment := self._memory.comments.get(key)) is not None:
            facts["comment"] = comment
        if grants := self._memory.grants.get(key):
            facts["grants"] = grants
        return facts

    def _with_facts(self, value: _T, kept_in: str, oid: int, part: int = 0) -> _T:
        facts = self._facts(kept_in, oid, part)
        return replace(value, **facts) if facts else value  # type: ignore[type-var]

    def _columns(self, oid: int) -> tuple[Column, ...]:
        memory = self._memory
        answers = memory.columns.get(oid, ())
        notes = {
            number: note
            for row in memory.constraints.get(oid, ())
            if row[4] == "n" and (note := _not_null_note(row))
            for number in row[6] or ()
        }
        identities = memory.identities.get(oid, {})
        is_partition = oid in memory.relations and memory.relations[oid].bound is not None
        return tuple(
            self._with_facts(
                rows.column(row[2:], identities.get(row[1], ""), notes.get(row[1]), is_partition=is_partition),
                "pg_class",
                oid,
                row[1],
            )
            for row in sorted(answers, key=_NUMBER)
        )

    def _constraints(self, owner: int, relation: int) -> tuple[Constraint, ...]:
        names = self._memory.names
        found = [
            self._with_facts(
                rows.constraint(row, names.get(relation, {}), names.get(row[7], {})), "pg_constraint", row[0]
            )
            for row in self._memory.constraints.get(owner, ())
            if row[4] != "n"
        ]
        return tuple(sorted(found, key=lambda it: (it.kind, it.name or "")))

    def _indexes(self, oid: int) -> tuple[Index, ...]:
        answers = self._memory.indexes.get(oid, ())
        return tuple(
            sorted((self._with_facts(rows.index(row[2:]), "pg_class", row[0]) for row in answers), key=_BY_NAME)
        )

    def _attached(self, oid: int) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for row in map(AttachedRow._make, self._memory.attached.get(oid, ())):
            value = self._with_facts(rows.attached(row), _ATTACHED_CATALOGS[row.kind], row.oid)
            found.setdefault(_FIELDS[row.kind], []).append(value)
        return {kind: sorted(its, key=_BY_NAME) for kind, its in found.items()}


def _not_null_note(row: Any) -> str:
    """Return what a NOT NULL of PostgreSQL 18 says that no older version can."""
    validated, no_inherit = row[14:16]
    return " ".join(["NO INHERIT"] * no_inherit + ["NOT VALID"] * (not validated))
