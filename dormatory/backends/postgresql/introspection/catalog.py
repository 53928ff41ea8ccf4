"""The rows of PostgreSQL's catalogs, by OID: read completely, or read again for a few objects."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from dormatory.backends.postgresql.introspection import catalog_rows as catalog
from dormatory.backends.postgresql.introspection import convert as rows
from dormatory.backends.postgresql.introspection import incremental_queries, queries
from dormatory.backends.postgresql.introspection.session import oid_array

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from dormatory.backends.postgresql.introspection.session import CatalogSession

    Row = Any
    ObjectKey = tuple[str, int, int]  # catalog, OID, number of the column

_RELATION_QUERIES = {
    "relations": queries.RELATIONS,
    "columns": queries.COLUMNS,
    "constraints": queries.CONSTRAINTS,
    "indexes": queries.INDEXES,
    "attached": queries.ATTACHED,
    "sequences": queries.SEQUENCES,
}


class PostgreSQLCatalogCache:
    """The rows of the catalogs. Those of a relation are in dictionaries by its OID, and are removed with it."""

    def __init__(self, ignore: Collection[str]) -> None:
        self._ignore = frozenset(ignore)
        self.relations: dict[int, catalog.RelationRow] = {}
        self.ignored: set[int] = set()
        self.columns: dict[int, list[Row]] = {}
        self.column_names: dict[int, dict[int, str]] = {}
        self.constraints: dict[int, list[Row]] = {}  # those of a domain by its negative OID
        self.indexes: dict[int, list[Row]] = {}
        self.attached: dict[int, list[Row]] = {}
        self.sequences: dict[int, catalog.SequenceRow] = {}
        self.identity_options: dict[int, dict[int, str]] = {}
        self.types: dict[int, catalog.TypeRow] = {}
        self.functions: dict[int, catalog.FunctionRow] = {}
        self.namespaces_and_extensions: list[Row] = []
        self.extension_defaults: dict[str, str] = {}
        self.others: list[Row] = []
        self.comments: dict[ObjectKey, str] = {}
        self.grants: dict[ObjectKey, tuple[str, ...]] = {}

    @property
    def has_queries(self) -> bool:
        """Whether any object stores a query: a function, a view, a rule or a policy."""
        return (
            bool(self.functions)
            or any(row.view for row in self.relations.values())
            or any(row[0] != "trigger" for its in self.attached.values() for row in its)
        )

    def read(self, session: CatalogSession) -> None:
        """Read everything, and make sure that the session's search_path is right."""
        ((path, *flags),) = session.fetch(queries.EXISTING_KINDS)
        session.ensure_search_path(path)
        existing_kinds = {kind for kind, is_there in zip(queries.OPTIONAL_KINDS, flags, strict=True) if is_there}
        self.read_comments(session)
        if catalogs := [catalog for catalog in queries.PRIVILEGES_BY_CATALOG if catalog in existing_kinds]:
            self._add_grants(session.fetch(queries.grants_query(catalogs)))
        wanted = {
            name: query
            for name, query in _RELATION_QUERIES.items()
            if name in existing_kinds or name not in queries.OPTIONAL_KINDS
        }
        self._add_rows({name: session.fetch(query) for name, query in wanted.items()})
        if "types" in existing_kinds:
            self.read_types(session)
        if "functions" in existing_kinds:
            self._add_functions(session.fetch(queries.FUNCTIONS))
        self.namespaces_and_extensions = sorted(session.fetch(queries.NAMESPACES_AND_EXTENSIONS))
        if any(kind == "extension" and name != "plpgsql" for kind, _, name, *_ in self.namespaces_and_extensions):
            self.extension_defaults = {row[0]: row[1] for row in session.fetch(queries.EXTENSION_DEFAULTS)}
        if "others" in existing_kinds:
            self.read_others(session)

    def update_relations(self, oids: Collection[int], answers: Mapping[str, str | None]) -> None:
        """Replace the rows of relations and sequences, also of those that no longer exist, by answers in JSON."""
        self._remove(oids)
        rows = {name: [tuple(row.values()) for row in json.loads(answer or "[]")] for name, answer in answers.items()}
        self._add_rows(rows)
        self._add_grants(rows["grants"])

    def read_comments(self, session: CatalogSession) -> None:
        """Read all comments."""
        self.comments = {(row[0], row[1], row[2]): row[3] for row in session.fetch(queries.COMMENTS)}

    def read_grants(self, session: CatalogSession, catalog: str) -> None:
        """Read the grants of one catalog again."""
        self.grants = {key: its for key, its in self.grants.items() if key[0] != catalog}
        self._add_grants(session.fetch(queries.grants_query((catalog,))))

    def owners(self, parts: Collection[int]) -> set[int]:
        """Return the relations that own these constraints, indexes and so on, and domains as negative numbers."""
        kept_in = self.constraints, self.indexes, self.attached
        return {
            owner
            for place, by_owner in zip((0, 0, 1), kept_in, strict=True)
            for owner, its in by_owner.items()
            if any(row[place] in parts for row in its)
        }

    def read_types(self, session: CatalogSession) -> None:
        """Read all types except the row types of tables; the constraints of domains are read with those of tables."""
        self.types = {row[0]: catalog.TypeRow._make(row) for row in session.fetch(queries.TYPES)}

    def read_domains(self, session: CatalogSession) -> None:
        """Read the constraints of all domains."""
        for oid in self.types:
            self.constraints.pop(-oid, None)
        self._add_constraints(session.fetch(incremental_queries.DOMAIN_CONSTRAINTS))

    def read_functions(self, session: CatalogSession, oids: Collection[int]) -> None:
        """Read functions again; those that no longer exist are removed."""
        for oid in oids:
            self.functions.pop(oid, None)
        self._add_functions(
            session.fetch_prepared("functions (oid[])", incremental_queries.FUNCTIONS_BY_OID, oid_array(oids))
        )

    def read_others(self, session: CatalogSession) -> None:
        """Read the objects of rarer kinds."""
        self.others = list(session.fetch(queries.OTHERS))

    def _remove(self, oids: Iterable[int]) -> None:
        parts: tuple[dict[int, Any], ...] = (
            self.relations,
            self.columns,
            self.column_names,
            self.constraints,
            self.indexes,
            self.attached,
            self.sequences,
            self.identity_options,
        )
        for oid in oids:
            self.ignored.discard(oid)
            for part in parts:
                part.pop(oid, None)
        gone = frozenset(oids)
        for key in [key for key in self.grants if key[0] == "pg_class" and key[1] in gone]:
            del self.grants[key]

    def _add_rows(self, answers: Mapping[str, Iterable[Row]]) -> None:
        for row in map(catalog.RelationRow._make, answers["relations"]):
            if row.name in self._ignore or f"{row.namespace}.{row.name}" in self._ignore:
                self.ignored.add(row.oid)
            else:
                self.relations[row.oid] = row
        columns = _rows_by_key(answers["columns"], 0)
        self.columns |= columns
        self.column_names |= {oid: {row[1]: row[2] for row in its} for oid, its in columns.items()}
        self._add_constraints(answers["constraints"])
        self.indexes |= _rows_by_key(answers["indexes"], 1)
        self.attached |= _rows_by_key(answers.get("attached", ()), 2)
        for sequence in map(catalog.SequenceRow._make, answers.get("sequences", ())):
            self.sequences[sequence.oid] = sequence
            if sequence.dependency == "i" and sequence.relation is not None:
                options = self.identity_options.setdefault(sequence.relation, {})
                options[sequence.column or 0] = rows.identity_options(sequence)

    def _add_constraints(self, answer: Iterable[Row]) -> None:
        self.constraints |= _rows_by_key(answer, lambda row: row[1] or -row[2])

    def _add_functions(self, answer: Iterable[Row]) -> None:
        self.functions |= {row[0]: catalog.FunctionRow._make(row) for row in answer}

    def _add_grants(self, answer: Iterable[Row]) -> None:
        found: dict[ObjectKey, list[str]] = defaultdict(list)
        for row in answer:
            found[row[0], row[1], row[2]].append(rows.grant_text(*row[3:]))
        self.grants |= {key: tuple(sorted(its)) for key, its in found.items()}


def _rows_by_key(answer: Iterable[Row], key: int | Callable[[Row], int]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    if isinstance(key, int):
        for row in answer:
            found[row[key]].append(row)
    else:
        for row in answer:
            found[key(row)].append(row)
    return dict(found)
