"""The rows that the revisions themselves put into the tables: what a run over empty tables leaves behind."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from alembic.runtime.migration import RevisionStep
    from sqlalchemy import Connection

    from dormatory.backends.row_io import StoredRows
    from dormatory.replay.session import ReplaySession
    from dormatory.rows.fixtures import FixtureRows
    from dormatory.schema.snapshot import TableId


@dataclass(frozen=True, slots=True)
class SeedRows:
    """The rows of a database to which revisions were only applied; a table that did not change is the same object."""

    tables: Mapping[TableId, StoredRows]


def record_seed_rows(session: ReplaySession, fixtures: FixtureRows, revisions: Sequence[str]) -> tuple[SeedRows, ...]:
    """Upgrade through revisions, and return the rows before the first of them and after each.

    They end early at a revision that fails: the rows after it are unknown.
    """
    found: list[SeedRows] = []

    def steps() -> Iterator[RevisionStep]:
        with session.connection_between_steps() as connection:
            found.append(_read(connection, session.version_table, None))
        for revision in revisions:
            yield from session.plain_steps((revision,))
            with session.connection_between_steps() as connection:
                fixtures.add(connection, revision)
                found.append(_read(connection, session.version_table, found[-1]))

    session.run(steps)
    return tuple(found)


def _read(connection: Connection, version_table: str, previous: SeedRows | None) -> SeedRows:
    with closing(backend_by_name(connection.dialect.name).row_io.row_writer(connection)) as writer:
        now = {
            (namespace, name): rows
            for (namespace, name), rows in writer.stored_rows().items()
            if version_table not in {name, f"{namespace}.{name}"}
        }
    if previous is not None:
        now = {id_: old if (old := previous.tables.get(id_)) == rows else rows for id_, rows in now.items()}
        if now == previous.tables:
            return previous
    return SeedRows(now)
