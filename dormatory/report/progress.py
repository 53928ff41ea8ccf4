"""Show the progress of a command on standard error: a line per revision, and a bar on a terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from dormatory.runtime.progress import (
    MoveFinished,
    MovesPlanned,
    MoveStarted,
    Notice,
    RehearsalPartStarted,
    StepReplayed,
)
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from dormatory.runtime.progress import Event, Progress


@contextlib.contextmanager
def show_progress(*, shows_steps: bool = False) -> Iterator[Progress]:
    """Provide the function that receives the events of a command; its bars are removed at the end of the block.

    With `shows_steps`, each replayed step is a line where there is no terminal to show a bar.
    """
    with contextlib.ExitStack() as stack:
        yield _ProgressDisplay(stack, shows_steps=shows_steps).show


class _ProgressDisplay:
    """Lines and, on a terminal, a bar for each name; Rich is loaded with the first bar, and never without one."""

    def __init__(self, stack: contextlib.ExitStack, *, shows_steps: bool) -> None:
        self._stack, self._shows_steps = stack, shows_steps
        self._is_terminal = sys.stderr.isatty()
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Notice(text):
                self._print(text)
            case MovesPlanned(target, moves) if moves:
                verb = "upgrade" if moves[0].is_upgrade else "downgrade"
                span = moves[0].revision if len(moves) == 1 else f"{moves[0].revision} to {moves[-1].revision}"
                self._print(f"{verb} {target}: {quantity(len(moves), 'revision')}, {span}")
                self._update_bar("moves", "", total=len(moves))
            case MoveStarted(move):
                self._update_bar("moves", move.revision)
            case MoveFinished(move, seconds):
                sign = "+" if move.is_upgrade else "-"
                self._print(f"  {sign} {move.revision}  {move.title}  {seconds:.3f} s")
                self._update_bar("moves", move.revision, advance=1)
            case StepReplayed(backend, total, step):
                if self._shows_steps and not self._is_terminal:
                    seconds = sum(leg.seconds for leg in step.legs)
                    word = "ok" if step.is_clean else "not ok"
                    self._print(f"  {backend} {step.revision}  {word}  {seconds:.3f} s")
                self._update_bar(backend, f"{backend} {step.revision}", total=total, advance=1)
            case RehearsalPartStarted(name, done, total):
                self._update_bar("rehearsal", name, total=total, completed=done)

    def _print(self, line: str) -> None:
        if self._bars:
            self._bars.console.print(line)
        else:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def _update_bar(self, name: str, description: str, **changes: Any) -> None:
        """Change a bar, or show it first; does nothing without a terminal."""
        if not self._is_terminal:
            return
        if self._bars is None:
            self._bars = self._stack.enter_context(_new_bars())
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(description, total=None)
        self._bars.update(self._tasks[name], description=description, **changes)


def _new_bars() -> Bars:
    """Return bars on standard error that disappear at the end."""
    from rich.console import Console  # noqa: PLC0415  # slow to load
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    # Markup and highlighting would read brackets and numbers in titles as commands.
    console = Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
