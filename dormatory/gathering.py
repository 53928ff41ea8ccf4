"""Gathers the evidence of one backend: plays, compares, dumps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dormatory.checks.graph import unusable
from dormatory.errors import (
    BaselineError,
    EnvironmentFailedError,
    ModelsFailedError,
    NotAppliedError,
    RevisionFailedError,
    RevisionImportError,
    TransactionEndedError,
    WrongDatabaseError,
)
from dormatory.evidence import Evidence
from dormatory.migrations import scratch
from dormatory.migrations.comparison import compare
from dormatory.migrations.dumping import committed_file
from dormatory.migrations.roundtrip import play
from dormatory.schema.dump import dump as dump_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.checks.findings import Finding
    from dormatory.errors import DormatoryError
    from dormatory.evidence import Wanted
    from dormatory.migrations.project import Project
    from dormatory.migrations.recording import Comparison, Step
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
    TransactionEndedError: "transaction-ended",
}


def gathered(wanted: Wanted, project: Project, backend: str, tell: Callable[[Step], None]) -> Evidence:
    """Gather on one backend what is wanted, and `tell` of each step of the play; what cannot be had is a problem."""
    problems: list[Finding] = []

    def tried(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except tuple(_RULES) as error:
            found = unusable(error, _RULES[type(error)], backend=backend)
            if found.file:
                found = replace(found, file=str(project.root / found.file))
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
