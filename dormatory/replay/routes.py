"""Ways through many revisions in a row, which must end where the round trips say: down, up in one run, other orders."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from dormatory.backends.introspection import snapshot
from dormatory.errors import DormatoryError
from dormatory.recording.model import Course, Failure, Passage
from dormatory.replay.session import Stage
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.runtime.migration import RevisionStep

    from dormatory.backends.url import Target
    from dormatory.project.project import Project
    from dormatory.runtime.runner import Move
    from dormatory.schema.changes import Change
    from dormatory.schema.snapshot import Snapshot


def way_down(stage: Stage, revisions: tuple[str, ...], floor: Snapshot) -> Passage:
    """Downgrade through revisions, with whatever rows there are, to a structure that should be `floor`."""
    began = perf_counter()
    trace: list[Change] = []

    def steps() -> Iterator[RevisionStep]:
        yield from stage.straight(revisions, up=False)
        trace.extend(diff(floor, stage.look()))

    failure = stage.play(steps)
    return Passage(Course.DOWN, revisions, perf_counter() - began, tuple(trace), stage.revision, failure)


def one_run(stage: Stage, head: Snapshot) -> Passage:
    """Upgrade an empty database as `alembic upgrade heads` does, to a structure that should be `head`."""
    passage, there = run_up(stage)
    return replace(passage, trace=diff(head, there)) if there else passage


def run_up(stage: Stage) -> tuple[Passage, Snapshot | None]:
    """Make that one run, and return where it came, None where it failed; nothing is compared.

    Alembic remembers the types that it created for as long as a run lasts, and env.py decides how many revisions share
    a transaction: some histories work step by step only, others in one run only.
    """
    began, moves = perf_counter(), _Moves()
    failure, there = None, None
    stage.connection.rollback()
    try:
        stage.runner.upgrade("heads", moves)
        there = snapshot(stage.connection, ignore=(stage.version_table,))
        stage.connection.commit()  # env.py files of other projects may leave this to whoever gave the connection
    except DormatoryError as error:
        failure = Failure.of(error)
    stopped = moves.revisions[-1] if failure and moves.revisions else ""
    passage = Passage(Course.UP, tuple(moves.revisions), perf_counter() - began, stopped=stopped, failure=failure)
    return passage, there


def fresh_run(project: Project, target: Target, head: Snapshot) -> Passage:
    """Make that one run on a database of its own."""
    stage = Stage(project, target)
    with stage.opened():
        stage.play(lambda: iter(()))  # env.py says how it names its version table
        return one_run(stage, head)


def other_order(
    project: Project,
    target: Target,
    done: tuple[str, ...],
    order: tuple[str, ...],
    ends: tuple[Snapshot | None, Snapshot],
) -> Passage:
    """Apply the revisions of branches in another order, and take them back in its reverse.

    `ends` are the structures that should be there before and behind them; without the first nothing is taken back.
    """
    began = perf_counter()
    trace: list[Change] = []
    stage = Stage(project, target)

    def steps() -> Iterator[RevisionStep]:
        yield from stage.straight((*done, *order))
        trace.extend(diff(ends[1], stage.look()))
        if ends[0]:
            yield from stage.straight(reversed(order), up=False)
            trace.extend(diff(ends[0], stage.look()))

    with stage.opened():
        failure = stage.play(steps)
    return Passage(Course.OTHER_ORDER, order, perf_counter() - began, tuple(trace), stage.revision, failure)


class _Moves:
    """Listens to a run, and remembers where it came to."""

    def __init__(self) -> None:
        self.revisions: list[str] = []

    def planned(self, moves: tuple[Move, ...]) -> None: ...

    def started(self, move: Move) -> None:
        self.revisions.append(move.revision)

    def finished(self, move: Move, seconds: float) -> None: ...
