"""Collect the evidence of one backend: replay the history, compare with the models, dump the schema."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dormatory.backends.registry import backend_for
from dormatory.checks.engine_errors import REPORTED_ERRORS, engine_error_finding
from dormatory.commands.evidence import Evidence
from dormatory.commands.schema_dump import committed_file, text_or_empty
from dormatory.errors import DatabaseFailedError
from dormatory.replay.replay import replay_history
from dormatory.runtime import scratch
from dormatory.runtime.model_schema import compare_with_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dormatory.backends.parts import ScratchMaker
    from dormatory.backends.url import Target
    from dormatory.checks.finding import Finding
    from dormatory.commands.evidence import EvidenceRequest
    from dormatory.project.project import Project
    from dormatory.recording.model import Comparison, Recording, Step

_T = TypeVar("_T")


def collect_backend_evidence(
    request: EvidenceRequest, project: Project, backend: str, on_step: Callable[[Step], None]
) -> Evidence:
    """Collect what is requested; an error of the project becomes a problem. `on_step` receives each step."""
    with scratch.databases(backend) as maker:
        return _EvidenceCollector(request, project, backend, maker).collect(on_step)


class _EvidenceCollector:
    """Collects on one backend, and keeps what it has and what failed."""

    def __init__(self, request: EvidenceRequest, project: Project, backend: str, maker: ScratchMaker) -> None:
        self._request, self._project, self._backend, self._maker = request, project, backend, maker
        self._problems: list[Finding] = []
        self._has_read_head = not (request.schema or request.dump)
        self._comparison: Comparison | None = None
        self._fresh_dump: str | None = None

    def collect(self, on_step: Callable[[Step], None]) -> Evidence:
        """Replay, and read the schema at head: during the replay if one run reaches it, else on a separate database."""
        recordings = tuple(self._replay_passes(on_step)) if self._request.replay else ()
        if not self._has_read_head:
            # An error in the statement that Alembic itself sends after a revision names no revision; the replay does.
            is_reported = any(leg.failure for it in recordings for step in it.steps for leg in step.legs)
            with suppress(DatabaseFailedError) if is_reported else nullcontext():
                self._attempt(self._apply_history)
        file, dump = committed_file(self._project, self._backend), None
        if self._fresh_dump is not None and file.parent.is_dir():
            dump = file, text_or_empty(file), self._fresh_dump
        return Evidence(self._backend, self._comparison, dump, recordings, tuple(self._problems))

    def _replay_passes(self, on_step: Callable[[Step], None]) -> Iterator[Recording]:
        """Replay the history once for each pass of env.py; how many there are, the first replay shows."""
        first = self._attempt(partial(self._replay, self._project, on_step))
        for number in range(first.pass_count if first else 0):
            project = replace(self._project, env_pass=number)
            recording = self._attempt(partial(self._replay, project, on_step)) if number else first
            if recording:
                yield recording

    def _replay(self, project: Project, on_step: Callable[[Step], None]) -> Recording:
        return replay_history(
            project,
            self._maker,
            on_step,
            history=self._request.history,
            only=self._request.revisions,
            on_head=self._read_replayed_head,
            second_databases=partial(scratch.databases, self._backend),
        )

    def _apply_history(self) -> None:
        with scratch.at_revision(self._project, self._maker) as head:
            self._read_head(head, scratch.version_tables(self._project, head))

    def _read_replayed_head(self, head: Target) -> None:
        """Read a database to which a replay applied the whole history, unless only one of several passes did."""
        if not self._has_read_head:
            tables = scratch.version_tables(self._project, head)
            if len(tables) == 1:
                self._read_head(head, tables)

    def _read_head(self, head: Target, tables: tuple[str, ...]) -> None:
        """Dump a database to which one run applied the whole history, and compare it with the models."""
        self._has_read_head = True
        with ThreadPoolExecutor(1) as pool:  # a dump mostly waits for programs
            fresh = partial(backend_for(head).dump.dump_schema, head, tables[0])
            dump_future = pool.submit(self._attempt, fresh) if self._request.dump else None
            if self._request.schema:
                self._comparison = self._attempt(partial(compare_with_models, self._project, self._maker, head, tables))
            self._fresh_dump = dump_future.result() if dump_future else None

    def _attempt(self, function: Callable[[], _T]) -> _T | None:
        """Return what a function returns, or None if it raises an error of the project, which becomes a finding."""
        try:
            return function()
        except REPORTED_ERRORS as error:
            found = engine_error_finding(error, backend=self._backend, root=self._project.root)
            self._problems.extend([found] if found not in self._problems else [])
            return None
