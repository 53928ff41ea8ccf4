"""The structure of a PostgreSQL database, from its catalogs, the same on every supported major version."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text

from dormatory.schema import postgresql_catalog as catalog
from dormatory.schema import postgresql_queries as queries
from dormatory.schema import postgresql_rows as rows
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
    Snapshot,
    Table,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Sequence as Answer

    from sqlalchemy import Connection

NOT_COMPARED = (
    "default versions of extensions",
    "large objects",
    "names of NOT NULL constraints",
    "names of sequences behind identity columns",
    "owners",
    "security labels",
    "settings of roles and databases",
    "tablespaces",
    "values of sequences",
)
_KINDS: dict[str, type] = {
    "tables": Table,
    "views": View,
    "sequences": Sequence,
    "functions": Function,
    "enums": Enum,
    "domains": Domain,
    "composites": Composite,
    "ranges": Range,
    "namespaces": Namespace,
    "extensions": Extension,
    "others": Other,
}
_SORTED_BY = ("namespace", "name", "arguments", "kind")
_ATTACHED_CATALOGS = {"trigger": "pg_trigger", "rule": "pg_rewrite", "policy": "pg_policy"}
_SET_PATH = text("SELECT set_config('search_path', :path, :local)")
_T = TypeVar("_T")


def reflect(connection: Connection, ignore: Collection[str]) -> Snapshot:
    """Return the structure of the connected PostgreSQL database; it only reads, in the caller's transaction."""
    with _fixed_path(connection) as version:
        return _Reader(connection, frozenset(ignore), version).snapshot()


@contextmanager
def _fixed_path(connection: Connection) -> Iterator[int]:
    """Deparse with one search_path for everybody, and put the caller's back; yields the server's version number."""
    path, version = connection.exec_driver_sql(queries.SAVE_PATH).one()
    _set_path(connection, queries.SEARCH_PATH, local=True)
    # With autocommit "local" ends with the statement; then, and only then, the session's own setting is changed.
    local = connection.exec_driver_sql(queries.CURRENT_PATH).scalar_one() == queries.SEARCH_PATH
    if local:
        yield version
        # Not in a finally: after an error the transaction is lost, and the setting with it.
        _set_path(connection, path, local=True)
        return
    _set_path(connection, queries.SEARCH_PATH, local=False)
    try:
        yield version
    finally:
        _set_path(connection, path, local=False)


def _set_path(connection: Connection, path: str, *, local: bool) -> None:
    connection.execute(_SET_PATH, {"path": path, "local": local})


class _Reader:
    """Asks the catalogs and puts the answers together."""

    def __init__(self, connection: Connection, ignore: frozenset[str], version: int) -> None:
        self._connection, self._version = connection, version
        self._comments = {(row[0], row[1], row[2]): row[3] for row in self._ask(queries.COMMENTS)}
        grants: dict[tuple[str, int, int], list[str]] = defaultdict(list)
        for row in self._ask(queries.GRANTS):
            grants[row[0], row[1], row[2]].append(rows.grant(*row[3:]))
        self._grants = {key: tuple(sorted(found)) for key, found in grants.items()}
        self._relations: dict[int, catalog.RelationRow] = {}
        self._left_out: set[int] = set()
        for relation in map(catalog.RelationRow._make, self._ask(queries.RELATIONS)):
            if relation.name in ignore or f"{relation.namespace}.{relation.name}" in ignore:
                self._left_out.add(relation.oid)
            else:
                self._relations[relation.oid] = relation

    def _ask(self, query: str) -> Answer[Any]:
        return self._connection.exec_driver_sql(query).all()

    def snapshot(self) -> Snapshot:
        """Return all of it, each collection by name."""
        sequences = list(map(catalog.SequenceRow._make, self._ask(queries.SEQUENCES)))
        constraints = list(map(catalog.ConstraintRow._make, self._ask(queries.CONSTRAINTS)))
        columns = list(map(catalog.ColumnRow._make, self._ask(queries.COLUMNS)))
        self._names = {(row.relation, row.number): row.name for row in columns}
        self._columns = self._columns_by_relation(columns, constraints, sequences)
        self._constraints = self._constraints_by_owner(constraints)
        self._indexes = self._indexes_by_relation()
        self._attached = self._attached_by_relation()
        built = [*self._relations_built(), *self._types(), *self._sequences(sequences), *self._functions()]
        found = [*built, *self._places(), *self._others()]
        unknown = [f"definition of {it.kind} {it.name}" for it in found if isinstance(it, Other) and not it.definition]
        return Snapshot(
            **{field: _sorted(found, kind) for field, kind in _KINDS.items()},
            not_compared=tuple(sorted((*NOT_COMPARED, *unknown))),
        )

    def _facts(self, kept_in: str, oid: int, part: int = 0) -> dict[str, Any]:
        """Return the comment and the grants of an object, as far as it has any."""
        facts: dict[str, Any] = {}
        comment, grants = self._comments.get((kept_in, oid, part)), self._grants.get((kept_in, oid, part))
        if comment is not None:
            facts["comment"] = comment
        if grants:
            facts["grants"] = grants
        return facts

    def _with_facts(self, value: _T, kept_in: str, oid: int, part: int = 0) -> _T:
        facts = self._facts(kept_in, oid, part)
        return replace(value, **facts) if facts else value  # type: ignore[type-var]

    def _columns_by_relation(
        self,
        columns: list[catalog.ColumnRow],
        constraints: list[catalog.ConstraintRow],
        sequences: list[catalog.SequenceRow],
    ) -> dict[int, tuple[Column, ...]]:
        notes = {
            (row.relation, number): note
            for row in constraints
            if row.kind == "n" and (note := _not_null_note(row))
            for number in row.columns or ()
        }
        identities = {
            (row.relation, row.column): rows.identity_options(row) for row in sequences if row.dependency == "i"
        }
        partitions = {oid for oid, row in self._relations.items() if row.bound is not None}
        found: dict[int, list[Column]] = defaultdict(list)
        for row in sorted(columns):
            place = (row.relation, row.number)
            column = rows.column(
                row, identities.get(place, ""), notes.get(place), is_partition=row.relation in partitions
            )
            found[row.relation].append(self._with_facts(column, "pg_class", *place))
        return {oid: tuple(its) for oid, its in found.items()}

    def _constraints_by_owner(self, constraints: list[catalog.ConstraintRow]) -> dict[int, tuple[Constraint, ...]]:
        """Return constraints by the OID of their table or domain."""
        found: dict[int, list[Constraint]] = defaultdict(list)
        for row in constraints:
            if row.kind != "n":
                constraint = self._with_facts(rows.constraint(row, self._names), "pg_constraint", row.oid)
                found[row.relation or row.domain].append(constraint)
        return {oid: tuple(sorted(its, key=lambda it: (it.kind, it.name or ""))) for oid, its in found.items()}

    def _indexes_by_relation(self) -> dict[int, tuple[Index, ...]]:
        found: dict[int, list[Index]] = defaultdict(list)
        for row in map(catalog.IndexRow._make, self._ask(queries.INDEXES)):
            found[row.relation].append(self._with_facts(rows.index(row), "pg_class", row.oid))
        return {oid: tuple(sorted(its, key=attrgetter("name"))) for oid, its in found.items()}

    def _attached_by_relation(self) -> dict[tuple[str, int], tuple[Any, ...]]:
        found: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for row in map(catalog.AttachedRow._make, self._ask(queries.ATTACHED)):
            value = self._with_facts(rows.attached(row), _ATTACHED_CATALOGS[row.kind], row.oid)
            found[row.kind, row.relation].append(value)
        return {key: tuple(sorted(its, key=attrgetter("name"))) for key, its in found.items()}

    def _relations_built(self) -> Iterator[Table | View]:
        for oid, row in self._relations.items():
            parts: dict[str, Any] = {
                "columns": self._columns.get(oid, ()),
                "indexes": self._indexes.get(oid, ()),
                "triggers": self._attached.get(("trigger", oid), ()),
                "rules": self._attached.get(("rule", oid), ()),
                **self._facts("pg_class", oid),
            }
            if row.view is not None:
                yield replace(rows.view(row, self._version), **parts)
                continue
            yield replace(
                rows.table(row),
                constraints=self._constraints.get(oid, ()),
                policies=self._attached.get(("policy", oid), ()),
                **parts,
            )

    def _types(self) -> Iterator[Enum | Domain | Composite | Range]:
        for row in map(catalog.TypeRow._make, self._ask(queries.TYPES)):
            facts = self._facts("pg_type", row.oid)
            if row.kind == "e":
                yield Enum(row.namespace, row.name, tuple(row.labels), **facts)
            elif row.kind == "c":
                yield Composite(row.namespace, row.name, self._columns.get(row.relation, ()), **facts)
            elif row.kind == "r":
                yield Range(row.namespace, row.name, row.range or "", **facts)
            else:
                yield Domain(
                    row.namespace,
                    row.name,
                    row.base,
                    nullable=not row.not_null,
                    default=row.default,
                    collation=row.collation,
                    constraints=self._constraints.get(row.oid, ()),
                    **facts,
                )

    def _sequences(self, sequences: list[catalog.SequenceRow]) -> Iterator[Sequence]:
        for row in sequences:
            if row.dependency == "i" or row.relation in self._left_out:
                continue
            owner = None
            if row.relation in self._relations:
                relation = self._relations[row.relation]
                column = self._names[row.relation, row.column or 0]
                owner = f"{relation.namespace}.{relation.name}.{column}"
            yield self._with_facts(rows.sequence(row, owner), "pg_class", row.oid)

    def _functions(self) -> Iterator[Function]:
        for row in map(catalog.FunctionRow._make, self._ask(queries.FUNCTIONS)):
            yield self._with_facts(rows.function(row), "pg_proc", row.oid)

    def _places(self) -> Iterator[Namespace | Extension]:
        defaults: dict[str, str] = {}
        for kind, oid, name, namespace, version in sorted(self._ask(queries.PLACES)):
            if kind == "namespace":
                yield Namespace(name, **self._facts("pg_namespace", oid))
                continue
            if name != "plpgsql" and not defaults:
                defaults = {row[0]: row[1] for row in self._ask(queries.EXTENSION_DEFAULTS)}
            usual = name == "plpgsql" or defaults.get(name) == version
            yield Extension(name, namespace, None if usual else version)

    def _others(self) -> Iterator[Other]:
        for kind, name, kept_in, oid, definition in self._ask(queries.OTHERS):
            yield Other(kind, name, definition, self._comments.get((kept_in, oid, 0)))


def _not_null_note(row: catalog.ConstraintRow) -> str:
    """Return what a NOT NULL of PostgreSQL 18 says that no older version can."""
    return " ".join(["NO INHERIT"] * row.no_inherit + ["NOT VALID"] * (not row.validated))


def _sorted(found: list[Any], kind: type) -> tuple[Any, ...]:
    its = [value for value in found if isinstance(value, kind)]
    return tuple(sorted(its, key=lambda it: [getattr(it, field, "") for field in _SORTED_BY]))
