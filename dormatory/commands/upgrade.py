"""Move the database along the history: upgrade, downgrade, stamp, and the SQL of an upgrade.

SQLAlchemy and Alembic are loaded only where something has to be moved.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.runtime.fast_path import reached_head
from dormatory.system.signals import interruption_note, stop_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dormatory.backends.base import Backend
    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.progress import Event, Move, Progress
    from dormatory.runtime.runner import Runner


@dataclass(frozen=True, slots=True)
class MoveResult:
    """The revisions that a database is at after a command, and how many the command moved; `target` hides secrets."""

    target: str
    revisions: tuple[str, ...]
    moved: int


def find_nothing_to_do(project: Project, target: Target) -> MoveResult | None:
    """Return the result of an upgrade to head that has nothing to do, or None if Alembic must look."""
    head = reached_head(project, target)
    return MoveResult(str(target), (head,), 0) if head else None


def upgrade_database(
    project: Project,
    target: Target,
    to: str,
    progress: Progress,
    *,
    with_backup: bool = False,
    rebuilds_indexes: bool = False,
    from_empty: bool = False,
) -> MoveResult:
    """Create the database if it is missing, and upgrade it; `with_backup`, back it up first if anything is pending.

    With `rebuilds_indexes`, indexes that a concurrent build left invalid are built again first. With `from_empty`,
    raises StampedMeanwhileError unless every revision is still to be applied.
    """
    from dormatory.backends.registry import backend_for  # noqa: PLC0415
    from dormatory.errors import StampedMeanwhileError  # noqa: PLC0415
    from dormatory.project.history import History  # noqa: PLC0415
    from dormatory.runtime.runner import Runner  # noqa: PLC0415
    from dormatory.safety.safeguard import back_up  # noqa: PLC0415

    backend, runner = backend_for(target), Runner(project, target=target)
    if is_new := not backend.exists(target):
        runner.check_upgrade_path(to)
        backend.create(target)
    elif rebuilds_indexes:
        _rebuild_indexes(project, target, runner)
    needs_backup = with_backup and bool(backend.summary(target).tables)
    revision = "+".join(runner.current()) if needs_backup else ""

    def refuse_stamp() -> None:
        if from_empty and moves.count < len(History.read(project).pending(())):
            raise StampedMeanwhileError(str(target))

    def prepare(_first: Move) -> None:
        backend.refuse_damage(target)
        refuse_stamp()
        if needs_backup:
            moves.backup = back_up(project, target, progress, revision=revision)

    moves = _PlannedMoves(progress, prepare)
    with (
        _settlement(runner, moves),
        _unused_removal(backend, target) if is_new else contextlib.nullcontext(),
        interruption_note(lambda: _interrupted_position(runner, moves, f"inv db.upgrade{_option(to, 'head')}")),
        _explain_failure(runner, target),
    ):
        runner.upgrade(to, moves.receive)
    refuse_stamp()
    return MoveResult(str(target), runner.reached_revisions or runner.current(), moves.count)


def downgrade_database(
    project: Project, target: Target, to: str, progress: Progress, *, confirmed: str | None
) -> MoveResult:
    """Back the database up and downgrade it; raises ProtectedDatabaseError without permission."""
    from dormatory.runtime.runner import Runner  # noqa: PLC0415
    from dormatory.safety import safeguard  # noqa: PLC0415

    runner = Runner(project, target=target, confirm=confirmed)
    summary = safeguard.authorize(target, action="downgrade", confirmed=confirmed)
    runner.config.attributes[safeguard.SECURED_ATTRIBUTE] = True

    def prepare(first: Move) -> None:
        moves.backup = safeguard.secure("downgrade", project, target, summary, progress, revision=first.revision)

    moves = _PlannedMoves(progress, prepare)
    with (
        _settlement(runner, moves),
        interruption_note(lambda: _interrupted_position(runner, moves, "inv db.downgrade --to REVISION")),
    ):
        runner.downgrade(to, moves.receive)
    return MoveResult(str(target), runner.reached_revisions or runner.current(), moves.count)


def stamp_database(project: Project, target: Target, to: str, *, purge: bool = False) -> MoveResult:
    """Write a revision into the database without running anything; with `purge`, forget what was there first."""
    from dormatory.runtime.progress import ignore_progress  # noqa: PLC0415
    from dormatory.runtime.runner import Runner  # noqa: PLC0415

    runner, moves = Runner(project, target=target), _PlannedMoves(ignore_progress, lambda _: None)
    with interruption_note(lambda: _interrupted_position(runner, moves, f"inv db.stamp --to {to}")):
        runner.stamp(to, purge=purge)
    return MoveResult(str(target), runner.current(), 1)


def upgrade_sql(project: Project, target: Target, span: str) -> str:
    """Return the SQL of an upgrade; `span` is a revision or `from:to`."""
    from dormatory.runtime.runner import Runner  # noqa: PLC0415

    return Runner(project, target=target).sql(span)


class _PlannedMoves:
    """Passes events on, counts the planned moves, and prepares the database before the first of them."""

    def __init__(self, progress: Progress, prepare: Callable[[Move], None]) -> None:
        self._progress, self._prepare = progress, prepare
        self.count = 0  # of all passes of env.py
        self.running: Move | None = None
        self.has_moved = False
        self.backup: Path | None = None

    def receive(self, event: Event) -> None:
        from dormatory.runtime.progress import MoveFinished, MovesPlanned, MoveStarted  # noqa: PLC0415

        self._progress(event)
        stop_if_interrupted()
        match event:
            case MovesPlanned(_, moves) if moves:
                is_first, self.count = self.count == 0, self.count + len(moves)
                if is_first:
                    self._prepare(moves[0])
                    stop_if_interrupted()
            case MoveStarted(move):
                self.running = move
            case MoveFinished():
                self.running, self.has_moved = None, True


@contextlib.contextmanager
def _settlement(runner: Runner, moves: _PlannedMoves) -> Iterator[None]:
    """Let the backup count for `db.undo` unless the block fails and has certainly changed nothing."""
    from dormatory.safety.backups import settle_backup  # noqa: PLC0415

    is_needed = True
    try:
        yield
    except Exception:
        is_needed = moves.has_moved or not runner.project.has_our_environment or _may_commit(runner, moves.running)
        raise
    finally:
        if moves.backup and runner.target:
            settle_backup(runner.project, runner.target, moves.backup, is_needed=is_needed)


def _may_commit(runner: Runner, move: Move | None) -> bool:
    """Return whether a revision that failed may have kept something: it commits, or has a connection of its own."""
    return move is not None and re.search("commit|connect|engine", _source_of(runner, move), re.IGNORECASE) is not None


@contextlib.contextmanager
def _unused_removal(backend: Backend, target: Target) -> Iterator[None]:
    """Remove the new database where the block fails and leaves it empty."""
    try:
        yield
    except BaseException:
        backend.remove_unused(target)
        raise


@contextlib.contextmanager
def _explain_failure(runner: Runner, target: Target) -> Iterator[None]:
    """Say of a revision that fails what is probably the cause: tables without a revision, an index left invalid."""
    from dormatory.errors import InvalidIndexError, RevisionFailedError, UnstampedDatabaseError  # noqa: PLC0415

    try:
        yield
    except RevisionFailedError as error:
        if tables := _tables_without_revision(runner, target):
            raise UnstampedDatabaseError(str(target), tables, error) from error
        if names := _invalid_indexes(target):
            raise InvalidIndexError(names, error) from error
        raise


def _invalid_indexes(target: Target) -> tuple[str, ...]:
    """Return the indexes that a concurrent build left invalid; none where that cannot be read."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from dormatory.backends.registry import backend_for  # noqa: PLC0415
    from dormatory.errors import DatabaseFailedError, InvalidIndexError  # noqa: PLC0415

    backend = backend_for(target)
    try:
        with backend.engine(target, writing=False).connect() as connection:
            backend.refuse_invalid_objects(connection)
    except InvalidIndexError as error:
        return error.names
    except (SQLAlchemyError, DatabaseFailedError):
        pass
    return ()


def _rebuild_indexes(project: Project, target: Target, runner: Runner) -> None:
    """Build invalid indexes again, and drop those that a pending revision is going to build."""
    from dormatory.backends.registry import backend_for, dialect_by_name  # noqa: PLC0415
    from dormatory.project.created_indexes import created_indexes  # noqa: PLC0415
    from dormatory.project.history import History  # noqa: PLC0415
    from dormatory.project.script import parse_source  # noqa: PLC0415

    dialect = dialect_by_name(target.backend_name)
    pending = {
        name
        for revision in History.read(project).pending(runner.current())
        for name in created_indexes(parse_source(revision.path, revision.path.read_bytes()), dialect)
    }
    backend_for(target).rebuild_invalid_objects(target, runner.version_tables()[0], pending)


def _tables_without_revision(runner: Runner, target: Target) -> list[str]:
    """Return the tables of a database that is at no revision; none where it cannot be read."""
    from dormatory.errors import DormatoryError  # noqa: PLC0415
    from dormatory.runtime import scratch  # noqa: PLC0415

    try:
        tables = () if runner.current() else scratch.read_schema(target, *runner.version_tables()).tables
    except DormatoryError:
        return []
    return [table.name for table in tables]


def _option(to: str, default: str) -> str:
    return "" if to == default else f" --to {to}"


def _interrupted_position(runner: Runner, moves: _PlannedMoves, command: str) -> str:
    """Return where an interrupted command left the database, read from it, and the command that goes on."""
    from dormatory.errors import DormatoryError, InvalidIndexError  # noqa: PLC0415

    target = str(runner.target)
    try:
        position = f"{target} is at {' and '.join(runner.current()) or 'base'}"
    except DormatoryError:
        return f"{target} cannot be read now; see where it is with inv db.status, then go on with: {command}"
    kept = "nothing of another revision was kept"
    if moves.running and "autocommit_block" in _source_of(runner, moves.running):
        kept = f"what revision {moves.running.revision} did in autocommit_block() is kept"
    if runner.target and (names := _invalid_indexes(runner.target)):
        return f"{position}, {kept}; {InvalidIndexError(names)}"
    return f"{position}, {kept}; go on with: {command}"


def _source_of(runner: Runner, move: Move) -> str:
    from pathlib import Path  # noqa: PLC0415

    return Path(runner.script.get_revision(move.revision).path).read_text(encoding="utf-8", errors="replace")
