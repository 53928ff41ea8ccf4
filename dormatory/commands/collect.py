"""Gathers the evidence of one backend: plays, compares, dumps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dormatory.backends.dump import dump as dump_of
from dormatory.checks.engine_errors import unusable
from dormatory.commands.evidence import Evidence
from dormatory.commands.schema_dump import committed_file
from dormatory.errors import (
    BaselineError,
    DatabaseFailedError,
    EnvironmentFailedError,
    ModelsFailedError,
    NotAppliedError,
    RevisionFailedError,
    RevisionImportError,
    TransactionEndedError,
    WrongDatabaseError,
)
from dormatory.replay.replay import play
from dormatory.runtime import scratch
from dormatory.runtime.model_schema import compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.backends.url import Target
    from dormatory.checks.finding import Finding
    from dormatory.commands.evidence import Wanted
    from dormatory.errors import DormatoryError
    from dormatory.project.project import Project
    from dormatory.recording.model import Comparison, Recording, Step
    from dormatory.runtime.scratch import Scratch

_T = TypeVar("_T")
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
    with scratch.databases(backend) as maker:
        return _Gathering(wanted, project, backend, maker).evidence(tell)


class _Gathering:
    """What was gathered so far on one backend, and what could not be."""

    def __init__(self, wanted: Wanted, project: Project, backend: str, maker: Scratch) -> None:
        self._wanted, self._project, self._backend, self._maker = wanted, project, backend, maker
        self._problems: list[Finding] = []
        self._has_looked = not (wanted.schema or wanted.dump)  # at the head
        self._comparison: Comparison | None = None
        self._fresh: str | None = None

    def evidence(self, tell: Callable[[Step], None]) -> Evidence:
        """Play, and look at the head where the play came there in one run, else on a database of its own."""
        recording = self._tried(partial(self._played, tell)) if self._wanted.play else None
        if not self._has_looked:
            # What only Alembic's own statement behind a revision meets says of no revision; the play has told of which.
            is_told = recording is not None and any(leg.failure for step in recording.steps for leg in step.legs)
            with suppress(DatabaseFailedError) if is_told else nullcontext():
                self._tried(self._apply)
        file, dump = committed_file(self._project, self._backend), None
        if self._fresh is not None and file.parent.is_dir():
            dump = file, file.read_bytes().decode() if file.exists() else "", self._fresh
        return Evidence(self._backend, self._comparison, dump, recording, tuple(self._problems))

    def _played(self, tell: Callable[[Step], None]) -> Recording:
        beside = partial(scratch.databases, self._backend)
        return play(self._project, self._maker, tell, only=self._wanted.only, on_head=self._look, beside=beside)

    def _apply(self) -> None:
        with scratch.at_revision(self._project, self._maker) as head:
            self._look(head)

    def _look(self, head: Target) -> None:
        """Learn what there is to learn of a database to which the whole history was applied in one run."""
        if self._has_looked:
            return
        self._has_looked = True
        table = scratch.version_table(self._project, head)
        with ThreadPoolExecutor(1) as beside:  # most of a dump is waiting for programs
            fresh = partial(dump_of, head, version_table=table)
            dumped = beside.submit(self._tried, fresh) if self._wanted.dump else None
            if self._wanted.schema:
                self._comparison = self._tried(partial(compare, self._project, self._maker, head, table))
            self._fresh = dumped.result() if dumped else None

    def _tried(self, function: Callable[[], _T]) -> _T | None:
        """Return what a function returns, None where it meets what is the project's to mend: that is a finding."""
        try:
            return function()
        except tuple(_RULES) as error:
            found = unusable(error, _RULES[type(error)], backend=self._backend)
            if found.file:
                found = replace(found, file=str(self._project.root / found.file))
            self._problems.extend([found] if found not in self._problems else [])
            return None
