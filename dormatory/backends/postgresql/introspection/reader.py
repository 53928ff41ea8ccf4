"""Read the structure of a PostgreSQL database from its catalogs, equal on every supported major version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.introspection.builder import PostgreSQLObjectBuilder
from dormatory.backends.postgresql.introspection.catalog import PostgreSQLCatalogCache
from dormatory.backends.postgresql.introspection.invalidation import CacheInvalidator, FullReadRequiredError
from dormatory.backends.postgresql.introspection.session import catalog_session
from dormatory.backends.postgresql.introspection.transaction_changes import TransactionMonitor
from dormatory.backends.schema_tracker import SchemaReading
from dormatory.schema.snapshot_cache import SnapshotCache

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from dormatory.backends.postgresql.introspection.invalidation import StaleObjects
    from dormatory.backends.postgresql.introspection.session import CatalogSession
    from dormatory.backends.postgresql.introspection.transaction_changes import TransactionChanges
    from dormatory.schema.snapshot import Snapshot

POSTGRESQL_NOT_COMPARED = (
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


class PostgreSQLSchemaTracker:
    """Reads the structure repeatedly, each time only what a transaction changed since."""

    def __init__(self, ignore: Collection[str]) -> None:
        self._ignore = ignore
        self._monitor = TransactionMonitor()
        self._changes: TransactionChanges | None = None
        self._cache: PostgreSQLCatalogCache | None = None
        self._snapshot_cache = SnapshotCache(namespaces=True)

    def begin(self, connection: Connection) -> None:
        """Measure the state of a transaction before it does anything; one statement."""
        self._monitor.begin(connection)

    def end(self, connection: Connection) -> bool:
        """Measure what the transaction changed, just before it ends; return whether that is known."""
        self._changes = self._monitor.end(connection)
        return self._changes is not None

    def read(self, connection: Connection) -> SchemaReading:
        """Return the structure; all of it is read again where the changes since the last reading are unknown."""
        changes, self._changes = self._changes, None
        before = {oid: self._storage(oid) for oid in changes.locked_relations} if changes else {}
        if not (changes and self._cache and self._refresh(connection, self._cache, changes)):
            self._cache = None
            with catalog_session(connection) as session:
                cache = self._read_all(session)
                self._invalidator = CacheInvalidator(cache, session)
            self._cache = cache
        if changes is None:
            return SchemaReading(self._snapshot_cache.snapshot)
        relations = self._cache.relations
        rewritten = {oid for oid, storage in before.items() if oid in relations and self._storage(oid) != storage}
        written = (changes.written_relations | rewritten) & relations.keys()
        affected = frozenset((relations[oid].namespace, relations[oid].name) for oid in written)
        return SchemaReading(self._snapshot_cache.snapshot, affected)

    def _storage(self, oid: int) -> object:
        """Return what is different when a relation is rewritten, or a column is dropped and added again."""
        cache = self._cache
        if cache is None or oid not in cache.relations:
            return None
        return cache.relations[oid].filenode, [row[1] for row in cache.columns.get(oid, ())]

    def read_once(self, connection: Connection) -> Snapshot:
        """Return the structure, without preparing for a next reading."""
        with catalog_session(connection) as session:
            self._read_all(session)
        return self._snapshot_cache.snapshot

    def _refresh(self, connection: Connection, cache: PostgreSQLCatalogCache, changes: TransactionChanges) -> bool:
        """Read again what changed; return whether that was possible."""
        if not changes.catalogs:
            return True
        self._cache = None  # useless if an error interrupts this
        with catalog_session(connection, few_objects=True) as session:
            try:
                stale = self._invalidator.refresh(session, changes)
            except FullReadRequiredError:
                return False
            self._build(session, cache, stale)
        self._cache = cache
        return True

    def _read_all(self, session: CatalogSession) -> PostgreSQLCatalogCache:
        cache = PostgreSQLCatalogCache(self._ignore)
        cache.read(session)
        self._build(session, cache, None)
        return cache

    def _build(self, session: CatalogSession, cache: PostgreSQLCatalogCache, stale: StaleObjects | None) -> None:
        """Build the stale values, or all if `stale` is None."""
        builder, snapshot_cache = PostgreSQLObjectBuilder(cache, session.version), self._snapshot_cache
        relations = stale.relations if stale else {*cache.relations, *cache.sequences, *snapshot_cache.keys("relation")}
        functions = stale.functions if stale else {*cache.functions, *snapshot_cache.keys("function")}
        for oid in relations:
            snapshot_cache.put(
                ("relation", oid), builder.relation(oid) if oid in cache.relations else builder.sequence(oid)
            )
        for oid in functions:
            snapshot_cache.put(("function", oid), builder.function(oid) if oid in cache.functions else None)
        if stale is None or stale.types or stale.comments:
            snapshot_cache.put_all("type", {row.oid: builder.type(row) for row in cache.types.values()})
        if stale is None or stale.comments:
            snapshot_cache.put_all("place", dict(enumerate(builder.namespaces_and_extensions())))
        if stale is None or stale.others or stale.comments:
            snapshot_cache.put_all("other", {(it.kind, it.name): it for it in builder.others()})
        unknown = (f"definition of {kind} {name}" for kind, name, *_, definition in cache.others if not definition)
        snapshot_cache.update_snapshot((*POSTGRESQL_NOT_COMPARED, *unknown))


def read_catalog(connection: Connection, ignore: Collection[str]) -> Snapshot:
    """Return the structure of the connected PostgreSQL database; it only reads, in the caller's transaction."""
    return PostgreSQLSchemaTracker(ignore).read_once(connection)


def schema_tracker(ignore: Collection[str]) -> PostgreSQLSchemaTracker:
    """Return a reader of the structure that reads again only what changed."""
    return PostgreSQLSchemaTracker(ignore)
