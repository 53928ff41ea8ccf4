"""One verdict on a project: gathers what the checks need, runs them all, and leaves what the project wants to hear."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dormatory.checks.data import check_data_loss
from dormatory.checks.drift import check_drift
from dormatory.checks.dump import check_dump
from dormatory.checks.engine_errors import engine_error_finding
from dormatory.checks.graph import check_graph
from dormatory.checks.integrity import check_integrity
from dormatory.checks.locks import IN_USE_RULES, check_locks
from dormatory.checks.outcome import CheckedServer, Outcome
from dormatory.checks.parity import check_parity
from dormatory.checks.parity_comments import parity_comments
from dormatory.checks.registry import FAMILIES, RULES
from dormatory.checks.roundtrip import check_round_trip
from dormatory.checks.severity import apply_settings, refuse_unknown_rules
from dormatory.checks.source import ApplicationModules, check_source
from dormatory.checks.sqlfluff import sql_snippets, sqlfluff_findings
from dormatory.checks.squawk import executed_ddl, squawk_findings
from dormatory.checks.suppression import apply_suppressions
from dormatory.commands import linters
from dormatory.commands.evidence import EvidenceRequest, collect_evidence
from dormatory.errors import BrokenHistoryError, ComparisonFailedError, UnknownFamilyError
from dormatory.project.checksums import read_checksums
from dormatory.project.graph import RevisionGraph
from dormatory.project.history import History
from dormatory.project.published_models import published_columns
from dormatory.project.revision_files import merged_scripts, scripts, scripts_at
from dormatory.system.tuning import reduce_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.commands.evidence import Evidence
    from dormatory.project.project import Project
    from dormatory.project.revision_files import Script
    from dormatory.recording.model import Recording, Step

_REPLAY_FAMILIES = frozenset({"roundtrip", "data", "locks"})
_SCHEMA_FAMILIES = frozenset({"drift", "parity"})
_REVISION_FAMILIES = frozenset({"integrity", "source", "roundtrip", "data", "locks", "sql"})  # what --since narrows


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What somebody wants to know: which families of rules, on which backends.

    With `since`, a git reference, only what is new is judged, and the graph as a whole; with `base` also what the
    merge with that reference would be. `revision` plays that one only.
    """

    backends: tuple[str, ...]
    families: frozenset[str] = frozenset(FAMILIES)
    since: str = ""
    base: str = ""
    revision: str = ""
    is_strict: bool = False


def selected_families(only: str, skip: str) -> frozenset[str]:
    """Return the families that two comma-separated options leave; raises UnknownFamilyError."""
    chosen, left_out = ([name.strip() for name in text.split(",") if name.strip()] for text in (only, skip))
    for name in (*chosen, *left_out):
        if name not in FAMILIES:
            raise UnknownFamilyError(name, known=FAMILIES)
    return frozenset(chosen or FAMILIES) - set(left_out)


@reduce_garbage_collection()
def check_project(
    project: Project, request: CheckRequest, on_step: Callable[[str, int, Step], None] = lambda *_: None
) -> tuple[Outcome, tuple[Recording, ...]]:
    """Check a project; a history that does not fit together is not played.

    `on_step` hears the backend, how many steps there will be, and each step. Raises UnknownReferenceError,
    UnknownRevisionError, NoProjectError for settings that name no rule, and what keeps a backend from running.
    """
    refuse_unknown_rules(project.settings, project.ini)
    files = scripts(project)
    static_findings = list(_static_findings(project, files, request))
    evidence: tuple[Evidence, ...] = ()
    history, only = History(()), None
    with ThreadPoolExecutor(1) as beside:
        sqlfluff_run = beside.submit(
            _sqlfluff_findings, project, files, request
        )  # a program of its own, and a slow one
        try:
            history = History.read(project)
        except BrokenHistoryError as error:
            if "graph" not in request.families:
                static_findings.append(engine_error_finding(error, "broken-history"))
        else:
            only = _selected_revisions(project, history, request)
            if (
                not _SCHEMA_FAMILIES & request.families
                or len(history.heads) <= 1
                or RevisionGraph(files).has_labelled_heads
            ):
                evidence = _collect_requested_evidence(project, request, only, on_step)
        static_findings += sqlfluff_run.result()
    known = {(item.rule, item.revision) for item in static_findings}  # a play finds some of it again
    later_findings = _later_findings(project, history, files, evidence, request)
    found = [*static_findings, *(item for item in later_findings if (item.rule, item.revision) not in known)]
    if only is not None:
        found = [item for item in found if not _is_outside_selection(item, only)]
    # In this order: a comment on what the settings leave out is not useless.
    visible, count = apply_suppressions(
        found, files, families=_families_with_evidence(request.families, evidence), revisions=only
    )
    adjusted_findings = tuple(apply_settings(visible, project.settings, history))
    servers = tuple(_server(item) for item in evidence if item.server)
    names = tuple(item.id for item in history.revisions if only is None or item.id in only)
    recordings = tuple(item.recording for item in evidence if item.recording)
    return Outcome(adjusted_findings, servers, names, count, request.is_strict, configuration=project.ini), recordings


def check_live_database(project: Project) -> Outcome:
    """Check that the target is what the history gives at the target's own revision.

    Raises NotComparedError when that cannot be told, which is never taken for agreement.
    """
    from dormatory.backends.registry import backend_for  # noqa: PLC0415
    from dormatory.checks.drift import check_live_drift  # noqa: PLC0415  # SQLAlchemy loads where it is needed
    from dormatory.commands.status import live_drift  # noqa: PLC0415

    target = project.target()
    backend = backend_for(target)
    found = live_drift(project, target)
    if found.problem:
        raise ComparisonFailedError(str(target), found.problem)
    with backend.engine(target, writing=False).connect() as connection:
        server = CheckedServer(target.backend_name, backend.version(connection))
    return Outcome(tuple(check_live_drift(found, target.backend_name)), (server,), configuration=project.ini)


def _sqlfluff_findings(project: Project, files: Sequence[Script], request: CheckRequest) -> list[Finding]:
    """Return what sqlfluff says of the SQL that stands in revisions."""
    if "sql" not in request.families:
        return []
    snippets = sql_snippets(files, backends=project.settings.backends)
    texts = {name: (item.backend, item.executable_sql) for name, item in snippets.items()}
    return list(sqlfluff_findings(snippets, linters.run_sqlfluff(texts, home=project.root)))


def _selected_revisions(project: Project, history: History, request: CheckRequest) -> Collection[str] | None:
    """Return the revisions that are judged: one, those that a reference does not have, or None for all."""
    if request.revision:
        return (history.get(request.revision).id,)
    if request.since:
        known = {item.id for item in History.at_reference(project, request.since).revisions}
        return tuple(item.id for item in history.revisions if item.id not in known)
    return None


def _families_with_evidence(families: frozenset[str], evidence: Sequence[Evidence]) -> frozenset[str]:
    """Return the families without those for which nothing was played: comments on their rules are not useless."""
    backends = {item.backend for item in evidence if item.recording}
    left_out = (
        _REPLAY_FAMILIES if not backends else frozenset({"locks"}) if "postgresql" not in backends else frozenset()
    )
    return families - left_out


def _is_outside_selection(found: Finding, only: Collection[str]) -> bool:
    return bool(found.revision) and found.revision not in only and RULES[found.rule].family in _REVISION_FAMILIES


def _static_findings(project: Project, files: Sequence[Script], request: CheckRequest) -> Iterator[Finding]:
    """Run the checks that need no database and import no revision."""
    backends = project.settings.backends
    if "graph" in request.families:
        yield from check_graph(files, backends=backends)
        if request.base:
            known = set(check_graph(files, backends=backends))
            merged = check_graph(merged_scripts(project, request.base), backends=backends)
            yield from (item for item in merged if item not in known)
    if "integrity" in request.families:
        reference = request.base or request.since
        base = scripts_at(project, reference) if reference else None
        yield from check_integrity(files, read_checksums(project), base)


def _collect_requested_evidence(
    project: Project, request: CheckRequest, only: Collection[str] | None, on_step: Callable[[str, int, Step], None]
) -> tuple[Evidence, ...]:
    """Play and compare what the families ask for; nothing at all where they ask for no database."""
    wants_play = bool(_REPLAY_FAMILIES & request.families) and (only is None or bool(only))
    wants_schema, wants_dump = bool(_SCHEMA_FAMILIES & request.families), "dump" in request.families
    if not (wants_play or wants_schema or wants_dump):
        return ()
    count = len(History.read(project).revisions if only is None else only)
    evidence_request = EvidenceRequest(wants_schema, wants_dump, wants_play, only)
    return collect_evidence(
        project, request.backends, evidence_request, lambda backend, step: on_step(backend, count, step)
    )


def _later_findings(
    project: Project, history: History, files: Sequence[Script], evidence: Sequence[Evidence], request: CheckRequest
) -> Iterator[Finding]:
    """Run the checks on what was gathered, and those of the sources, which profit from it."""
    recordings = [item.recording for item in evidence if item.recording]
    if "source" in request.families:
        application = ApplicationModules.of(project)
        tables = project.settings.large_tables
        backends = [name for name in project.settings.backends if name in request.backends]
        yield from check_source(files, application, backends=backends, large_tables=tables, recordings=recordings)
    reference = request.base or request.since
    columns_in_use = partial(published_columns, project, reference) if reference else lambda: None
    yield from evidence_findings(evidence, history, request.families, project.root, columns_in_use)


def _server(evidence: Evidence) -> CheckedServer:
    steps = evidence.recording.steps if evidence.recording else ()
    seconds = tuple((step.revision, sum(leg.seconds for leg in step.legs)) for step in steps)
    return CheckedServer(evidence.backend, evidence.server, seconds)


# What stopped a play stops the way to the head, too, and is said once.
_STOPPED_ROUND_TRIP_RULES = frozenset({"upgrade-fails", "one-run-differs"})
_STOPPED_HEAD_RULES = frozenset({"upgrade-fails", "transaction-ended"})


def evidence_findings(
    evidence: Sequence[Evidence],
    history: History,
    families: Collection[str],
    home: Path,
    columns_in_use: Callable[[], Mapping[str, Collection[str]] | None] = lambda: None,
) -> Iterator[Finding]:
    """Yield what the chosen families of rules find in the evidence of all backends; linters run at `home`.

    `names_in_use` gives the columns of each table that programs of today use, None where nobody knows; it is asked only
    where something was dropped or renamed.
    """
    for item in evidence:
        trips = list(check_round_trip(item.recording, history)) if item.recording and "roundtrip" in families else []
        is_stopped = any(found.rule in _STOPPED_ROUND_TRIP_RULES for found in trips)
        yield from (found for found in item.problems if not (is_stopped and found.rule in _STOPPED_HEAD_RULES))
        yield from trips
        if item.comparison and "drift" in families:
            yield from check_drift(item.comparison)
        if item.dump:
            yield from check_dump(*item.dump, backend=item.backend)
        if item.recording and "data" in families:
            yield from check_data_loss(item.recording, history)
        if item.recording and item.backend == "postgresql" and "locks" in families:
            found = list(check_locks(item.recording, history))
            if any(each.rule in IN_USE_RULES for each in found):
                found = list(check_locks(item.recording, history, used_columns=columns_in_use()))
            yield from found
            executed_scripts = executed_ddl(item.recording, history)
            texts = {name: script.text for name, script in executed_scripts.items()}
            yield from squawk_findings(
                executed_scripts, linters.run_squawk(texts, home=home, server=item.recording.server)
            )
    if "parity" in families:
        migrated = {item.backend: item.comparison.migrated for item in evidence if item.comparison}
        if migrated.keys() == {"sqlite", "postgresql"}:
            yield from check_parity(migrated["sqlite"], migrated["postgresql"], parity_comments(history))
