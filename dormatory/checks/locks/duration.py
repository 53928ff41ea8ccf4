"""Rules of how long others wait: for a lock that is asked for, and until a lock that is held is given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.locks.upgrade import ACCESS_EXCLUSIVE, blocking, blocks_writers
from dormatory.sql.lock_modes import LOCK_MODES
from dormatory.sql.operations import Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Played, Scene
    from dormatory.recording.model import Lock

_TIMEOUT = "op.execute(\"SET LOCAL lock_timeout = '5s'\")"


def no_timeouts(scenes: Sequence[Scene]) -> Iterator[Finding]:
    """Report statements that wait for ACCESS EXCLUSIVE without a limit, the first one of each revision.

    Where no statement of the history has a limit, it is set elsewhere or nowhere: the role that upgrades the production
    database may have one, which a scratch server does not know. So much is noted once.
    """
    has_limit = any(played.statement.lock_timeout for scene in scenes for played in scene.played)
    for scene in scenes:
        for played in scene.played:
            lock = next((lock for lock in played.locks() if lock.mode == ACCESS_EXCLUSIVE), None)
            if lock is None or played.statement.lock_timeout or not scene.stays(lock.table):
                continue
            if has_limit:
                message = f"no lock_timeout is in force under {blocking(lock)}"
                yield scene.finding("no-lock-timeout", played, message, _TIMEOUT, lock.table)
                break
            message = (
                f"no statement of this history has a lock_timeout, this one is the first to need it: {blocking(lock)}"
            )
            hint = "set it where the connection is made, in env.py:\nconnect_args={'options': '-c lock_timeout=5s'}"
            yield scene.finding("no-lock-timeout", played, message, hint, lock.table, severity=Severity.NOTE)
            return


def backfilling(scene: Scene) -> Iterator[Finding]:
    """Report the first statement that writes the rows of a table while a lock of its transaction blocks writers."""
    for played in scene.played:
        written = next((act for act in played.acts if act.verb is Verb.WRITE), None)
        lock = _blocking_one(scene, played)
        if written is None or lock is None or not (written.table or written.name == "insert"):
            continue
        table = written.table or "another table"
        message = f"{written.name.upper()} of {table} under {blocking(lock)}"
        hint = f"the structure in this revision, the rows in the next, in batches:\n{_BATCHES}"
        yield scene.finding("backfill-with-ddl", played, message, hint, written.table or lock.table)
        return


_BATCHES = """with op.get_context().autocommit_block():
    while op.get_bind().execute(batch_of_a_thousand).rowcount: ..."""


def lingering(scene: Scene, blamed: Collection[int]) -> Iterator[Finding]:
    """Report the first statement that makes others wait longer for a table that nobody can read meanwhile.

    It reads or writes a table from end to end, or itself waits for a lock on a second table. What only changes the
    catalogs of the table that is locked anyway takes no time, and is left alone. `blamed` are the lines that another
    rule wants moved to where the lock is not held.
    """
    for played in scene.played:
        held = [lock for table, lock in played.held.items() if lock.mode == ACCESS_EXCLUSIVE and scene.stays(table)]
        if not held or played.statement.line in blamed:
            continue
        if second := _second(scene, played, {lock.table for lock in held}):
            what = f"waits for {second.mode} on {second.table}"
        elif played.statement.scanned or played.statement.rewritten:
            what = f"goes through all of {', '.join(played.statement.scanned or played.statement.rewritten)}"
        else:
            continue
        message = f"this statement {what} under {blocking(held[0])}"
        hint = f"a revision of its own, or before the statement that locks {held[0].table}"
        yield scene.finding("statements-after-lock", played, message, hint, held[0].table)
        return


def _second(scene: Scene, played: Played, held: Collection[str]) -> Lock | None:
    """Return a lock on another table that others use, one for which a program that writes would have to end first."""
    waits = LOCK_MODES.index("SHARE")
    return next(
        (
            lock
            for lock in played.statement.locks
            if lock.table not in held and LOCK_MODES.index(lock.mode) >= waits and scene.stays(lock.table)
        ),
        None,
    )


def _blocking_one(scene: Scene, played: Played) -> Lock | None:
    """Return a lock that the transaction of a statement held before it, and that blocks who wants to write."""
    if not played.statement.transaction:
        return None
    return next((lock for table, lock in played.held.items() if blocks_writers(lock) and scene.stays(table)), None)
