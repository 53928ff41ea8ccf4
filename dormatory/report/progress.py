"""How far a run is, told on standard error: a line per revision, and a bar where somebody watches."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dormatory.report.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID

    from dormatory.migrations.recording import Step
    from dormatory.migrations.runner import Move


class ProgressLines:
    """Listens to a run and tells it; `moves` keeps what was planned."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.moves: tuple[Move, ...] = ()
        # markup and highlighting would read brackets and numbers in titles as commands
        self._console = Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Draw a bar for the length of the block, on a terminal only."""
        if not self._console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as self._bar:
            yield

    def planned(self, moves: tuple[Move, ...]) -> None:
        """Tell what is going to happen, when anything is."""
        self.moves = moves
        if not moves:
            return
        verb = "upgrade" if moves[0].is_upgrade else "downgrade"
        count = counted(len(moves), "revision")
        span = moves[0].revision if len(moves) == 1 else f"{moves[0].revision} to {moves[-1].revision}"
        self._console.print(f"{verb} {self.shown}: {count}, {span}")
        if self._bar:
            self._task = self._bar.add_task("", total=len(moves))

    def started(self, move: Move) -> None:
        """Name the revision beside the bar."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=move.revision)

    def finished(self, move: Move, seconds: float) -> None:
        """Print the revision and the time it took."""
        sign = "+" if move.is_upgrade else "-"
        self._console.print(f"  {sign} {move.revision}  {move.title}  {seconds:.3f} s")
        if self._bar and self._task is not None:
            self._bar.advance(self._task)


@contextlib.contextmanager
def counting(*, terminal_only: bool = False) -> Iterator[Callable[[str, int, Step], None]]:
    """Give a listener to played steps: a bar per backend on a terminal, a line per revision elsewhere, or nothing."""
    console = Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield lambda backend, _total, step: None if terminal_only else console.print(_played(backend, step))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(backend: str, total: int, step: Step) -> None:
            if backend not in tasks:
                tasks[backend] = bar.add_task(backend, total=total)
            bar.update(tasks[backend], advance=1, description=f"{backend} {step.revision}")

        yield advance


def _played(backend: str, step: Step) -> str:
    seconds = sum(leg.seconds for leg in step.legs)
    word = "ok" if step.is_clean else "not ok"
    return f"  {backend} {step.revision}  {word}  {seconds:.3f} s"
