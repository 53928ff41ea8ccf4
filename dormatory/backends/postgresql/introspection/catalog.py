"""What PostgreSQL's catalogs answered, by the OID it belongs to: read whole, or read again for a few objects."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from dormatory.backends.postgresql.introspection import catalog_rows as catalog
from dormatory.backends.postgresql.introspection import convert as rows
from dormatory.backends.postgresql.introspection import queries
from dormatory.backends.postgresql.introspection.session import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from dormatory.backends.postgresql.introspection.session import Session

    Row = Any
    Key = tuple[str, int, int]  # catalog, OID, number of the column

_RELATIONS = {
    "relations": queries.RELATIONS,
    "columns": queries.COLUMNS,
    "constraints": queries.CONSTRAINTS,
    "indexes": queries.INDEXES,
    "attached": queries.ATTACHED,
    "sequences": queries.SEQUENCES,
}


class Memory:
    """The catalogs' rows. Those of a relation are in dictionaries by its OID, and go with it."""

    def __init__(self, ignore: Collection[str]) -> None:
        self._ignore = frozenset(ignore)
        self.relations: dict[int, catalog.RelationRow] = {}
        self.left_out: set[int] = set()
        self.columns: dict[int, list[Row]] = {}
        self.names: dict[int, dict[int, str]] = {}
        self.constraints: dict[int, list[Row]] = {}  # those of a domain by its negative OID
        self.indexes: dict[int, list[Row]] = {}
        self.attached: dict[int, list[Row]] = {}
        self.sequences: dict[int, catalog.SequenceRow] = {}
        self.identities: dict[int, dict[int, str]] = {}
        self.types: dict[int, catalog.TypeRow] = {}
        self.functions: dict[int, catalog.FunctionRow] = {}
        self.places: list[Row] = []
        self.extension_defaults: dict[str, str] = {}
        self.others: list[Row] = []
        self.comments: dict[Key, str] = {}
        self.grants: dict[Key, tuple[str, ...]] = {}

    @property
    def has_queries(self) -> bool:
        """Whether there is anything that keeps a query: a function, a view, a rule or a policy."""
        return (
            bool(self.functions)
            or any(row.view for row in self.relations.values())
            or any(row[0] != "trigger" for its in self.attached.values() for row in its)
        )

    def read(self, session: Session) -> None:
        """Read everything, and confirm the session's settings on the way."""
        ((path, *flags),) = session.ask(queries.HAVE)
        session.confirm(path)
        there = {kind for kind, is_there in zip(queries.KINDS, flags, strict=True) if is_there}
        self.read_comments(session)
        if catalogs := [catalog for catalog in queries.HELD if catalog in there]:
            self._take_grants(session.ask(queries.grants(catalogs)))
        wanted = {name: query for name, query in _RELATIONS.items() if name in there or name not in queries.KINDS}
        self._take({name: session.ask(query) for name, query in wanted.items()})
        if "types" in there:
            self.read_types(session)
        if "functions" in there:
            self._take_functions(session.ask(queries.FUNCTIONS))
        self.places = sorted(session.ask(queries.PLACES))
        if any(kind == "extension" and name != "plpgsql" for kind, _, name, *_ in self.places):
            self.extension_defaults = {row[0]: row[1] for row in session.ask(queries.EXTENSION_DEFAULTS)}
        if "others" in there:
            self.read_others(session)

    def renew(self, oids: Collection[int], answers: Mapping[str, str | None]) -> None:
        """Take what was read again of relations and sequences, those that are gone included: JSON by kind."""
        self._forget(oids)
        rows = {name: [tuple(row.values()) for row in json.loads(answer or "[]")] for name, answer in answers.items()}
        self._take(rows)
        self._take_grants(rows["grants"])

    def read_comments(self, session: Session) -> None:
        """Read all comments."""
        self.comments = {(row[0], row[1], row[2]): row[3] for row in session.ask(queries.COMMENTS)}

    def read_grants_of(self, session: Session, catalog: str) -> None:
        """Read the grants of one catalog again."""
        self.grants = {key: its for key, its in self.grants.items() if key[0] != catalog}
        self._take_grants(session.ask(queries.grants((catalog,))))

    def owners(self, parts: Collection[int]) -> set[int]:
        """Return the relations and, as negative numbers, the domains to which constraints, indexes and so on belong."""
        kept_in = self.constraints, self.indexes, self.attached
        return {
            owner
            for place, by_owner in zip((0, 0, 1), kept_in, strict=True)
            for owner, its in by_owner.items()
            if any(row[place] in parts for row in its)
        }

    def read_types(self, session: Session) -> None:
        """Read all types that are no table's row; the constraints of domains come with the tables'."""
        self.types = {row[0]: catalog.TypeRow._make(row) for row in session.ask(queries.TYPES)}

    def read_domains(self, session: Session) -> None:
        """Read the constraints of all domains."""
        for oid in self.types:
            self.constraints.pop(-oid, None)
        self._take_constraints(session.ask(queries.OF_DOMAINS))

    def read_functions(self, session: Session, oids: Collection[int]) -> None:
        """Read functions again, those that are gone included."""
        for oid in oids:
            self.functions.pop(oid, None)
        self._take_functions(session.ask_prepared("functions (oid[])", queries.OF_FUNCTIONS, listed(oids)))

    def read_others(self, session: Session) -> None:
        """Read the rarer kinds of objects."""
        self.others = list(session.ask(queries.OTHERS))

    def _forget(self, oids: Iterable[int]) -> None:
        parts: tuple[dict[int, Any], ...] = (
            self.relations,
            self.columns,
            self.names,
            self.constraints,
            self.indexes,
            self.attached,
            self.sequences,
            self.identities,
        )
        for oid in oids:
            self.left_out.discard(oid)
            for part in parts:
                part.pop(oid, None)
        gone = frozenset(oids)
        for key in [key for key in self.grants if key[0] == "pg_class" and key[1] in gone]:
            del self.grants[key]

    def _take(self, answers: Mapping[str, Iterable[Row]]) -> None:
        for row in map(catalog.RelationRow._make, answers["relations"]):
            if row.name in self._ignore or f"{row.namespace}.{row.name}" in self._ignore:
                self.left_out.add(row.oid)
            else:
                self.relations[row.oid] = row
        columns = _grouped(answers["columns"], 0)
        self.columns |= columns
        self.names |= {oid: {row[1]: row[2] for row in its} for oid, its in columns.items()}
        self._take_constraints(answers["constraints"])
        self.indexes |= _grouped(answers["indexes"], 1)
        self.attached |= _grouped(answers.get("attached", ()), 2)
        for sequence in map(catalog.SequenceRow._make, answers.get("sequences", ())):
            self.sequences[sequence.oid] = sequence
            if sequence.dependency == "i" and sequence.relation is not None:
                options = self.identities.setdefault(sequence.relation, {})
                options[sequence.column or 0] = rows.identity_options(sequence)

    def _take_constraints(self, answer: Iterable[Row]) -> None:
        self.constraints |= _grouped(answer, lambda row: row[1] or -row[2])

    def _take_functions(self, answer: Iterable[Row]) -> None:
        self.functions |= {row[0]: catalog.FunctionRow._make(row) for row in answer}

    def _take_grants(self, answer: Iterable[Row]) -> None:
        found: dict[Key, list[str]] = defaultdict(list)
        for row in answer:
            found[row[0], row[1], row[2]].append(rows.grant(*row[3:]))
        self.grants |= {key: tuple(sorted(its)) for key, its in found.items()}


def _grouped(answer: Iterable[Row], key: int | Callable[[Row], int]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    if isinstance(key, int):
        for row in answer:
            found[row[key]].append(row)
    else:
        for row in answer:
            found[key(row)].append(row)
    return dict(found)
