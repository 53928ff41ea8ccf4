"""What checks are made of, backend by backend: the schema at head, the dump, the recording of a play."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dormatory.checks.graph import unsupported, unusable
from dormatory.errors import (
    BaselineError,
    DormatoryError,
    EnvironmentFailedError,
    ModelsFailedError,
    NotAppliedError,
    RevisionFailedError,
    RevisionImportError,
    WrongDatabaseError,
)
from dormatory.migrations import scratch
from dormatory.migrations.comparison import compare
from dormatory.migrations.dumping import committed_file
from dormatory.migrations.isolation import side_by_side
from dormatory.migrations.roundtrip import play
from dormatory.schema.dump import dump as dump_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from dormatory.checks.findings import Finding
    from dormatory.migrations.comparison import Comparison
    from dormatory.migrations.project import Project
    from dormatory.migrations.recording import Recording, Step
    from dormatory.migrations.scratch import Scratch

# What keeps a history from being played at all, and is the project's to mend: a finding, and the rest goes on.
_RULES: dict[type[DormatoryError], str] = {
    RevisionFailedError: "upgrade-fails",
    RevisionImportError: "upgrade-fails",
    ModelsFailedError: "models-fail",
    BaselineError: "baseline-fails",
    EnvironmentFailedError: "environment-fails",
    WrongDatabaseError: "wrong-database",
    NotAppliedError: "not-applied",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to gather; `only` names the revisions to make a round trip of, None for all."""

    schema: bool
    dump: bool
    play: bool
    only: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one backend gave; what could not be had is None, and `problems` say why.

    `dump` is the committed file, its text, and the text that the history gives.
    """

    backend: str
    comparison: Comparison | None = None
    dump: tuple[Path, str, str] | None = None
    recording: Recording | None = None
    problems: tuple[Finding, ...] = ()

    @property
    def server(self) -> str:
        """The server's name and version, "" where nothing could be had."""
        return self.comparison.server if self.comparison else self.recording.server if self.recording else ""


def gather(
    project: Project, backends: Sequence[str], wanted: Wanted, on_step: Callable[[str, Step], None]
) -> tuple[Evidence, ...]:
    """Gather on the backends that the project supports, side by side; `on_step` hears of each backend's steps.

    A backend that cannot run raises what keeps it from that.
    """
    supported = [backend for backend in backends if backend in project.settings.backends]
    given = side_by_side(project, {name: (wanted, project, name) for name in supported}, _gathered, on_step)
    found = []
    for backend in backends:
        value = given.get(backend) or Evidence(backend, problems=(unsupported(backend, project.ini),))
        if isinstance(value, DormatoryError):
            raise value
        found.append(value)
    return tuple(found)


def _gathered(wanted: Wanted, project: Project, backend: str, tell: Callable[[Step], None]) -> Evidence:
    """Gather on one backend, in whatever process this is."""
    problems: list[Finding] = []

    def tried(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except tuple(_RULES) as error:
            found = unusable(error, _RULES[type(error)], backend=backend)
            problems.extend([found] if found not in problems else [])
            return None

    with scratch.databases(backend) as maker:
        recording = tried(partial(play, project, maker, tell, only=wanted.only)) if wanted.play else None
        comparison, fresh = tried(partial(_at_head, wanted, project, maker, tried)) or (None, None)
    file = committed_file(project, backend)
    dump = None
    if fresh is not None and file.parent.is_dir():
        dump = file, file.read_bytes().decode() if file.exists() else "", fresh
    return Evidence(backend, comparison, dump, recording, tuple(problems))


def _at_head(
    wanted: Wanted, project: Project, maker: Scratch, tried: Callable[[Callable[[], Any]], Any]
) -> tuple[Comparison | None, str | None]:
    """Return what can be told of a database to which the whole history was applied in one run."""
    if not (wanted.schema or wanted.dump):
        return None, None
    with scratch.at_revision(project, maker) as head:
        table = scratch.version_table(project, head)
        comparison = tried(partial(compare, project, maker, head, table)) if wanted.schema else None
        fresh = tried(partial(dump_of, head, version_table=table)) if wanted.dump else None
    return comparison, fresh
