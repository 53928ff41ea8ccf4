"""One verdict on a project: gathers what the checks need, backend by backend, and runs them all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

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
from dormatory.migrations.live import live_drift
from dormatory.migrations.roundtrip import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dormatory.checks.findings import Finding
    from dormatory.migrations.comparison import Comparison
    from dormatory.migrations.project import Project
    from dormatory.migrations.recording import Step
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings, and the servers on which they were looked for."""

    findings: tuple[Finding, ...]
    servers: tuple[str, ...]

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
    comparisons: dict[str, Comparison] = {}
    found: list[Finding] = []
    for backend in backends:
        if backend not in project.settings.backends:
            found.append(unsupported(backend, project.ini))
            continue
        with scratch.databases(backend) as maker:
            try:
                comparisons[backend] = compared = compare(project, maker)
            except _FINDINGS as error:
                found.append(unusable(error, _RULES[type(error)], backend=backend))
                continue
            found += drift(compared)
            found += _stale(project, backend, maker)
    if comparisons.keys() == {"sqlite", "postgresql"}:
        sqlite, postgresql = comparisons["sqlite"].migrated, comparisons["postgresql"].migrated
        found += parity(sqlite, postgresql, declarations(history))
    return Verdict(tuple(found), tuple(compared.server for compared in comparisons.values()))


def inspect_round_trip(
    project: Project, backends: Sequence[str], on_step: Callable[[str, int, Step], None] = lambda *_: None
) -> Verdict:
    """Play the history up, down and up again on the backends; `on_step` hears the backend, how many, and each step."""
    history = History.read(project)
    recordings = []
    found: list[Finding] = []
    for backend in backends:
        if backend not in project.settings.backends:
            found.append(unsupported(backend, project.ini))
            continue
        with scratch.databases(backend) as maker:
            try:
                recordings.append(play(project, maker, partial(on_step, backend, len(history.revisions))))
            except _FINDINGS as error:
                found.append(unusable(error, _RULES[type(error)], backend=backend))
    for recording in recordings:
        found += (*round_trip(recording, history), *rows_kept(recording, history))
    return Verdict(tuple(found), tuple(recording.server for recording in recordings))


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


def _stale(project: Project, backend: str, maker: Scratch) -> Iterator[Finding]:
    """Check the committed dump, where the project keeps one."""
    file = committed_file(project, backend)
    if file.parent.is_dir():
        committed = file.read_bytes().decode() if file.exists() else ""
        yield from stale_dump(file, committed, fresh_dump(project, maker), backend=backend)
