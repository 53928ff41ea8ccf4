"""The structure of a PostgreSQL database, from its catalogs, the same on every supported major version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.introspection.builder import Builder
from dormatory.backends.postgresql.introspection.catalog import Memory
from dormatory.backends.postgresql.introspection.invalidation import TooMuchError, Tracer
from dormatory.backends.postgresql.introspection.session import settled
from dormatory.backends.postgresql.introspection.touched import Meter
from dormatory.schema.snapshot_cache import Shelf

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from dormatory.backends.postgresql.introspection.invalidation import Stale
    from dormatory.backends.postgresql.introspection.session import Session
    from dormatory.backends.postgresql.introspection.touched import Touched
    from dormatory.schema.snapshot import Snapshot

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


class PostgreSQLReader:
    """Reads the structure again and again, and only what was touched since the last time."""

    def __init__(self, ignore: Collection[str]) -> None:
        self._ignore = ignore
        self._meter = Meter()
        self._memory: Memory | None = None
        self._shelf = Shelf(namespaces=True)

    def begin(self, connection: Connection) -> None:
        """Remember where a transaction stands, before it does anything."""
        self._meter.begin(connection)

    def end(self, connection: Connection) -> Touched | None:
        """Return what the transaction has touched, just before it ends; None when it cannot be told."""
        return self._meter.end(connection)

    def read(
        self, connection: Connection, touched: Touched | None
    ) -> tuple[Snapshot, frozenset[tuple[str | None, str]] | None]:
        """Return the structure, and the namespaces and names of the tables whose rows may have changed."""
        known = self._memory.relations if self._memory else {}
        files = {oid: known[oid].filenode for oid in touched.locked if oid in known} if touched else {}
        if not (touched and self._memory and self._follow(connection, self._memory, touched)):
            self._memory = None
            with settled(connection) as session:
                memory = self._read_all(session)
                self._tracer = Tracer(memory, session)
            self._memory = memory
        if touched is None:
            return self._shelf.snapshot, None
        relations = self._memory.relations
        moved = {oid for oid in touched.locked & relations.keys() if relations[oid].filenode != files.get(oid)}
        written = (touched.written | moved) & relations.keys()
        return self._shelf.snapshot, frozenset((relations[oid].namespace, relations[oid].name) for oid in written)

    def read_once(self, connection: Connection) -> Snapshot:
        """Return the structure, for a reader that will not be asked again."""
        with settled(connection) as session:
            self._read_all(session)
        return self._shelf.snapshot

    def _follow(self, connection: Connection, memory: Memory, touched: Touched) -> bool:
        """Read again what was touched; return whether that was possible."""
        if not touched.catalogs:
            return True
        self._memory = None  # good for nothing if this ends half-way
        with settled(connection, for_a_few=True) as session:
            try:
                stale = self._tracer.follow(session, touched)
            except TooMuchError:
                return False
            self._build(session, memory, stale)
        self._memory = memory
        return True

    def _read_all(self, session: Session) -> Memory:
        memory = Memory(self._ignore)
        memory.read(session)
        self._build(session, memory, None)
        return memory

    def _build(self, session: Session, memory: Memory, stale: Stale | None) -> None:
        """Build the stale values again, or all."""
        builder, shelf = Builder(memory, session.version), self._shelf
        relations = stale.relations if stale else {*memory.relations, *memory.sequences, *shelf.names("relation")}
        functions = stale.functions if stale else {*memory.functions, *shelf.names("function")}
        for oid in relations:
            shelf.put(("relation", oid), builder.relation(oid) if oid in memory.relations else builder.sequence(oid))
        for oid in functions:
            shelf.put(("function", oid), builder.function(oid) if oid in memory.functions else None)
        if stale is None or stale.types or stale.comments:
            shelf.put_all("type", {row.oid: builder.type(row) for row in memory.types.values()})
        if stale is None or stale.comments:
            shelf.put_all("place", dict(enumerate(builder.places())))
        if stale is None or stale.others or stale.comments:
            shelf.put_all("other", {(it.kind, it.name): it for it in builder.others()})
        unknown = (f"definition of {kind} {name}" for kind, name, *_, definition in memory.others if not definition)
        shelf.take((*NOT_COMPARED, *unknown))


def reflect(connection: Connection, ignore: Collection[str]) -> Snapshot:
    """Return the structure of the connected PostgreSQL database; it only reads, in the caller's transaction."""
    return PostgreSQLReader(ignore).read_once(connection)
