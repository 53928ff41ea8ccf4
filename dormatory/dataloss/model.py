"""The values of a judgement: one round trip with its rows, and what was lost on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dormatory.dataloss.contents import Contents
    from dormatory.recording.model import Statement
    from dormatory.schema.snapshot import Snapshot, TableId
    from dormatory.sql.dialect import Dialect


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database at one moment of a round trip."""

    schema: Snapshot
    contents: Contents


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One revision's round trip as far as it got: states between the legs, and the statements of each leg.

    `filled` are the contents after rows were put in behind the upgrade, None where none were. States that were not
    reached are None. `touched` names the tables that may be judged: nothing has happened to any other, of which the
    states need hold only what foreign keys join to these. None: any table may be.
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
