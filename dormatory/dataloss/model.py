"""A round trip with its rows, as the detection of losses needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.dataloss.contents import Contents
    from dormatory.recording.leg import Statement
    from dormatory.schema.snapshot import Snapshot, TableId
    from dormatory.sql.dialect import Dialect


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database at one moment of a round trip."""

    schema: Snapshot
    contents: Contents


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One revision's round trip as far as it got: the states between the legs, and the statements of each leg.

    `filled` are the contents after rows were added between upgrade and downgrade, None if none were. States that were
    not reached are None. `affected_tables` are the tables that may have changed, None for all tables; of the others,
    the states need hold only those that foreign keys join to these.
    """

    dialect: Dialect
    before: DatabaseState
    upgrade: tuple[Statement, ...]
    upgraded: DatabaseState
    filled: Contents | None = None
    downgrade: tuple[Statement, ...] = ()
    downgraded: DatabaseState | None = None
    second_upgrade: tuple[Statement, ...] = ()
    upgraded_again: DatabaseState | None = None
    affected_tables: frozenset[TableId] | None = None
