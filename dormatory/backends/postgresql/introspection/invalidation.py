"""Find the objects of a PostgreSQL database that one transaction changed, and those whose text changes with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dormatory.backends.postgresql.introspection import incremental_queries as queries
from dormatory.backends.postgresql.introspection.session import oid_array
from dormatory.backends.postgresql.introspection.system_catalogs import (
    DEPENDENT_CATALOGS,
    IGNORED_CATALOGS,
    INDEPENDENT_CATALOGS,
    PART_CATALOGS,
    QUERY_CATALOGS,
    TRACKED_CATALOGS,
)
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dormatory.backends.postgresql.introspection.catalog import PostgreSQLCatalogCache
    from dormatory.backends.postgresql.introspection.session import CatalogSession
    from dormatory.backends.postgresql.introspection.transaction_changes import TransactionChanges

_MISSING_VALUE_UPDATED_SINCE = 160000  # server_version_num
_FROZEN_TRANSACTION_ID = "2"  # FrozenTransactionId: older than all


class FullReadRequiredError(Exception):
    """Too much changed, or something too rare: everything must be read again."""


@dataclass(slots=True)
class StaleObjects:
    """The objects whose values must be built again."""

    relations: set[int] = field(default_factory=set)  # sequences, too
    functions: set[int] = field(default_factory=set)
    types: bool = False
    others: bool = False
    comments: bool = False


class CacheInvalidator:
    """Follows the changes of a transaction through the catalogs and updates the cache."""

    def __init__(self, cache: PostgreSQLCatalogCache, session: CatalogSession) -> None:
        """Follow all changes from now on; the cache must have just been read."""
        self._cache = cache
        (counts,) = session.fetch(queries.COUNTS)
        self._counts = list(counts)
        self._procedures = {oid: name for oid, _, name in self._read_procedures(session, None)}

    def refresh(self, session: CatalogSession, changes: TransactionChanges) -> StaleObjects:
        """Read again what changed, and return which values are stale now.

        Raises FullReadRequiredError where that is unknown; the cache is useless then.
        """
        catalogs = changes.catalogs
        if (
            catalogs - IGNORED_CATALOGS - TRACKED_CATALOGS - INDEPENDENT_CATALOGS - {"pg_authid"}
            or "pg_authid" in changes.updated | changes.deleted
        ):
            raise FullReadRequiredError
        stale = StaleObjects(others=not catalogs.isdisjoint(INDEPENDENT_CATALOGS))
        flags = (
            "pg_class" in changes.updated,
            "pg_attribute" in changes.updated and not self._has_only_locked_attributes(session, changes),
            "pg_type" in catalogs,
            "pg_constraint" in catalogs,
            "pg_depend" in catalogs,
        )
        oids, counts, answers = self._read_changes(session, changes.transaction_id, changes.locked_relations, flags)
        types, constraints, members = self._changed_kinds(counts)
        if members:
            raise FullReadRequiredError
        stale.types = types or constraints or "pg_enum" in catalogs
        if "pg_proc" in catalogs:
            self._refresh_functions(session, changes, stale)
        self._refresh_relations(session, oids, answers, stale)
        if stale.types:
            self._refresh_types(session)
        if "pg_description" in catalogs:
            self._refresh_comments(session, stale)
        if stale.others or (self._cache.others and (stale.functions or stale.types)):
            stale.others = True
            self._cache.read_others(session)
        return stale

    def _has_only_locked_attributes(self, session: CatalogSession, changes: TransactionChanges) -> bool:
        """Return whether every row written to pg_attribute belongs to a locked relation: others come from grants.

        Each new row was written at least once. A row inserted with a default was written a second time for that, and
        since 16 a third time for the value that existing rows have in the new column.
        """
        given = f"'{changes.transaction_id}'::xid", oid_array(changes.locked_relations)
        written = 0
        for oid, number, has_default, has_missing in session.fetch_prepared(
            "new_attributes (xid, oid[])", queries.NEW_ATTRIBUTES, *given
        ):
            is_inserted = number not in {row[1] for row in self._cache.columns.get(oid, ())}
            written += 1 + is_inserted * (
                has_default + (has_missing and session.version >= _MISSING_VALUE_UPDATED_SINCE)
            )
        return written == changes.attribute_writes

    @staticmethod
    def _read_changes(
        session: CatalogSession, transaction: str | None, oids: Iterable[int], flags: Sequence[bool]
    ) -> tuple[set[int], Sequence[int | None], dict[str, str | None]]:
        """Return the relations that changed, the counts of some kinds of objects, and the rows of the relations."""
        given = (
            f"'{transaction or _FROZEN_TRANSACTION_ID}'::xid",
            oid_array(oids),
            *(str(flag).lower() for flag in flags),
        )
        ((path, wide, counts, *answers),) = session.fetch_prepared(
            f"follow ({queries.CHANGED_RELATIONS_PARAMETERS})", queries.CHANGED_RELATIONS, *given
        )
        if not session.ensure_search_path(path):
            raise FullReadRequiredError
        return set(wide), counts, dict(zip(queries.RELATION_QUERIES_AS_JSON, answers, strict=True))

    def _changed_kinds(self, counts: Sequence[int | None]) -> list[bool]:
        """Return for each counted kind whether an object is new or gone."""
        changed = []
        for place, (count, new) in enumerate(zip(counts[::2], counts[1::2], strict=True)):
            changed.append(count is not None and (bool(new) or count != self._counts[place]))
            if count is not None:
                self._counts[place] = count
        return changed

    def _refresh_relations(
        self, session: CatalogSession, oids: set[int], answers: dict[str, str | None], stale: StaleObjects
    ) -> None:
        cache = self._cache
        while oids:
            before = {oid: self._identity(oid) for oid in oids}
            cache.update_relations(oids, answers)
            stale.relations |= oids
            renamed, grown = set[int](), set[int]()
            for oid, old in before.items():
                new = self._identity(oid)
                if self._is_composite(old) or self._is_composite(new):
                    stale.types = True
                if old is None or new is None or old == new:
                    continue
                if self._is_composite(old):
                    raise FullReadRequiredError
                (renamed if _is_renamed(old, new) else grown).add(oid)
            found = self._dependent_relations(session, renamed, stale, of=DEPENDENT_CATALOGS)
            if cache.has_queries:
                found |= self._dependent_relations(session, grown, stale, of=QUERY_CATALOGS)
            if renamed:
                stale.others = stale.others or bool(cache.others)
                stale.types = stale.types or bool(cache.types)
            if not found <= stale.relations:
                oids, _, answers = self._read_changes(session, None, found - stale.relations, [False] * 5)
            else:
                break

    def _dependent_relations(
        self, session: CatalogSession, oids: set[int], stale: StaleObjects, *, of: frozenset[str]
    ) -> set[int]:
        """Return the relations whose text names one of these relations, and read the functions that do again."""
        if not oids:
            return oids
        found = session.fetch_prepared("dependents (oid[])", queries.DEPENDENTS, oid_array(oids))
        functions = {oid for catalog, oid in found if catalog == "pg_proc"} - stale.functions
        if functions:
            stale.functions |= functions
            self._cache.read_functions(session, functions)
        return {oid for catalog, oid in found if catalog in of and catalog != "pg_proc"}

    def _identity(self, oid: int) -> _Identity | None:
        """Return the names of a relation and its parts, which the texts of other objects may contain."""
        cache = self._cache
        if row := cache.relations.get(oid):
            head: tuple[str, ...] = (row.namespace, row.name)
        elif sequence := cache.sequences.get(oid):
            head = (sequence.namespace, sequence.name)
        elif oid in cache.columns:
            head = _COMPOSITE
        else:
            return None
        parts: dict[tuple[str, int], Any] = {("column", it[1]): it[2:4] for it in cache.columns.get(oid, ())}
        parts |= {("constraint", it[0]): it[3] for it in cache.constraints.get(oid, ())}
        parts |= {("index", it[0]): it[2] for it in cache.indexes.get(oid, ())}
        return head, parts

    @staticmethod
    def _is_composite(identity: _Identity | None) -> bool:
        return identity is not None and identity[0] == _COMPOSITE

    def _refresh_types(self, session: CatalogSession) -> None:
        """Read all types again; the name or a label of a type may be part of any text."""
        cache = self._cache
        before = cache.types
        cache.read_types(session)
        cache.read_domains(session)
        cache.read_grants(session, "pg_type")
        for oid, old in before.items():
            new = cache.types.get(oid)
            if new and ((new.namespace, new.name) != (old.namespace, old.name) or {*old.labels} - {*new.labels}):
                raise FullReadRequiredError

    def _refresh_functions(self, session: CatalogSession, changes: TransactionChanges, stale: StaleObjects) -> None:
        """Read the functions that changed again; overloading a name changes how texts qualify it."""
        cache, before = self._cache, self._procedures
        answers = self._read_procedures(session, changes.transaction_id)
        after = {oid: name for oid, _, name in answers}
        changed = {oid for oid, is_new, _ in answers if is_new} | (before.keys() ^ after.keys())
        names = {procedures[oid] for procedures in (before, after) for oid in changed if oid in procedures}
        quoted = ", ".join(map(quote_literal, names))
        if names and session.fetch(queries.SAME_NAME_COUNT.format(quoted, oid_array(changed)))[0][0]:
            raise FullReadRequiredError
        old = {oid: _signature(cache.functions.get(oid)) for oid in changed & before.keys() & after.keys()}
        cache.read_functions(session, changed)
        if any(_signature(cache.functions.get(oid)) != signature for oid, signature in old.items()):
            raise FullReadRequiredError
        cache.read_grants(session, "pg_proc")
        self._procedures = after
        stale.functions |= changed

    @staticmethod
    def _read_procedures(session: CatalogSession, transaction: str | None) -> list[Any]:
        since = f"'{transaction or _FROZEN_TRANSACTION_ID}'::xid"
        return list(session.fetch_prepared("procedures (xid)", queries.PROCEDURES, since))

    def _refresh_comments(self, session: CatalogSession, stale: StaleObjects) -> None:
        cache = self._cache
        before = cache.comments
        cache.read_comments(session)
        stale.comments = True
        changed = {
            (catalog, oid)
            for catalog, oid, part in before.keys() | cache.comments.keys()
            if before.get((catalog, oid, part)) != cache.comments.get((catalog, oid, part))
        }
        stale.functions |= {oid for catalog, oid in changed if catalog == "pg_proc"}
        relations = {oid for catalog, oid in changed if catalog == "pg_class"}
        if parts := {oid for catalog, oid in changed if catalog in PART_CATALOGS} | relations:
            stale.relations |= cache.owners(parts)
        stale.relations |= relations


_Identity = tuple[tuple[str, ...], dict[tuple[str, int], Any]]
_COMPOSITE = ("composite",)


def _is_renamed(old: _Identity, new: _Identity) -> bool:
    """Return whether the relation or a part that both have has another name now."""
    return old[0] != new[0] or any(new[1][key] != part for key, part in old[1].items() if key in new[1])


def _signature(row: Any) -> tuple[str, ...] | None:
    return (row.namespace, row.name, row.arguments) if row else None
