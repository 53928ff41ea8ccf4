"""What statements do to the tables of a database: locks, rewrites, scans and writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class StatementEffects:
    """What one statement did to tables that existed before the leg; the fields are those of a Statement.

    `locks` are pairs of a table and a mode. TRUNCATE rewrites and scans nothing, although it leaves an empty file.
    `foreign_keys` belong to every table of the database.
    """

    locks: tuple[tuple[str, str], ...] = ()
    rewritten: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    lock_timeout: int = 0
    foreign_keys: tuple[bool, bool] | None = None
    owner_refusal: str = ""
    owner_rows: int = -1


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

    def before_statement(self, sql: str, parameters: Any) -> None:
        """Read the state that a statement begins with, where its effects cannot be found without it."""

    def after_statement(self, sql: str, *, is_open: bool) -> StatementEffects:
        """Return the effects of the statement that has just ended; `is_open`: its transaction has not ended."""

    def unknown_effects(self) -> StatementEffects:
        """Return what is known of a statement after which nothing can be queried, such as one that failed."""
