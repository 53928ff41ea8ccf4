"""Errors of a project's own code: its settings, models, environment and revisions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.errors.base import DormatoryError
from dormatory.errors.failure_origin import FailureOrigin
from dormatory.errors.location import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dormatory.errors.location import Location


class MissingProjectError(DormatoryError):
    """There is no Alembic project at the configured place."""

    def __init__(self, ini: Path, why: str, *, fix: str = "set ALEMBIC_CONFIG to the alembic.ini to use") -> None:
        self.ini = ini
        super().__init__(f"{ini} is no Alembic configuration", why=why, fix=fix)


class InvalidSettingError(DormatoryError):
    """A setting of the project is unknown, or has a value that it cannot have."""

    def __init__(self, file: Path, why: str) -> None:
        self.ini = file
        super().__init__(
            f"the settings in {file} are not usable", why=why, fix="correct it in the section dormatory of that file"
        )


class MissingScriptsError(DormatoryError):
    """The directory of the migration scripts does not exist, or its package cannot be found."""

    def __init__(self, ini: Path, location: str, path: Path) -> None:
        package, colon, _ = location.partition(":")
        is_package = bool(colon) and package.replace(".", "").isidentifier() and location in path.name
        why = f"No module named {package!r}" if is_package else f"Path doesn't exist: '{path}'"  # Alembic's words
        super().__init__(
            f"the scripts that {ini} names were not found: script_location = {location}",
            why=why,
            fix=f"install {package} here, or name its directory in prepend_sys_path"
            if is_package
            else "correct script_location"
            + ("" if colon else f", or create the directory with: alembic init {location}"),
        )


class EmptyHistoryError(DormatoryError):
    """The project has no revision, so that a check would look at nothing; `folders` below have files."""

    def __init__(self, locations: Sequence[Path], folders: Sequence[Path]) -> None:
        super().__init__(
            "nothing was checked: the project has no revision",
            why=f"there is no revision file in {' or '.join(map(str, locations))}"
            + (f", only below it in {', '.join(it.name for it in folders)}" if folders else ""),
            fix=f"if these are parts of one history: recursive_version_locations = true; else name the one that is"
            f" meant: version_locations = {folders[0]}"
            if folders
            else 'correct version_locations, or write the first one with: inv db.revision --message "..."',
        )


class MissingModelsError(DormatoryError):
    """env.py passes no models, or models without a table, so that there is nothing to write a revision from."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "there are no models to write a revision from",
            why=why,
            fix="let env.py import the modules of the models and pass their metadata, such as target_metadata ="
            ' Base.metadata; or write an empty revision with: inv db.revision --empty --message "..."',
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
            fix=_missing_module_fix(why) or "correct the module: what does not import is not in the metadata",
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


class RevisionFailedError(DormatoryError):
    """A revision raised an error; `usual_fix` is for one of which nothing more is known.

    `partly_kept_fix` is for one that had committed something before, in an autocommit block or in batches.
    """

    is_failure = True
    usual_fix = "nothing of it was kept; correct the revision or the rows, then run the command again"
    partly_kept_fix = (
        "what it committed before that is kept; correct the revision or the rows, then run the command again"
    )

    def __init__(
        self, location: Location, reason: str, *, fix: str, origin: FailureOrigin = FailureOrigin.STATEMENT
    ) -> None:
        self.location, self.origin = location, origin
        super().__init__(f"the revision failed at {location}", why=reason, fix=fix)


class EndedInRevisionError(RevisionFailedError):
    """A process ended in a revision, without a word: something in it, or from outside, ended it."""

    def __init__(self, location: Location, code: int) -> None:
        self.code = code
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        fix = "unless you ended it or memory ran out, something that it calls did; what is committed: inv db.status"
        super().__init__(location, f"the process {ended} in it", fix=fix)


class UnstampedDatabaseError(DormatoryError):
    """A revision failed in a database that has tables and no revision, as `create_all` makes it."""

    is_failure = True

    def __init__(self, masked_url: str, tables: Sequence[str], cause: RevisionFailedError) -> None:
        names = ", ".join(tables[:3]) + (", ..." if tables[3:] else "")
        super().__init__(
            f"{cause.what}, and {masked_url} has tables ({names}) and no revision",
            why=f"{cause.why}; perhaps create_all has made them, or the version table was lost",
            fix="write the revision that they match with: inv db.stamp --to REVISION, then see: inv db.check --live",
        )


class SwallowedErrorError(DormatoryError):
    """A revision caught the error of a statement, and went on without it."""

    is_failure = True

    def __init__(
        self,
        location: Location,
        reason: str,
        *,
        why: str = "it catches the error, after which the transaction accepts nothing any more",
    ) -> None:
        self.location = location
        first_line = reason.partition("\n")[0]
        super().__init__(
            f"the revision went on after a statement that failed at {location}",
            why=f"{why}: {first_line}",
            fix="let the error pass, or keep the statement apart: with op.get_bind().begin_nested(): ...",
        )


class TransactionEndedError(DormatoryError):
    """A revision committed or rolled back by itself; its changes and the version table may disagree."""

    is_failure = True
    reason = "a commit() or rollback() in it separates its changes from its entry in the version table"

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"revision {revision} ended its transaction by itself",
            why=self.reason,
            fix="check what took effect, then use op.get_context().autocommit_block() in place of that call",
        )


class MissingDowngradeError(DormatoryError):
    """A revision has no downgrade function."""

    def __init__(self, location: Location) -> None:
        self.location = location
        super().__init__(
            f"{location} has no downgrade",
            why="the file defines no such function",
            fix='write it, or declare irreversible = "why" at the top of the module',
        )


class MissingUpgradeError(DormatoryError):
    """A revision has no upgrade function."""

    def __init__(self, location: Location) -> None:
        self.location = location
        super().__init__(
            f"{location} has no upgrade",
            why="the file defines no such function",
            fix="write it: def upgrade() -> None:",
        )


class RevisionImportError(DormatoryError):
    """A revision file cannot be imported."""

    def __init__(self, location: Location, reason: str) -> None:
        self.location = location
        fix = _missing_module_fix(reason) or "correct that line"
        super().__init__(f"{location} cannot be imported", why=reason, fix=fix)


class FixtureFailedError(DormatoryError):
    """A statement failed in the project's file of rows for a revision."""

    def __init__(self, location: Location, statement: str, reason: str) -> None:
        self.location, self.statement = location, statement
        super().__init__(
            f"{location} failed: {' '.join(statement.split())}",
            why=reason,
            fix="make it fit the schema of its revision, which is the one in its name",
        )


class AlembicRefusedError(DormatoryError):
    """Alembic or SQLAlchemy refused the command."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "Alembic refused", why=reason, fix="see where the database is in the history with: inv db.history"
        )


class SeveralDatabasesError(DormatoryError):
    """The ini file names several databases, and no setting says which one is meant."""

    def __init__(self, ini: Path, names: Sequence[str]) -> None:
        super().__init__(
            f"{ini} names several databases: {', '.join(names)}",
            why="a command works on one of them, and nothing says on which; nothing was run",
            fix=f"add below [dormatory]: database = {names[0]}; use an ini file like this one for each other database",
        )


class RepeatedVersionTableError(DormatoryError):
    """env.py runs the migrations again with a version table that an earlier pass has written."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"env.py runs the migrations twice with the version table {table}",
            why="the second time there would be nothing to do, whatever it is meant for",
            fix="configure a version_table or a version_table_schema for each time, or run one database at a time",
        )


_USUAL_ENVIRONMENT_FIX = "check that plain Alembic runs here: python -m alembic current"
# What env.py lacks, by what its error says, and the setting that gives it.
_MISSING_SURROUNDINGS = (
    (r'role "([^"]+)" does not exist', "let throwaway servers have it, below [dormatory]: roles = {0}"),
    (r"validation errors? for .*\bhost\b", "its settings want a URL with a host, below [dormatory]: redirect = true"),
    (
        r"\bNoAppException\b",
        "name the application as for `flask`: FLASK_APP=module, or FLASK_APP='module:factory(...)'",
    ),
    (
        r"no (running|current) event loop|AnyIO worker thread|outside of application context|No active .*context",
        "name a function that calls what it is given there, below [dormatory]: wrapper = module:function",
    ),
    (
        r"requires an async driver",
        "install one, and name it below [dormatory]: drivers = postgresql+asyncpg, sqlite+aiosqlite",
    ),
)


class EnvironmentFailedError(DormatoryError):
    """A project's env.py, or what it imports, raised an error outside any revision."""

    is_failure = True

    def __init__(self, location: Location | None, reason: str) -> None:
        self.location = location or NOWHERE
        super().__init__(
            f"env.py failed at {location or 'env.py'}",
            why=reason,
            fix=_missing_module_fix(reason) or _setting_fix(reason) or _USUAL_ENVIRONMENT_FIX,
        )


class BaselineFailedError(DormatoryError):
    """The baseline that the settings name for an empty database failed."""

    is_failure = True

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"the baseline {name} failed",
            why=reason,
            fix=f"correct {name}, or name another one below [dormatory]: baseline = ...",
        )


class ModelsFailedError(DormatoryError):
    """The database refused the tables that the models describe."""

    is_failure = True

    def __init__(self, reason: str) -> None:
        super().__init__(
            "the models cannot be created on an empty database",
            why=reason,
            fix="correct them; a baseline can create what they need beforehand, see MIGRATIONS.md",
        )


def _setting_fix(reason: str) -> str:
    """Return which setting gives env.py what it lacks; "" for another reason."""
    found = ((re.search(pattern, reason), fix) for pattern, fix in _MISSING_SURROUNDINGS)
    return next((fix.format(*match.groups()) for match, fix in found if match), "")


def _missing_module_fix(reason: str) -> str:
    """Return what to do about a module that is not installed; "" for another reason."""
    missing = re.search(r"No module named '([\w.]+)'", reason)
    return f"install what has the module {missing[1]}, or name its directory in prepend_sys_path" if missing else ""
