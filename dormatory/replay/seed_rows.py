"""The rows that the revisions themselves put into the tables: what a run over empty tables leaves behind."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from dormatory.backends.registry import backend_by_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alembic.runtime.migration import RevisionStep
    from sqlalchemy import Connection

    from dormatory.backends.counter import Counter
    from dormatory.backends.row_io import StoredRows
    from dormatory.replay.session import ReplaySession
    from dormatory.rows.fixtures import FixtureRows
    from dormatory.schema.snapshot import TableId

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class SeedRows:
    """The rows and counters of a database to which revisions were only applied.

    A counter that more than one table reads is left out. What did not change is the same object.
    """

    tables: Mapping[TableId, StoredRows]
    counters: Mapping[TableId, tuple[Counter, ...]]


def record_seed_rows(session: ReplaySession, fixtures: FixtureRows, revisions: Sequence[str]) -> tuple[SeedRows, ...]:
    """Upgrade through revisions, and return the rows before the first of them and after each.

    They end early at a revision that fails: the rows after it are unknown.
    """
    found: list[SeedRows] = []

    def steps() -> Iterator[RevisionStep]:
        with session.connection_between_steps() as connection:
            found.append(_read(connection, session.version_tables, None))
        for revision in revisions:
            yield from session.plain_steps((revision,))
            with session.connection_between_steps() as connection:
                fixtures.add(connection, revision)
                found.append(_read(connection, session.version_tables, found[-1]))

    session.run(steps)
    return tuple(found)


def _read(connection: Connection, version_tables: set[str], previous: SeedRows | None) -> SeedRows:
    backend = backend_by_name(connection.dialect.name)
    with closing(backend.row_io.row_writer(connection)) as writer:
        rows = {
            (namespace, name): stored
            for (namespace, name), stored in writer.stored_rows().items()
            if not version_tables & {name, f"{namespace}.{name}"}
        }
    counters: dict[TableId, tuple[Counter, ...]] = defaultdict(tuple)
    for counter, *more in _by_id(backend.counters.read_counters(connection)):
        if counter.table and not more:
            counters[counter.table] += (counter,)
    if previous is None:
        return SeedRows(rows, dict(counters))
    return SeedRows(_with_known(rows, previous.tables), _with_known(counters, previous.counters))


def _by_id(counters: Iterable[Counter]) -> Iterator[list[Counter]]:
    """Yield the readers of each counter."""
    yield from (list(group) for _, group in groupby(counters, key=lambda it: it.id))


def _with_known(now: Mapping[_K, _V], known: Mapping[_K, _V]) -> Mapping[_K, _V]:
    """Return a mapping with the known objects for all values that are equal to them."""
    found = {key: old if (old := known.get(key)) == value else value for key, value in now.items()}
    return known if found == known else found
