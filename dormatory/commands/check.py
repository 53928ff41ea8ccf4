"""Check a project: collect evidence, run the rules of the chosen families, apply comments and settings."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.registry import dialect_by_name
from dormatory.checks.consequences import fold_consequences, join_backends, join_revisions, without_repetitions
from dormatory.checks.data import check_data_loss
from dormatory.checks.drift import check_drift
from dormatory.checks.dump import check_dump
from dormatory.checks.engine_errors import broken_history_finding
from dormatory.checks.environment import check_environment, check_passes
from dormatory.checks.finding import with_version_table
from dormatory.checks.graph import check_graph
from dormatory.checks.integrity import check_integrity
from dormatory.checks.locks import DROPPED_IN_USE_RULES, IN_USE_RULES, check_locks
from dormatory.checks.outcome import CheckedServer, Outcome, unchecked_parts
from dormatory.checks.parity import check_parity
from dormatory.checks.parity_comments import parity_comments
from dormatory.checks.privileges import check_privileges
from dormatory.checks.recreated import check_recreated
from dormatory.checks.registry import FAMILIES, RULES, RULES_REPLACED_IN_SQUAWK
from dormatory.checks.roundtrip import UPGRADE_FAILS, check_round_trip
from dormatory.checks.row_failures import check_assumptions
from dormatory.checks.severity import apply_settings, refuse_unknown_rules
from dormatory.checks.source import ApplicationModules, check_source
from dormatory.checks.sqlfluff import sql_snippets, sqlfluff_findings
from dormatory.checks.squawk import executed_ddl, squawk_findings
from dormatory.checks.suppression import apply_suppressions
from dormatory.commands import linters
from dormatory.commands.accepted import apply_accepted_file, checked_scope
from dormatory.commands.collect import collect_evidence
from dormatory.commands.evidence import REPLAY_FAMILIES, SCHEMA_FAMILIES, EvidenceRequest
from dormatory.errors import BrokenHistoryError, EmptyHistoryError, UnknownFamilyError
from dormatory.project.checksums import read_checksums
from dormatory.project.graph import RevisionGraph
from dormatory.project.history import History
from dormatory.project.published_models import published_columns
from dormatory.project.revision_files import folders_of_revisions, merge_scripts, read_scripts, read_scripts_at
from dormatory.runtime.progress import StepReplayed, ignore_progress
from dormatory.system.tuning import reduce_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.commands.evidence import Evidence
    from dormatory.project.project import Project
    from dormatory.project.script import Script
    from dormatory.recording.model import Recording, Step
    from dormatory.runtime.progress import Progress

_REVISION_FAMILIES = frozenset({"integrity", "source", "roundtrip", "data", "locks", "sql"})  # limited by --since
# What stops a replay also stops the upgrade to the head, and is reported once.
_STOPPED_REPLAY_RULES = frozenset({"upgrade-fails", "one-run-differs"})
_STOPPED_HEAD_RULES = frozenset({"upgrade-fails", "transaction-ended"})


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Which families of rules to check, on which backends.

    With `since`, a git reference, only the revisions that the reference does not have are checked, and the graph as a
    whole. With `base`, a git reference, the result of a merge with it is checked, too. `revision` limits the replay to
    that one. With `accepting_reason`, which may be empty, what is found is accepted.
    """

    backends: tuple[str, ...]
    families: frozenset[str] = frozenset(FAMILIES)
    since: str = ""
    base: str = ""
    revision: str = ""
    is_strict: bool = False
    accepting_reason: str | None = None


def selected_families(only: str, skip: str) -> frozenset[str]:
    """Return the families that the comma-separated options --only and --skip select; raises UnknownFamilyError."""
    chosen, skipped = ([name.strip() for name in text.split(",") if name.strip()] for text in (only, skip))
    for name in (*chosen, *skipped):
        if name not in FAMILIES:
            raise UnknownFamilyError(name, known=tuple(FAMILIES))
    return frozenset(chosen or FAMILIES) - set(skipped)


@reduce_garbage_collection()
def check_project(
    project: Project, request: CheckRequest, progress: Progress = ignore_progress
) -> tuple[Outcome, tuple[Recording, ...]]:
    """Check a project and return the outcome with the recordings of the replays; a broken history is not replayed.

    Raises EmptyHistoryError, UnknownReferenceError, UnknownRevisionError, InvalidSettingError if a setting names no
    rule, UnreadableAcceptedFileError, and the error of a backend that cannot run.
    """
    began = time.perf_counter()
    refuse_unknown_rules(project.settings, project.ini)
    files = read_scripts(project)
    if not files:
        raise EmptyHistoryError(project.version_locations, folders_of_revisions(project))
    graph = RevisionGraph(files)
    read_reference = cache(partial(read_scripts_at, project, parsed=files))
    found = list(_static_findings(project, files, read_reference, request))
    history, selected = History(()), None
    evidence: tuple[Evidence, ...] = ()
    with ThreadPoolExecutor(1) as pool:
        sqlfluff_run = pool.submit(_sqlfluff_findings, project, files, request)  # a slow program: it runs meanwhile
        try:
            history = History.of_checkout(graph)
        except BrokenHistoryError as error:
            if "graph" not in request.families:
                found.append(broken_history_finding(error))
        else:
            selected = _selected_revisions(history, read_reference, request)
            if needed := _needed_evidence(history, request, selected):
                count = len(history.revisions if selected is None else selected)
                on_step = partial(_report_step, progress, count)
                evidence = collect_evidence(project, request.backends, needed, on_step)
        found += sqlfluff_run.result()
    known = {(item.rule, item.revision) for item in found}  # a replay finds some of it again
    late = _evidence_findings(project, files, history, evidence, request)
    found += [
        item for item in without_repetitions(join_backends(tuple(late))) if (item.rule, item.revision) not in known
    ]
    if selected is not None:
        failed = {one.last_played for item in evidence for one in item.recordings}
        found = [item for item in found if not _is_outside_selection(item, selected) or _is_failure_of(item, failed)]
    # Comments come before settings: a comment on a rule that the settings turn off is still used.
    unknown = () if request.base or request.since else DROPPED_IN_USE_RULES
    scope = checked_scope(request.families, evidence, selected, unknown)
    visible, suppressed = apply_suppressions(found, files, RULES, families=scope.all_families, revisions=selected)
    findings = tuple(apply_settings(visible, project.settings, None if graph.has_problems else history))
    shown, accepted = apply_accepted_file(project, findings, scope, request.accepting_reason)
    servers = tuple(_server(item) for item in evidence if item.server)
    gaps = tuple(gap for item in evidence for one in item.recordings for gap in unchecked_parts(one))
    names = tuple(item.id for item in history.revisions if selected is None or item.id in selected)
    outcome = Outcome(
        join_revisions(shown, names),
        servers,
        names,
        suppressed,
        request.is_strict,
        accepted,
        configuration=project.ini,
        unchecked=gaps,
        titles={item.id: item.title for item in history.revisions},
        seconds=time.perf_counter() - began,
    )
    return outcome, tuple(one for item in evidence for one in item.recordings)


def _static_findings(
    project: Project,
    files: Sequence[Script],
    read_reference: Callable[[str], Sequence[Script]],
    request: CheckRequest,
) -> Iterator[Finding]:
    """Run the checks that need no database and import no revision."""
    backends = project.settings.backends
    if "graph" in request.families:
        found = tuple(check_graph(files, backends=backends))
        yield from found
        if request.base:
            merged = merge_scripts(project, request.base, ours=files, theirs=read_reference(request.base))
            yield from (item for item in check_graph(merged, backends=backends) if item not in found)
    if "integrity" in request.families:
        reference = request.base or request.since
        base = read_reference(reference) if reference else None
        yield from check_integrity(files, read_checksums(project), base)


def _sqlfluff_findings(project: Project, files: Sequence[Script], request: CheckRequest) -> list[Finding]:
    """Return what sqlfluff finds in the SQL of the revisions."""
    if "sql" not in request.families:
        return []
    snippets = sql_snippets(files, backends=project.settings.backends)
    texts = {name: (item.backend, item.executable_sql) for name, item in snippets.items()}
    return list(sqlfluff_findings(snippets, linters.run_sqlfluff(texts, home=project.root)))


def _selected_revisions(
    history: History, read_reference: Callable[[str], Sequence[Script]], request: CheckRequest
) -> Collection[str] | None:
    """Return the revisions to check: one, those that a git reference does not have, or None for all."""
    if request.revision:
        return (history.get(request.revision).id,)
    if request.since:
        known = History.of(RevisionGraph(read_reference(request.since))).by_id
        return tuple(name for name in history.by_id if name not in known)
    return None


def _needed_evidence(
    history: History, request: CheckRequest, selected: Collection[str] | None
) -> EvidenceRequest | None:
    """Return what the families need, or None if they need no database."""
    needs_schema = bool(SCHEMA_FAMILIES & request.families)
    needs_replay = bool(REPLAY_FAMILIES & request.families) and (selected is None or bool(selected))
    needs_dump = "dump" in request.families
    if not (needs_schema or needs_dump or needs_replay):
        return None
    return EvidenceRequest(needs_schema, needs_dump, needs_replay, selected, history)


def _report_step(progress: Progress, total: int, backend: str, step: Step) -> None:
    progress(StepReplayed(backend, total, step))


def _evidence_findings(
    project: Project, files: Sequence[Script], history: History, evidence: Sequence[Evidence], request: CheckRequest
) -> Iterator[Finding]:
    """Run the checks that read evidence; the source rules are among them because recordings make them more exact."""
    recordings = [one for item in evidence for one in item.recordings]
    if "source" in request.families:
        yield from check_source(
            files,
            ApplicationModules.of(project),
            backends=[name for name in project.settings.backends if name in request.backends],
            large_tables=project.settings.large_tables,
            recordings=recordings,
        )
    for item in (one for collected in evidence for one in collected.by_pass()):
        found = list(_backend_findings(item, history, request.families))
        if item.recording and dialect_by_name(item.backend).has_lock_rules and "locks" in request.families:
            found += _lock_findings(project, history, item.recording, request.base or request.since)
        yield from (with_version_table(it, item.version_table) for it in found)
    if "roundtrip" in request.families and {it.backend for it in recordings} == {*project.settings.backends}:
        yield from check_assumptions(recordings, history)
    if "parity" in request.families:
        migrated = {item.backend: item.comparison.migrated for item in evidence if item.comparison}
        for first, second in combinations([name for name in BACKEND_NAMES if name in migrated], 2):
            yield from check_parity(migrated[first], migrated[second], parity_comments(files, history), files)


def _backend_findings(item: Evidence, history: History, families: Collection[str]) -> Iterator[Finding]:
    """Yield what the evidence of one backend shows."""
    trips = list(check_round_trip(item.recording, history)) if item.recording and "roundtrip" in families else []
    is_stopped = any(found.rule in _STOPPED_REPLAY_RULES for found in trips)
    yield from (found for found in item.problems if not (is_stopped and found.rule in _STOPPED_HEAD_RULES))
    yield from fold_consequences(trips)
    if item.recording and "roundtrip" in families:
        yield from check_privileges(item.recording, history)
        yield from check_recreated(item.recording, history)
        yield from check_environment(item.recording, history)
        if not item.version_table:
            yield from check_passes(item.recording)
    if item.comparison and "drift" in families:
        yield from check_drift(item.comparison)
    if item.dump:
        yield from check_dump(*item.dump, backend=item.backend)
    if item.recording and "data" in families:
        yield from check_data_loss(item.recording, history)


def _lock_findings(project: Project, history: History, recording: Recording, reference: str) -> Iterator[Finding]:
    """Yield what the statements of a replay would block; squawk reads them, too.

    The models at the git reference are what the running programs still use: without a reference, nothing is said of
    what is dropped. They are slow to read, and are needed only where a column or table was dropped or renamed.
    """
    found = list(check_locks(recording, history))
    if not reference:
        found = [item for item in found if item.rule not in DROPPED_IN_USE_RULES]
    elif any(item.rule in IN_USE_RULES for item in found):
        found = list(check_locks(recording, history, used_columns=published_columns(project, reference)))
    yield from found
    ddl = executed_ddl(recording, history)
    texts = {name: script.text for name, script in ddl.items()}
    messages = linters.run_squawk(texts, home=project.root, server=recording.server)
    yield from squawk_findings(ddl, messages, replaced=RULES_REPLACED_IN_SQUAWK)


def _is_outside_selection(found: Finding, selected: Collection[str]) -> bool:
    is_of_revision = bool(found.revision) and RULES[found.rule].family in _REVISION_FAMILIES
    return is_of_revision and found.revision not in selected


def _is_failure_of(found: Finding, revisions: Collection[str]) -> bool:
    """Return whether a finding says that one of these revisions fails: what comes after it is not played."""
    return found.rule == UPGRADE_FAILS.id and found.revision in revisions


def _server(evidence: Evidence) -> CheckedServer:
    steps = evidence.recording.steps if evidence.recording else ()
    seconds = tuple((step.revision, sum(leg.seconds for leg in step.legs)) for step in steps)
    return CheckedServer(evidence.backend, evidence.server, seconds)
