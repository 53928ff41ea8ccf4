"""Turns an exception from a migration into an error in the words of the user."""

from __future__ import annotations

import re
import traceback
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError, StatementError

from dormatory.backends.registry import backend_for
from dormatory.errors import (
    AlembicRefusedError,
    DatabaseNotAtHeadError,
    DormatoryError,
    EnvironmentFailedError,
    MissingDowngradeError,
    MissingModelsError,
    MissingUpgradeError,
    MultipleHeadsError,
    RevisionFailedError,
    RevisionImportError,
    TooManyStepsError,
    UnknownRevisionError,
    WrongDatabaseError,
)
from dormatory.errors.base import declares_no_way_back
from dormatory.errors.location import Location
from dormatory.project.history import History
from dormatory.runtime.error_origin import error_origin
from dormatory.runtime.guards import has_kept_work
from dormatory.system.signals import TerminatedError, is_interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.backends.url import Target
    from dormatory.project.project import Project

# What Alembic says, and the error that it means.
_PLAIN_REFUSALS: dict[str, Callable[[], DormatoryError]] = {
    "not up to date": DatabaseNotAtHeadError,
    "does not provide a MetaData object": partial(MissingModelsError, "env.py passes no target_metadata"),
}
_MISSING_FUNCTIONS = {"upgrade": MissingUpgradeError, "downgrade": MissingDowngradeError}


def explain_error(error: BaseException, *, target: Target | None, project: Project) -> DormatoryError | None:
    """Return the error in the user's words, or None if it is a programming error outside of revisions.

    An error that a revision's own lines raise names the file and the line. An error that followed from an interruption
    is not explained: the interruption itself is raised again.
    """
    if interruption := _interruption(error):
        raise interruption from None
    if isinstance(error, PendingRollbackError):  # the connection was lost earlier, inside the block
        error = next((one for one in _earlier_errors(error) if isinstance(one, DBAPIError)), error)
    for known in (error, error.__cause__, _missing_function(error, project)):
        if isinstance(known, DormatoryError):
            return known
    if target and isinstance(error, DBAPIError) and backend_for(target).is_system_failure(error):
        return backend_for(target).explain(error, target)
    if frame := _revision_frame(error, project):
        return _revision_error(error, frame, project, target)
    if isinstance(error, CommandError):
        return _command_error(error, project)
    if isinstance(error, DBAPIError) and target is not None:
        return _database_error(error, target, project)
    is_refused = isinstance(error, SQLAlchemyError) and not _is_raised_by_env(error, project)
    return AlembicRefusedError(_first_line(error, target)) if is_refused else None


def _missing_function(error: BaseException, project: Project) -> DormatoryError | None:
    """Return the error for a revision without the function that Alembic has just looked for, None for another error."""
    module = error.obj if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType) else None
    name = error.name if isinstance(error, AttributeError) else ""
    if module is None or name not in _MISSING_FUNCTIONS or not hasattr(module, "revision"):
        return None
    return _MISSING_FUNCTIONS[name](Location(str(module.__file__).removeprefix(f"{project.root}/")))


def _is_raised_by_env(error: BaseException, project: Project) -> bool:
    """Return whether another project's env.py got an error from what it calls itself, not from Alembic's run."""
    stack = traceback.extract_tb(error.__traceback__)
    at = [number for number, frame in enumerate(stack) if frame.filename == f"{project.script_location}/env.py"]
    is_theirs = bool(at) and not project.has_our_environment
    return is_theirs and not any("/alembic/" in frame.filename for frame in stack[at[-1] :])


def _interruption(error: BaseException) -> BaseException | None:
    """Return the Ctrl-C or SIGTERM that an error followed from, such as an error of a cursor that it closed."""
    signals = (KeyboardInterrupt, TerminatedError)
    return next((one for one in _earlier_errors(error) if isinstance(one, signals) and is_interruption(one)), None)


def _earlier_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that were being handled when an error was raised, the latest first."""
    seen, one = set[int](), error.__context__
    while one is not None and id(one) not in seen:
        yield one
        seen.add(id(one))
        one = one.__context__


def _revision_error(
    error: BaseException, frame: traceback.FrameSummary, project: Project, target: Target | None
) -> DormatoryError:
    message = _first_line(error, target)
    location = _place(frame, project)
    if frame.name == "<module>":
        return RevisionImportError(location, message)
    if isinstance(error, CommandError) and "--sql mode" in message:
        fix = "inv db.upgrade --verbose shows the SQL that it runs"
        return RevisionFailedError(location, "it reads the database, and --sql has none", fix=fix)
    origin = error_origin(error, project, target)
    is_downgrade = frame.name != "upgrade"
    fix = _suggested_fix(error, target, is_downgrade=is_downgrade)
    return RevisionFailedError(location, message, fix=fix, origin=origin)


def _first_line(error: BaseException, target: Target | None) -> str:
    """Return the type and the first line of the database's or revision's message, without the statement."""
    cause = getattr(error, "orig", None) or error
    text = str(cause) or type(cause).__name__
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(cause).__name__)
    first = target.mask(first) if target else first
    return first if isinstance(cause, NotImplementedError) else f"{type(cause).__name__}: {first}"


def _suggested_fix(error: BaseException, target: Target | None, *, is_downgrade: bool) -> str:
    if target and isinstance(error, DBAPIError) and (fix := backend_for(target).role_fix(error)):
        kept = "what it committed before that is kept" if has_kept_work(error) else "nothing of it was kept"
        return f"{kept}; {fix}"
    if isinstance(error, StatementError) and "bind parameter" in str(error):
        return r"in raw SQL, escape a colon that is no parameter: \:"
    if is_downgrade and declares_no_way_back(error):
        return "this revision has no way back: restore a backup instead"
    if has_kept_work(error):
        return RevisionFailedError.partly_kept_fix
    return RevisionFailedError.usual_fix


def _revision_frame(error: BaseException, project: Project) -> traceback.FrameSummary | None:
    """Return the innermost frame of the error that is in a revision file."""
    homes = tuple(f"{location}/" for location in project.version_locations)
    if isinstance(error, SyntaxError) and (error.filename or "").startswith(homes):
        return traceback.FrameSummary(error.filename or "", error.lineno or 1, "<module>")
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame for frame in reversed(frames) if frame.filename.startswith(homes)), None)


def _place(frame: traceback.FrameSummary, project: Project) -> Location:
    return Location(frame.filename.removeprefix(f"{project.root}/"), frame.lineno or 0)


def _database_error(error: DBAPIError, target: Target, project: Project) -> DormatoryError:
    """Return what a database answered; if env.py opened the connection, it was perhaps not the target that answered."""
    file = None if project.has_our_environment else f"{project.script_location}/env.py"
    stack = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in stack if frame.filename == file]
    if error.statement is None and frames:
        place = _place(frames[-1], project)
        return WrongDatabaseError(str(target), f"it connects elsewhere at {place}, {_first_line(error, target)}")
    if frames and not any("/alembic/" in frame.filename for frame in stack[stack.index(frames[-1]) :]):
        return EnvironmentFailedError(_place(frames[-1], project), _first_line(error, target))
    return backend_for(target).explain(error, target)


def _command_error(error: CommandError, project: Project) -> DormatoryError:
    """Return Alembic's own error in our words."""
    message = " ".join(str(error).split())
    try:
        history = History.read(project)
    except DormatoryError as broken:
        return broken
    if match := re.search(r"locate revision identified by '([^']+)'", message):
        return UnknownRevisionError(match[1], known=[item.id for item in history.revisions])
    if match := re.search(r"Relative revision (\S+) didn't produce", message):
        return TooManyStepsError(match[1])
    if plain := next((make for words, make in _PLAIN_REFUSALS.items() if words in message), None):
        return plain()
    if len(history.heads) > 1 and "head" in message and "--splice" not in message:
        return MultipleHeadsError(history.heads)
    return AlembicRefusedError(message)
