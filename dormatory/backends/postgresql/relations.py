"""Read which tables and indexes a PostgreSQL database has at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dormatory.sql.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    RunQuery: TypeAlias = Callable[[str], Sequence[Sequence[Any]]]

# No name in it depends on search_path: a revision may set that.  99 is the namespace pg_toast.  The flush at the end of
# the transaction resets the counters of scans to zero; otherwise they outlive the transaction for up to a second.
_RELATIONS = """
SELECT c.oid::bigint, s.horizon, s.lock_timeout,
    (SELECT n.nspname::text FROM pg_catalog.pg_namespace AS n WHERE n.oid = c.relnamespace), c.relname::text,
    (SELECT i.indrelid::bigint FROM pg_catalog.pg_index AS i WHERE i.indexrelid = c.oid),
    pg_catalog.pg_relation_filenode(c.oid)::bigint,
    pg_catalog.pg_stat_get_numscans(c.oid) + pg_catalog.pg_stat_get_xact_numscans(c.oid)
FROM (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::xid::text AS horizon,
    pg_catalog.current_setting('lock_timeout') AS lock_timeout, pg_catalog.pg_stat_force_next_flush()) AS s
LEFT JOIN (SELECT oid, relname, relkind, relnamespace, relpersistence FROM pg_catalog.pg_class {} OFFSET 0) AS c
    ON c.oid >= 16384
    AND c.relkind IN ('r', 'p', 'm', 'f', 'i', 'I') AND c.relnamespace <> 99 AND c.relpersistence <> 't'"""
# OFFSET makes the server try this condition first, since it excludes nearly all rows, and without an index.
_CHANGED_SINCE = "WHERE pg_catalog.age(xmin) <= pg_catalog.age('{}'::xid)"
_MILLISECONDS_PER_UNIT = {"": 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, or an index of the table with the OID `table`; `file` is its relfilenode, 0 where it has none."""

    name: str
    table: int = 0
    file: int = 0

    @property
    def is_table(self) -> bool:
        """Whether this is a table, materialised view or foreign table, and not an index."""
        return not self.table


class RelationCache:
    """All relations by OID; after the first time, only what changed since is read.

    What was dropped stays: no OID is given twice in the life of a scratch database.
    """

    def __init__(self) -> None:
        self._known: dict[int, Relation] = {}
        self._horizon = ""

    def refresh(self, run_query: RunQuery) -> tuple[dict[int, Relation], int]:
        """Return the relations that exist now, and the current lock_timeout in milliseconds."""
        rows = run_query(_RELATIONS.format(_CHANGED_SINCE.format(self._horizon) if self._horizon else ""))
        # All transactions with lower numbers have ended: their changes are in these rows or in earlier ones.
        self._horizon = rows[0][1]
        self._known.update(_relation(row) for row in rows if row[0] is not None)
        return self._known.copy(), milliseconds(rows[0][2])


@dataclass(frozen=True, slots=True)
class RelationSurvey:
    """Exactly the relations that exist, and how often each was scanned completely until now."""

    relations: dict[int, Relation]
    scans: dict[int, int]
    lock_timeout: int


def survey_relations(run_query: RunQuery) -> RelationSurvey:
    """Read all relations."""
    rows = run_query(_RELATIONS.format(""))
    found = [row for row in rows if row[0] is not None]
    return RelationSurvey(dict(map(_relation, found)), {row[0]: row[-1] for row in found}, milliseconds(rows[0][2]))


def milliseconds(setting: str) -> int:
    """Return a duration as PostgreSQL shows it, such as 1500ms or 2min."""
    digits = setting.rstrip("dhimns")
    return int(digits) * _MILLISECONDS_PER_UNIT[setting.removeprefix(digits)]


def relation_name(namespace: str, name: str) -> str:
    """Return a name for people: with its namespace unless that is public."""
    return name if namespace == "public" else f"{namespace}.{name}"


def named_locks(relations: Mapping[int, Relation], ranks: Mapping[int, int]) -> tuple[tuple[str, str], ...]:
    """Return pairs of a table's name and a lock mode, from the modes' ranks by the OIDs of tables."""
    return tuple(sorted((relations[oid].name, LOCK_MODES[rank]) for oid, rank in ranks.items()))


def sorted_unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different names, sorted."""
    return tuple(sorted(set(names)))


def _relation(row: Sequence[Any]) -> tuple[int, Relation]:
    oid, _, _, namespace, name, table, file, _ = row
    return oid, Relation(relation_name(namespace, name), table or 0, file or 0)
