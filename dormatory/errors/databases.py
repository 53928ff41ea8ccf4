"""Errors of a database: it cannot be reached, is in use, or is not as it should be."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from dormatory.errors.base import DormatoryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class MalformedURLError(DormatoryError):
    """DATABASE_URL does not name a database; its text is never repeated, it may hold a password."""

    def __init__(self, why: str, *, fix: str = "") -> None:
        escaped = "write @ : / ? # in the password as %40 %3A %2F %3F %23"
        fix = fix or f"expected dialect://user:password@host:port/name; {escaped}"
        super().__init__("DATABASE_URL is not usable", why=why, fix=fix)


class UnsupportedBackendError(DormatoryError):
    """The URL names a kind of database this workflow does not know."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"{name} databases are not supported",
            why=f"this workflow knows {' and '.join(self.known)}",
            fix="name one of these in DATABASE_URL, or with --backend",
        )


class DatabaseFailedError(DormatoryError):
    """The database could not be reached, or refused a statement."""

    is_failure = True


class MissingDatabaseError(DatabaseFailedError):
    """There is no such database on the server, no such file, or not even the directory for it."""

    def __init__(self, masked_url: str, missing_directory: str = "") -> None:
        super().__init__(
            f"{masked_url} does not exist",
            why="its directory is not there" if missing_directory else "it was not created yet",
            fix=f"create {missing_directory}, or correct DATABASE_URL"
            if missing_directory
            else "create it with: inv db.create",
        )


class ReadOnlyURLError(DatabaseFailedError):
    """The URL itself says that the database may not be changed."""

    is_failure = False

    def __init__(self, masked_url: str, option: str) -> None:
        super().__init__(
            f"{masked_url} was not changed",
            why=f"DATABASE_URL opens it with {option}, for reading only",
            fix=f"leave {option} out of DATABASE_URL to change it",
        )


class DamagedDatabaseError(DatabaseFailedError):
    """The file of a database is damaged: what is read from it may be wrong."""

    def __init__(self, masked_url: str, problem: str) -> None:
        super().__init__(
            f"{masked_url} is damaged",
            why=problem,
            fix="move the file away, then put a backup in its place with: inv db.undo (inv db.backups lists them all)",
        )


class HalfDroppedDatabaseError(DatabaseFailedError):
    """Somebody began to drop the database and was interrupted; nothing of it can be read, it can only be removed."""

    def __init__(self, masked_url: str) -> None:
        super().__init__(
            f"{masked_url} is half dropped",
            why="a DROP DATABASE was interrupted; the server keeps the name, and lets nobody in",
            fix="inv db.reset creates it anew and empty, inv db.undo puts its last backup there",
        )


class StandbyError(DatabaseFailedError):
    """The server is a copy of another one, and only that one can be written to."""

    def __init__(self, masked_url: str) -> None:
        super().__init__(
            f"{masked_url} cannot be written to",
            why="its server is a standby, a read-only copy of another server",
            fix="name the primary server in DATABASE_URL",
        )


class ReadOnlyDefaultError(DatabaseFailedError):
    """A setting makes every transaction read-only."""

    def __init__(self, masked_url: str, place: str, fix: str) -> None:
        super().__init__(
            f"{masked_url} cannot be written to",
            why=f"transactions are read-only by default: default_transaction_read_only is on for {place}",
            fix=f"if that is not meant to protect it: {fix}",
        )


class IrreplaceableDatabaseError(DatabaseFailedError):
    """The database cannot be replaced as things are; this was found out before anything was changed."""

    def __init__(self, masked_url: str, why: str, *, fix: str) -> None:
        super().__init__(f"{masked_url} cannot be replaced", why=why, fix=f"nothing was changed; {fix}")


class LeftoverJournalError(DatabaseFailedError):
    """A journal of a removed database lies at the path of a new SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} is left over",
            why="it belongs to a database that is gone, and would be replayed into a new one",
            fix="restore that database next to it, or remove it",
        )


class LeftoverTableError(DatabaseFailedError):
    """The database contains a temporary table of an earlier batch rebuild, which would stop the next one."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"table {table} is left over",
            why="a batch rebuild failed in a run without real transactions",
            fix=f'check that the table it copied is complete, then in inv db.shell: DROP TABLE "{table}"',
        )


class DanglingRowsError(DatabaseFailedError):
    """Rows refer to rows that do not exist; nothing was committed."""

    def __init__(self, examples: Sequence[str], count: int) -> None:
        self.count = count
        super().__init__(
            f"{count} rows refer to rows that are not there: {', '.join(examples)}",
            why="foreign keys are checked before anything is committed",
            fix="correct the rows or the revision; PRAGMA foreign_key_check lists them all",
        )


class InvalidIndexError(DatabaseFailedError):
    """An index exists but is not used: its concurrent build failed. `cause` is an error that it led to."""

    def __init__(self, names: Sequence[str], cause: DormatoryError | None = None) -> None:
        self.names = tuple(names)
        drop = f"DROP INDEX CONCURRENTLY {self.names[0]}"
        super().__init__(
            (f"{cause.what}, and " if cause else "") + f"index {', '.join(self.names)} is invalid",
            why=(f"{cause.why}; " if cause else "") + "building it concurrently failed and left it unused",
            fix=f"build it again with: inv db.upgrade --rebuild-indexes; or drop it in inv db.shell with: {drop}",
        )


class ProtectedDatabaseError(DormatoryError):
    """A destructive command was refused: its target is not marked as a database that may be destroyed."""

    def __init__(self, masked_url: str, environment: str, *, action: str, name: str, given: str | None) -> None:
        typed = quote(name)  # as a shell takes it
        confirm = f"--confirm={typed} (alembic: -x confirm={typed})"
        super().__init__(
            f"{action} refused on {masked_url}",
            why=f"it counts as {environment}" + (f", and {given!r} is not its name" if given else ""),
            fix=f"if that is what you want, name it in the call: {confirm}",
        )


class DatabaseLockedError(DatabaseFailedError):
    """Another migration holds the lock."""

    def __init__(self, masked_url: str, holder: str, seconds: float, *, fix: str) -> None:
        super().__init__(
            f"{masked_url} is being changed by somebody else", why=f"{holder}; waited {seconds:g} s", fix=fix
        )


class LostLockError(DatabaseFailedError):
    """The session that kept other migrations away has ended; another one may have begun."""

    def __init__(self, masked_url: str) -> None:
        super().__init__(
            f"{masked_url} is no longer kept from other migrations",
            why="the session that held the lock was ended",
            fix="nothing more was run; see what is in with inv db.status, then run the command again",
        )


class StalledConnectionError(DatabaseFailedError):
    """A connection passed nothing on for too long, so that it was closed; the server rolls back what was open."""

    def __init__(self, masked_url: str, reason: str, seconds: float) -> None:
        super().__init__(
            f"{masked_url} does not answer",
            why=f"{reason}; waited {seconds:g} s, the limit that lock_wait in the ini file sets",
            fix="see what is between: a proxy, a tunnel, a firewall; see what is in with inv db.status, then try again",
        )


class LockTimeoutError(DatabaseFailedError):
    """A revision needed a lock that another session held too long; `pid` is its process, 0 where that is unknown."""

    def __init__(self, revision: str, blocker: str, *, pid: int, tries: int, is_kept: bool) -> None:
        self.revision, self.pid = revision, pid
        end = f": SELECT pg_terminate_backend({pid})" if pid else ""
        kept = "what it did before is kept, so it was not tried again; check what took effect, undo that, and"
        super().__init__(
            f"revision {revision} did not get a lock" + ("" if is_kept else f" in {tries} tries"),
            why=blocker,
            fix=f"{kept if is_kept else 'nothing of it was kept;'} wait for that session, or end it{end}",
        )


class PoolerError(DatabaseFailedError):
    """The URL leads to a connection pooler and not to the server itself."""

    def __init__(self, masked_url: str) -> None:
        super().__init__(
            f"{masked_url} is reached through a pooler",
            why="locks and settings of this command would be left in a session that others use",
            fix="give the server's own address in DATABASE_URL",
        )


class WrongDatabaseError(DatabaseFailedError):
    """A project's env.py connected to another database than the target; nothing was run there.

    `other_backend` is the kind of that database, if it is not the kind of the target.
    """

    def __init__(self, masked_url: str, why: str, *, other_backend: str = "") -> None:
        settings = "[dormatory] of the ini file"
        only = f"if it runs on {other_backend} alone, set backends = {other_backend} in {settings}; else "
        super().__init__(
            f"env.py did not go to {masked_url}",
            why=why,
            fix=f"{only if other_backend else ''}name the variable that holds its URL (url_variable in {settings}), or "
            "for replays set redirect = true there, or let it use the connection that Alembic hands it: "
            'context.config.attributes.get("connection")',
        )


class StampedMeanwhileError(DatabaseFailedError):
    """Another command wrote a revision into a database between the emptying and the upgrade of a reset."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"{target} was emptied, and is not at base any more",
            why="another command wrote a revision into it before it was upgraded, so its tables were not created",
            fix="run inv db.reset again",
        )


class UnexpectedRevisionError(DatabaseFailedError):
    """A run reported success, but the database is at another revision than expected."""

    def __init__(self, expected: Sequence[str], found: Sequence[str]) -> None:
        super().__init__(
            f"the database is at {', '.join(found) or 'base'}, not at {', '.join(expected) or 'base'}",
            why="a second connection does not see what the run reported",
            fix="look for a revision that commits or rolls back by itself, or for a statement of env.py before "
            "context.configure(), after which Alembic leaves the commit to it: connection.commit()",
        )


class TargetModifiedError(DatabaseFailedError):
    """An SQLite file changed while it was read without locks."""

    def __init__(self, masked_url: str) -> None:
        super().__init__(
            f"{masked_url} was written to while it was copied",
            why="somebody opened it at that moment",
            fix="run the command again: with the file open elsewhere, it is read another way",
        )


class MissingExtensionsError(DatabaseFailedError):
    """A database uses extensions that the throwaway server does not have."""

    def __init__(self, names: Sequence[str], version: str, variable: str) -> None:
        self.names = tuple(names)
        super().__init__(
            f"the copy cannot have the extension {', '.join(self.names)}",
            why=f"the throwaway PostgreSQL {version} has no such files",
            fix=f"install it for that server, or set {variable} to the programs of one that has it",
        )


class ServerTooOldError(DatabaseFailedError):
    """The throwaway server is older than the server whose database it should copy."""

    def __init__(self, target_version: str, server_version: str, variable: str) -> None:
        super().__init__(
            f"the throwaway PostgreSQL {server_version} cannot hold a copy of a PostgreSQL {target_version} database",
            why="a dump loads into the same or a newer version only",
            fix=f"set {variable} to the programs of a PostgreSQL as new as that",
        )
