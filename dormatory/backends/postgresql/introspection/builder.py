"""Build the values of a snapshot from the rows of PostgreSQL's catalogs."""

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

    from dormatory.backends.postgresql.introspection.catalog import PostgreSQLCatalogCache
    from dormatory.backends.postgresql.introspection.catalog_rows import TypeRow

_ATTACHED_CATALOGS = {"trigger": "pg_trigger", "rule": "pg_rewrite", "policy": "pg_policy"}
_ATTACHED_FIELDS = {"trigger": "triggers", "rule": "rules", "policy": "policies"}
_BY_NAME, _BY_NUMBER = attrgetter("name"), itemgetter(1)
_T = TypeVar("_T")


class PostgreSQLObjectBuilder:
    """Builds values; `version` is the server's version number, such as 160004."""

    def __init__(self, cache: PostgreSQLCatalogCache, version: int) -> None:
        self._cache, self._version = cache, version
        self._annotated_oids = {oid for notes in (cache.comments, cache.grants) for _, oid, _ in notes}

    def relation(self, oid: int) -> Table | View:
        """Return a table or a view."""
        row = self._cache.relations[oid]
        attached = self._attached_objects(oid)
        parts: dict[str, Any] = {
            "columns": self._columns(oid),
            "indexes": self._indexes(oid),
            **{kind: tuple(attached[kind]) for kind in ("triggers", "rules") if kind in attached},
            **self._annotations("pg_class", oid),
        }
        if row.view is not None:
            return replace(rows.view(row, self._version), **parts)
        policies = tuple(attached.get("policies", ()))
        return replace(rows.table(row), constraints=self._constraints(oid, oid), policies=policies, **parts)

    def type(self, row: TypeRow) -> Enum | Domain | Composite | Range:
        """Return a type."""
        annotations = self._annotations("pg_type", row.oid)
        if row.kind == "e":
            return Enum(row.namespace, row.name, tuple(row.labels), **annotations)
        if row.kind == "c":
            return Composite(row.namespace, row.name, self._columns(row.relation), **annotations)
        if row.kind == "r":
            return Range(row.namespace, row.name, row.range or "", **annotations)
        return Domain(
            row.namespace,
            row.name,
            row.base,
            nullable=not row.not_null,
            default=row.default,
            collation=row.collation,
            constraints=self._constraints(-row.oid, 0),
            **annotations,
        )

    def sequence(self, oid: int) -> Sequence | None:
        """Return a sequence; None for one behind an identity column or of an ignored table."""
        cache, owner = self._cache, None
        row = cache.sequences.get(oid)
        if row is None or row.dependency == "i" or row.relation in cache.ignored:
            return None
        if row.relation in cache.relations:
            relation = cache.relations[row.relation]
            owner = f"{relation.namespace}.{relation.name}.{cache.column_names[row.relation][row.column or 0]}"
        return self._with_annotations(rows.sequence(row, owner), "pg_class", oid)

    def function(self, oid: int) -> Function:
        """Return a function."""
        return self._with_annotations(rows.function(self._cache.functions[oid]), "pg_proc", oid)

    def namespaces_and_extensions(self) -> Iterator[Namespace | Extension]:
        """Yield namespaces and extensions."""
        for kind, oid, name, namespace, version in self._cache.namespaces_and_extensions:
            if kind == "namespace":
                yield Namespace(name, **self._annotations("pg_namespace", oid))
                continue
            is_default = name == "plpgsql" or self._cache.extension_defaults.get(name) == version
            yield Extension(name, namespace, None if is_default else version)

    def others(self) -> Iterator[Other]:
        """Yield the objects of rarer kinds."""
        for kind, name, catalog, oid, definition in self._cache.others:
            yield Other(kind, name, definition, self._cache.comments.get((catalog, oid, 0)))

    def _annotations(self, catalog: str, oid: int, part: int = 0) -> dict[str, Any]:
        """Return the comment and the grants of an object, if it has any."""
        annotations: dict[str, Any] = {}
        if oid not in self._annotated_oids:  # as most are
            return annotations
        key = catalog, oid, part
        if (comment := self._cache.comments.get(key)) is not None:
            annotations["comment"] = comment
        if grants := self._cache.grants.get(key):
            annotations["grants"] = grants
        return annotations

    def _with_annotations(self, value: _T, catalog: str, oid: int, part: int = 0) -> _T:
        annotations = self._annotations(catalog, oid, part)
        return replace(value, **annotations) if annotations else value  # type: ignore[type-var]

    def _columns(self, oid: int) -> tuple[Column, ...]:
        cache = self._cache
        answers = cache.columns.get(oid, ())
        notes = {
            number: note
            for row in cache.constraints.get(oid, ())
            if row[4] == "n" and (note := _not_null_note(row))
            for number in row[6] or ()
        }
        identities = cache.identity_options.get(oid, {})
        is_partition = oid in cache.relations and cache.relations[oid].bound is not None
        return tuple(
            self._with_annotations(
                rows.column(row[2:], identities.get(row[1], ""), notes.get(row[1]), is_partition=is_partition),
                "pg_class",
                oid,
                row[1],
            )
            for row in sorted(answers, key=_BY_NUMBER)
        )

    def _constraints(self, owner: int, relation: int) -> tuple[Constraint, ...]:
        names = self._cache.column_names
        found = [
            self._with_annotations(
                rows.constraint(row, names.get(relation, {}), names.get(row[7], {})), "pg_constraint", row[0]
            )
            for row in self._cache.constraints.get(owner, ())
            if row[4] != "n"
        ]
        return tuple(sorted(found, key=lambda it: (it.kind, it.name or "")))

    def _indexes(self, oid: int) -> tuple[Index, ...]:
        answers = self._cache.indexes.get(oid, ())
        return tuple(
            sorted((self._with_annotations(rows.index(row[2:]), "pg_class", row[0]) for row in answers), key=_BY_NAME)
        )

    def _attached_objects(self, oid: int) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for row in map(AttachedRow._make, self._cache.attached.get(oid, ())):
            value = self._with_annotations(rows.attached_object(row), _ATTACHED_CATALOGS[row.kind], row.oid)
            found.setdefault(_ATTACHED_FIELDS[row.kind], []).append(value)
        return {kind: sorted(its, key=_BY_NAME) for kind, its in found.items()}


def _not_null_note(row: Any) -> str:
    """Return the properties of a NOT NULL that PostgreSQL knows since version 18."""
    validated, no_inherit = row[14:16]
    return " ".join(["NO INHERIT"] * no_inherit + ["NOT VALID"] * (not validated))
