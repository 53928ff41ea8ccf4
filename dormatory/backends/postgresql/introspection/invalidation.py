"""Which objects of a PostgreSQL database one transaction changed, and whose text that changes in turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dormatory.backends.postgresql.introspection import tracing
from dormatory.backends.postgresql.introspection.queries import OF_WIDE
from dormatory.backends.postgresql.introspection.session import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dormatory.backends.postgresql.introspection.catalog import Memory
    from dormatory.backends.postgresql.introspection.session import Session
    from dormatory.backends.postgresql.introspection.touched import Touched

# Catalogs from which nothing comes into a snapshot.
_SILENT = frozenset(
    {
        "pg_auth_members",
        "pg_db_role_setting",
        "pg_init_privs",
        "pg_largeobject",
        "pg_largeobject_metadata",
        "pg_parameter_acl",
        "pg_publication_namespace",
        "pg_publication_rel",
        "pg_replication_origin",
        "pg_seclabel",
        "pg_shdepend",
        "pg_shdescription",
        "pg_shseclabel",
        "pg_statistic",
        "pg_statistic_ext_data",
    }
)
# Catalogs whose rows belong to a relation that stays locked, or that are looked at one by one below.
_FOLLOWED = frozenset(
    {
        "pg_attrdef",
        "pg_attribute",
        "pg_class",
        "pg_constraint",
        "pg_depend",
        "pg_description",
        "pg_enum",
        "pg_foreign_table",
        "pg_index",
        "pg_inherits",
        "pg_partitioned_table",
        "pg_policy",
        "pg_proc",
        "pg_rewrite",
        "pg_sequence",
        "pg_trigger",
        "pg_type",
    }
)
# Catalogs of objects that no other object's text names.
_OTHERS = frozenset({"pg_default_acl", "pg_event_trigger", "pg_publication", "pg_statistic_ext"})
# The text of a query can change with what it might have read.
_MISSING_APART = 160000
_FROZEN = "2"  # FrozenTransactionId: older than all
_QUERIES = frozenset({"pg_policy", "pg_proc", "pg_rewrite"})
_HOMES = frozenset({"pg_class", "pg_constraint", "pg_rewrite", "pg_attrdef", "pg_policy", "pg_trigger"})
_PARTS = frozenset({"pg_constraint", "pg_trigger", "pg_rewrite", "pg_policy"})


class TooMuchError(Exception):
    """So much changed, or so rare a thing, that everything is to be read again."""


@dataclass(slots=True)
class Stale:
    """The objects whose values are to be built again."""

    relations: set[int] = field(default_factory=set)  # sequences, too
    functions: set[int] = field(default_factory=set)
    types: bool = False
    others: bool = False
    comments: bool = False


class Tracer:
    """Follows the changes of a transaction through the catalogs and brings the memory up to date."""

    def __init__(self, memory: Memory, session: Session) -> None:
        """Follow what happens from now on, when the memory has just been read."""
        self._memory = memory
        (counts,) = session.ask(tracing.COUNTS)
        self._counts = list(counts)
        self._procedures = {oid: name for oid, _, name in self._read_procedures(session, None)}

    def follow(self, session: Session, touched: Touched) -> Stale:
        """Read again what changed, and return what that makes stale.

        Raises TooMuchError where that is not known, and the memory is good for nothing any more.
        """
        catalogs = touched.catalogs
        if catalogs - _SILENT - _FOLLOWED - _OTHERS - {"pg_authid"} or "pg_authid" in touched.updated | touched.deleted:
            raise TooMuchError
        stale = Stale(others=not catalogs.isdisjoint(_OTHERS))
        flags = (
            "pg_class" in touched.updated,
            "pg_attribute" in touched.updated and not self._knows_attributes(session, touched),
            "pg_type" in catalogs,
            "pg_constraint" in catalogs,
            "pg_depend" in catalogs,
        )
        oids, news, answers = self._ask(session, touched.transaction, touched.locked, flags)
        types, constraints, members = self._news(news)
        if members:
            raise TooMuchError
        stale.types = types or constraints or "pg_enum" in catalogs
        if "pg_proc" in catalogs:
            self._follow_functions(session, touched, stale)
        self._follow_relations(session, oids, answers, stale)
        if stale.types:
            self._follow_types(session)
        if "pg_description" in catalogs:
            self._follow_comments(session, stale)
        if stale.others or (self._memory.others and (stale.functions or stale.types)):
            stale.others = True
            self._memory.read_others(session)
        return stale

    def _knows_attributes(self, session: Session, touched: Touched) -> bool:
        """Tell whether every row written to pg_attribute belongs to a locked relation: others come from grants.

        A row is there because it was written once at least. One that was inserted with a default was written again
        to say so, and since 16 once more for the value that the rows of before have in the new column.
        """
        given = f"'{touched.transaction}'::xid", listed(touched.locked)
        written = 0
        for oid, number, has_default, has_missing in session.ask_prepared(
            "new_attributes (xid, oid[])", tracing.NEW_ATTRIBUTES, *given
        ):
            is_inserted = number not in {row[1] for row in self._memory.columns.get(oid, ())}
            written += 1 + is_inserted * (has_default + (has_missing and session.version >= _MISSING_APART))
        return written == touched.attributes

    @staticmethod
    def _ask(
        session: Session, transaction: str | None, oids: Iterable[int], flags: Sequence[bool]
    ) -> tuple[set[int], Sequence[int | None], dict[str, str | None]]:
        """Return the relations that are to be read again, what was counted, and the relations' rows."""
        given = f"'{transaction or _FROZEN}'::xid", listed(oids), *(str(flag).lower() for flag in flags)
        ((path, wide, counts, *answers),) = session.ask_prepared(
            f"follow ({tracing.FOLLOW_PARAMETERS})", tracing.FOLLOW, *given
        )
        if not session.confirm(path):
            raise TooMuchError
        return set(wide), counts, dict(zip(OF_WIDE, answers, strict=True))

    def _news(self, counts: Sequence[int | None]) -> list[bool]:
        """Return of each kind that is counted whether there is something new, or something gone."""
        news = []
        for place, (count, new) in enumerate(zip(counts[::2], counts[1::2], strict=True)):
            news.append(count is not None and (bool(new) or count != self._counts[place]))
            if count is not None:
                self._counts[place] = count
        return news

    def _follow_relations(self, session: Session, oids: set[int], answers: dict[str, str | None], stale: Stale) -> None:
        memory = self._memory
        while oids:
            before = {oid: self._identity(oid) for oid in oids}
            memory.renew(oids, answers)
            stale.relations |= oids
            renamed, grown = set[int](), set[int]()
            for oid, old in before.items():
                new = self._identity(oid)
                if self._is_composite(old) or self._is_composite(new):
                    stale.types = True
                if old is None or new is None or old == new:
                    continue
                if self._is_composite(old):
                    raise TooMuchError
                (renamed if _is_renamed(old, new) else grown).add(oid)
            found = self._dependents(session, renamed, stale, of=_HOMES)
            if memory.has_queries:
                found |= self._dependents(session, grown, stale, of=_QUERIES)
            if renamed:
                stale.others = stale.others or bool(memory.others)
                stale.types = stale.types or bool(memory.types)
            if not found <= stale.relations:
                oids, _, answers = self._ask(session, None, found - stale.relations, [False] * 5)
            else:
                break

    def _dependents(self, session: Session, oids: set[int], stale: Stale, *, of: frozenset[str]) -> set[int]:
        """Return the relations whose text names one of these, and read again the functions that do."""
        if not oids:
            return oids
        found = session.ask_prepared("dependents (oid[])", tracing.DEPENDENTS, listed(oids))
        functions = {oid for catalog, oid in found if catalog == "pg_proc"} - stale.functions
        if functions:
            stale.functions |= functions
            self._memory.read_functions(session, functions)
        return {oid for catalog, oid in found if catalog in of and catalog != "pg_proc"}

    def _identity(self, oid: int) -> _Identity | None:
        """Return what other objects' texts may name of a relation."""
        memory = self._memory
        if row := memory.relations.get(oid):
            head: tuple[str, ...] = (row.namespace, row.name)
        elif sequence := memory.sequences.get(oid):
            head = (sequence.namespace, sequence.name)
        elif oid in memory.columns:
            head = _COMPOSITE
        else:
            return None
        parts: dict[tuple[str, int], Any] = {("column", it[1]): it[2:4] for it in memory.columns.get(oid, ())}
        parts |= {("constraint", it[0]): it[3] for it in memory.constraints.get(oid, ())}
        parts |= {("index", it[0]): it[2] for it in memory.indexes.get(oid, ())}
        return head, parts

    @staticmethod
    def _is_composite(identity: _Identity | None) -> bool:
        return identity is not None and identity[0] == _COMPOSITE

    def _follow_types(self, session: Session) -> None:
        """Read all types again; what an old one is called now, or what its values are, may stand anywhere."""
        memory = self._memory
        before = memory.types
        memory.read_types(session)
        memory.read_domains(session)
        memory.read_grants_of(session, "pg_type")
        for oid, old in before.items():
            new = memory.types.get(oid)
            if new and ((new.namespace, new.name) != (old.namespace, old.name) or {*old.labels} - {*new.labels}):
                raise TooMuchError

    def _follow_functions(self, session: Session, touched: Touched, stale: Stale) -> None:
        """Read again the functions that changed; a name that another one has too may be written in full from now on."""
        memory, before = self._memory, self._procedures
        answers = self._read_procedures(session, touched.transaction)
        after = {oid: name for oid, _, name in answers}
        changed = {oid for oid, is_new, _ in answers if is_new} | (before.keys() ^ after.keys())
        names = {procedures[oid] for procedures in (before, after) for oid in changed if oid in procedures}
        quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
        if names and session.ask(tracing.NAMESAKES.format(quoted, listed(changed)))[0][0]:
            raise TooMuchError
        old = {oid: _signature(memory.functions.get(oid)) for oid in changed & before.keys() & after.keys()}
        memory.read_functions(session, changed)
        if any(_signature(memory.functions.get(oid)) != signature for oid, signature in old.items()):
            raise TooMuchError
        memory.read_grants_of(session, "pg_proc")
        self._procedures = after
        stale.functions |= changed

    @staticmethod
    def _read_procedures(session: Session, transaction: str | None) -> list[Any]:
        since = f"'{transaction or _FROZEN}'::xid"
        return list(session.ask_prepared("procedures (xid)", tracing.PROCEDURES, since))

    def _follow_comments(self, session: Session, stale: Stale) -> None:
        memory = self._memory
        before = memory.comments
        memory.read_comments(session)
        stale.comments = True
        changed = {
            (catalog, oid)
            for catalog, oid, part in before.keys() | memory.comments.keys()
            if before.get((catalog, oid, part)) != memory.comments.get((catalog, oid, part))
        }
        stale.functions |= {oid for catalog, oid in changed if catalog == "pg_proc"}
        relations = {oid for catalog, oid in changed if catalog == "pg_class"}
        if parts := {oid for catalog, oid in changed if catalog in _PARTS} | relations:
            stale.relations |= memory.owners(parts)
        stale.relations |= relations


_Identity = tuple[tuple[str, ...], dict[tuple[str, int], Any]]
_COMPOSITE = ("composite",)


def _is_renamed(old: _Identity, new: _Identity) -> bool:
    """Tell whether something that both have is called otherwise now."""
    return old[0] != new[0] or any(new[1][key] != part for key, part in old[1].items() if key in new[1])


def _signature(row: Any) -> tuple[str, ...] | None:
    return (row.namespace, row.name, row.arguments) if row else None
