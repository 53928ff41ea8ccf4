"""One verdict on a project: gathers what the checks need, backend by backend, and runs them all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dormatory.checks.data import rows_kept
from dormatory.checks.declarations import declarations
from dormatory.checks.drift import changed_by_hand, drift
from dormatory.checks.dump import stale_dump
from dormatory.checks.findings import Severity
from dormatory.checks.graph import several_heads, unsupported, unusable
from dormatory.checks.parity import parity
from dormatory.checks.roundtrip import round_trip
from dormatory.database.backend import backend_for
from dormatory.errors import (
    BaselineError,
    BrokenHistoryError,
    DormatoryError,
    EnvironmentFailedError,
    ModelsFailedError,
    NotAppliedError,
    NotComparedError,
    RevisionFailedError,
    RevisionImportError,
    WrongDatabaseError,
)
from dormatory.migrations import scratch
from dormatory.migrations.comparison import compare
from dormatory.migrations.dumping import committed_file, fresh_dump
from dormatory.migrations.history import History
from dormatory.migrations.isolation import side_by_side
from dormatory.migrations.live import live_drift
from dormatory.migrations.roundtrip import play

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dormatory.checks.findings import Finding
    from dormatory.migrations.comparison import Comparison
    from dormatory.migrations.project import Project
    from dormatory.migrations.recording import Recording, Step
    from dormatory.migrations.scratch import Scratch

# What keeps a history from being played at all, and is the project's to mend: a finding, and the other backend goes on.
_RULES: dict[type[DormatoryError], str] = {
    RevisionFailedError: "upgrade-fails",
    RevisionImportError: "upgrade-fails",
    ModelsFailedError: "models-fail",
    BaselineError: "baseline-fails",
    EnvironmentFailedError: "environment-fails",
    WrongDatabaseError: "wrong-database",
    NotAppliedError: "not-applied",
}
_FINDINGS = tuple(_RULES)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings, the servers on which they were looked for, and what was recorded there."""

    findings: tuple[Finding, ...]
    servers: tuple[str, ...]
    recordings: tuple[Recording, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found that a change should wait for."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def inspect(project: Project, backends: Sequence[str]) -> Verdict:
    """Check a project's history on the backends; a history that is broken or has several heads is not played."""
    try:
        history = History.read(project)
    except BrokenHistoryError as error:
        return Verdict((unusable(error, "broken-history"),), ())
    if findings := tuple(several_heads(history)):
        return Verdict(findings, ())
    gathered, found = _on_each(project, backends, _compared, lambda *_: None)
    for compared, stale in gathered.values():
        found += (*drift(compared), *stale)
    if gathered.keys() == {"sqlite", "postgresql"}:
        sqlite, postgresql = (gathered[name][0].migrated for name in ("sqlite", "postgresql"))
        found += parity(sqlite, postgresql, declarations(history))
    return Verdict(tuple(found), tuple(compared.server for compared, _ in gathered.values()))


def inspect_round_trip(
    project: Project,
    backends: Sequence[str],
    on_step: Callable[[str, int, Step], None] = lambda *_: None,
    *,
    only: Collection[str] | None = None,
) -> Verdict:
    """Play the history up, down and up again on the backends; `on_step` hears the backend, how many, and each step.

    `only` names the revisions to play, all without it.
    """
    history = History.read(project)
    count = len(history.revisions if only is None else only)
    if count == 0:
        return Verdict((), ())
    recordings, found = _on_each(
        project, backends, partial(_recorded, only), lambda backend, step: on_step(backend, count, step)
    )
    for recording in recordings.values():
        found += (*round_trip(recording, history), *rows_kept(recording, history))
    servers = tuple(recording.server for recording in recordings.values())
    return Verdict(tuple(found), servers, tuple(recordings.values()))


def chosen(project: Project, *, revision: str = "", since: str = "") -> Collection[str] | None:
    """Return the revisions that an option chooses: one, or those that a git reference does not have; None for all.

    Raises UnknownRevisionError, UnknownReferenceError.
    """
    history = History.read(project)
    if revision:
        return (history.get(revision).id,)
    if since:
        known = {item.id for item in History.at(project, since).revisions}
        return tuple(item.id for item in history.revisions if item.id not in known)
    return None


def inspect_live(project: Project) -> Verdict:
    """Check that the target is what the history gives at the target's own revision.

    Raises NotComparedError when that cannot be told, which is never taken for agreement.
    """
    target = project.target()
    backend = backend_for(target)
    found = live_drift(project, target)
    if found.problem:
        raise NotComparedError(str(target), found.problem)
    with backend.engine(target, writing=False).connect() as connection:
        return Verdict(tuple(changed_by_hand(found, target.backend_name)), (backend.version(connection),))


def _on_each(
    project: Project,
    backends: Sequence[str],
    function: Callable[[Project, str, Callable[[Any], None]], _T],
    hear: Callable[[str, Any], None],
) -> tuple[dict[str, _T], list[Finding]]:
    """Call a function for each backend that the project supports, side by side; return what it gives, and findings.

    What keeps a history from being played at all, and is the project's to mend, is a finding; anything else is raised.
    """
    calls = {backend: (project, backend) for backend in backends if backend in project.settings.backends}
    found = [unsupported(backend, project.ini) for backend in backends if backend not in calls]
    ended = side_by_side(project, calls, function, hear)
    given: dict[str, _T] = {}
    for backend in calls:
        value = ended[backend]
        if isinstance(value, _FINDINGS):
            found.append(unusable(value, _RULES[type(value)], backend=backend))
        elif isinstance(value, DormatoryError):
            raise value
        else:
            given[backend] = value
    return given, found


def _compared(project: Project, backend: str, _: Callable[[Any], None]) -> tuple[Comparison, tuple[Finding, ...]]:
    with scratch.databases(backend) as maker:
        return compare(project, maker), tuple(_stale(project, backend, maker))


def _recorded(only: Collection[str] | None, project: Project, backend: str, tell: Callable[[Any], None]) -> Recording:
    with scratch.databases(backend) as maker:
        return play(project, maker, tell, only=only)


def _stale(project: Project, backend: str, maker: Scratch) -> Iterator[Finding]:
    """Check the committed dump, where the project keeps one."""
    file = committed_file(project, backend)
    if file.parent.is_dir():
        committed = file.read_bytes().decode() if file.exists() else ""
        yield from stale_dump(file, committed, fresh_dump(project, maker), backend=backend)
