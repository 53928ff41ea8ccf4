"""Groups of tables whose rows depend on each other, in the order in which they can be filled: parents first.

The tables of a group refer to each other in a circle, or rows of one of them set off writes to the others: a trigger,
a rule, a partition. The rows of a group depend on nothing but its own tables and the keys of its parents.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.dataloss.affected_tables import reachable_names, schema_index
from dormatory.system.identity_cache import cache_by_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.schema.snapshot import Reference, Snapshot, Table, TableId
    from dormatory.sql.dialect import Dialect

    _Links = dict[TableId, set[TableId]]


@dataclass(frozen=True, slots=True)
class TableGroup:
    """Tables that must be filled together, the foreign keys that lead out of the group, and the routines that run."""

    tables: tuple[Table, ...]
    references: tuple[Reference, ...]
    routines: tuple[str, ...]

    @property
    def ids(self) -> tuple[TableId, ...]:
        """The ids of the tables."""
        return tuple(table.id for table in self.tables)


@cache_by_identity(max_entries=8)
def table_groups(schema: Snapshot, dialect: Dialect) -> tuple[TableGroup, ...]:
    """Return all tables of a schema in groups, each after those that its foreign keys refer to."""
    index = schema_index(schema, dialect)
    tables = {table.id: table for table in sorted(schema.tables, key=lambda it: (it.namespace or "", it.name))}
    needed: _Links = defaultdict(set)  # by each table
    routines: dict[TableId, set[str]] = {}
    for id_, table in tables.items():
        needed[id_] |= {it.references.table_id for it in table.constraints if it.references} & tables.keys()
        names = reachable_names(index, {table.name.lower()}, dialect)
        routines[id_] = {text for name in names or () for text in index.routines.get(name, ())}
        reached = tables.keys() if names is None else {it.id for name in names for it in index.tables.get(name, ())}
        for other in reached - {id_}:
            needed[id_].add(other)
            needed[other].add(id_)
    groups = []
    for ids in _components(tables, needed):
        members = tuple(tables[id_] for id_ in ids)
        references = (it.references for table in members for it in table.constraints if it.references)
        outward = tuple(it for it in references if it.table_id in tables and it.table_id not in ids)
        groups.append(TableGroup(members, outward, tuple(sorted(set().union(*(routines[id_] for id_ in ids))))))
    return tuple(groups)


def _components(ids: Iterable[TableId], needed: _Links) -> Iterator[list[TableId]]:
    """Yield the tables that lead to each other, each group after those that it needs (Kosaraju's algorithm)."""
    needing: _Links = defaultdict(set)
    for id_ in ids:
        for other in needed[id_]:
            needing[other].add(id_)
    finished = list(_visit(reversed(list(ids)), needing, set()))
    seen: set[TableId] = set()
    for id_ in reversed(finished):
        if id_ not in seen:
            yield sorted(_visit([id_], needed, seen), key=str)


def _visit(starts: Iterable[TableId], links: _Links, seen: set[TableId]) -> Iterator[TableId]:
    """Yield what the links lead to from here and was not seen before, depth first, each after what it leads to."""
    for start in starts:
        path = [] if start in seen else [(start, iter(sorted(links[start], key=str)))]
        seen.add(start)
        while path:
            id_, waiting = path[-1]
            following = next((other for other in waiting if other not in seen), None)
            if following is None:
                path.pop()
                yield id_
            else:
                seen.add(following)
                path.append((following, iter(sorted(links[following], key=str))))
