"""How far a run is, told on standard error: a line per revision, and a bar where somebody watches."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dormatory.system.text import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

    from dormatory.recording.model import Step
    from dormatory.runtime.runner import Move


class ProgressLines:
    """Listens to a run and tells it; `moves` keeps what was planned."""

    def __init__(self, target_name: str) -> None:
        self.target_name = target_name
        self.moves: tuple[Move, ...] = ()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    @contextlib.contextmanager
    def show_bar(self) -> Iterator[None]:
        """Draw a bar for the length of the block, on a terminal only."""
        if not sys.stderr.isatty():
            yield
            return
        with _progress_bar() as self._bar:
            yield

    def on_plan(self, moves: tuple[Move, ...]) -> None:
        """Tell what is going to happen, when anything is."""
        self.moves = moves
        if not moves:
            return
        verb = "upgrade" if moves[0].is_upgrade else "downgrade"
        count = quantity(len(moves), "revision")
        span = moves[0].revision if len(moves) == 1 else f"{moves[0].revision} to {moves[-1].revision}"
        self._print_line(f"{verb} {self.target_name}: {count}, {span}")
        if self._bar:
            self._task = self._bar.add_task("", total=len(moves))

    def on_start(self, move: Move) -> None:
        """Name the revision beside the bar."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=move.revision)

    def on_finish(self, move: Move, seconds: float) -> None:
        """Print the revision and the time it took."""
        sign = "+" if move.is_upgrade else "-"
        self._print_line(f"  {sign} {move.revision}  {move.title}  {seconds:.3f} s")
        if self._bar and self._task is not None:
            self._bar.advance(self._task)

    def _print_line(self, line: str) -> None:
        if self._bar:
            self._bar.console.print(line)
        else:
            _write_line(line)


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _progress_bar() -> Progress:
    """Return a bar on standard error that is gone in the end; Rich is not loaded where nobody sees one."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    # markup and highlighting would read brackets and numbers in titles as commands
    console = Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


@contextlib.contextmanager
def step_progress(*, terminal_only: bool = False) -> Iterator[Callable[[str, int, Step], None]]:
    """Give a listener to played steps: a bar per backend on a terminal, a line per revision elsewhere, or nothing."""
    if not sys.stderr.isatty():
        yield lambda backend, _total, step: None if terminal_only else _write_line(_step_line(backend, step))
        return
    with _progress_bar() as bar:
        tasks: dict[str, TaskID] = {}

        def advance(backend: str, total: int, step: Step) -> None:
            if backend not in tasks:
                tasks[backend] = bar.add_task(backend, total=total)
            bar.update(tasks[backend], advance=1, description=f"{backend} {step.revision}")

        yield advance


def _step_line(backend: str, step: Step) -> str:
    seconds = sum(leg.seconds for leg in step.legs)
    word = "ok" if step.is_clean else "not ok"
    return f"  {backend} {step.revision}  {word}  {seconds:.3f} s"


@contextlib.contextmanager
def rehearsal_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Give what is told of each part of a rehearsal: what it is, how many are done, and of how many."""
    console = Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
