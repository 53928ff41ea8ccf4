"""What statements do to the tables of a database: locks, rewrites, scans and writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from dormatory.schema.snapshot import TableId


@dataclass(frozen=True, slots=True)
class StatementEffects:
    """What one statement did to tables that existed before the leg; the fields are those of a Statement.

    `locks` are pairs of a table and a mode. TRUNCATE rewrites and scans nothing, although it leaves an empty file.
    """

    locks: tuple[tuple[str, str], ...] = ()
    rewritten: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    lock_timeout: int = 0


NO_EFFECTS = StatementEffects()


class StatementTracer(Protocol):
    """Finds out, statement by statement, what was done on one connection."""

    def prepare(self, connection: Connection) -> None:
        """Read which tables exist, at the end of a transaction after which nothing happens before the leg.

        `connection` may be another one to the same database.
        """

    def start(self) -> None:
        """Read which tables exist before a leg. No transaction is left open that was not open before."""

    def forget_transaction(self) -> None:
        """Forget what was read inside a transaction that was rolled back."""

    def before_statement(self) -> None:
        """Read the state that a statement in autocommit begins with."""

    def after_statement(self, sql: str, *, is_open: bool) -> StatementEffects:
        """Return the effects of the statement that has just ended; `is_open`: its transaction has not ended."""

    def unknown_effects(self) -> StatementEffects:
        """Return what is known of a statement after which nothing can be queried, such as one that failed."""


class Tracer(Protocol):
    """Part `tracer`: what a connection did."""

    def statement_tracer(self, connection: Connection) -> StatementTracer | None:
        """Return a tracer for this connection; None where there are no locks and rewrites to observe."""

    def collect_written_tables(self, connection: Connection) -> AbstractContextManager[set[TableId] | None]:
        """Give a set that collects the tables a block writes to; None where that cannot be observed."""

    def total_rows_written(self, cursor: Any) -> int:
        """Return how many rows the cursor's connection has written since it was opened; 0 where that is unknown."""

    def is_transaction_open(self, connection: Connection) -> bool:
        """Return whether a transaction is open, as the driver knows it without a query."""
