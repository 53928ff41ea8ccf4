"""One verdict on a project: gathers what the checks need, runs them all, and leaves what the project wants to hear."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dormatory.checks.data import rows_kept
from dormatory.checks.drift import drift
from dormatory.checks.dump import stale_dump
from dormatory.checks.engine_errors import unusable
from dormatory.checks.graph import graph
from dormatory.checks.integrity import integrity
from dormatory.checks.locks import OF_NAMES, locks
from dormatory.checks.outcome import Outcome, Server
from dormatory.checks.parity import parity
from dormatory.checks.parity_comments import declarations
from dormatory.checks.registry import FAMILIES, RULES
from dormatory.checks.roundtrip import round_trip
from dormatory.checks.severity import adjusted, refuse_unknown
from dormatory.checks.source import Application, source
from dormatory.checks.sqlfluff import fluffed, handwritten
from dormatory.checks.squawk import executed, squawked
from dormatory.checks.suppression import suppressed
from dormatory.commands import linters
from dormatory.commands.evidence import Wanted, gather
from dormatory.errors import BrokenHistoryError, NotComparedError, UnknownFamilyError
from dormatory.project.checksums import sums
from dormatory.project.graph import Links
from dormatory.project.history import History
from dormatory.project.published_models import names_in_use
from dormatory.project.revision_files import scripts, scripts_at, scripts_merged
from dormatory.system.tuning import collected_seldom

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.commands.evidence import Evidence
    from dormatory.project.project import Project
    from dormatory.project.revision_files import Script
    from dormatory.recording.model import Recording, Step

_PLAYED = frozenset({"roundtrip", "data", "locks"})
_COMPARED = frozenset({"drift", "parity"})
_OF_REVISIONS = frozenset({"integrity", "source", "roundtrip", "data", "locks", "sql"})  # what --since narrows


@dataclass(frozen=True, slots=True)
class Request:
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


def families(only: str, skip: str) -> frozenset[str]:
    """Return the families that two comma-separated options leave; raises UnknownFamilyError."""
    chosen, left_out = ([name.strip() for name in text.split(",") if name.strip()] for text in (only, skip))
    for name in (*chosen, *left_out):
        if name not in FAMILIES:
            raise UnknownFamilyError(name, known=FAMILIES)
    return frozenset(chosen or FAMILIES) - set(left_out)


@collected_seldom()
def inspect(
    project: Project, request: Request, on_step: Callable[[str, int, Step], None] = lambda *_: None
) -> tuple[Outcome, tuple[Recording, ...]]:
    """Check a project; a history that does not fit together is not played.

    `on_step` hears the backend, how many steps there will be, and each step. Raises UnknownReferenceError,
    UnknownRevisionError, NoProjectError for settings that name no rule, and what keeps a backend from running.
    """
    refuse_unknown(project.settings, project.ini)
    files = scripts(project)
    static = list(_static(project, files, request))
    evidence: tuple[Evidence, ...] = ()
    history, only = History(()), None
    with ThreadPoolExecutor(1) as beside:
        fluff = beside.submit(_fluffed, project, files, request)  # a program of its own, and a slow one
        try:
            history = History.read(project)
        except BrokenHistoryError as error:
            if "graph" not in request.families:
                static.append(unusable(error, "broken-history"))
        else:
            only = _chosen(project, history, request)
            if not _COMPARED & request.families or len(history.heads) <= 1 or Links(files).are_apart:
                evidence = _gathered(project, request, only, on_step)
        static += fluff.result()
    said = {(item.rule, item.revision) for item in static}  # a play finds some of it again
    judged = _judged(project, history, files, evidence, request)
    found = [*static, *(item for item in judged if (item.rule, item.revision) not in said)]
    if only is not None:
        found = [item for item in found if not _is_old(item, only)]
    # In this order: a comment on what the settings leave out is not useless.
    stays, count = suppressed(found, files, families=_played(request.families, evidence), revisions=only)
    kept = tuple(adjusted(stays, project.settings, history))
    servers = tuple(_server(item) for item in evidence if item.server)
    names = tuple(item.id for item in history.revisions if only is None or item.id in only)
    recordings = tuple(item.recording for item in evidence if item.recording)
    return Outcome(kept, servers, names, count, request.is_strict, configuration=project.ini), recordings


def inspect_live(project: Project) -> Outcome:
    """Check that the target is what the history gives at the target's own revision.

    Raises NotComparedError when that cannot be told, which is never taken for agreement.
    """
    from dormatory.backends.registry import backend_for  # noqa: PLC0415
    from dormatory.checks.drift import changed_by_hand  # noqa: PLC0415  # SQLAlchemy loads where it is needed
    from dormatory.commands.status import live_drift  # noqa: PLC0415

    target = project.target()
    backend = backend_for(target)
    found = live_drift(project, target)
    if found.problem:
        raise NotComparedError(str(target), found.problem)
    with backend.engine(target, writing=False).connect() as connection:
        server = Server(target.backend_name, backend.version(connection))
    return Outcome(tuple(changed_by_hand(found, target.backend_name)), (server,), configuration=project.ini)


def _fluffed(project: Project, files: Sequence[Script], request: Request) -> list[Finding]:
    """Return what sqlfluff says of the SQL that stands in revisions."""
    if "sql" not in request.families:
        return []
    snippets = handwritten(files, backends=project.settings.backends)
    texts = {name: (item.backend, item.text) for name, item in snippets.items()}
    return list(fluffed(snippets, linters.sqlfluff(texts, home=project.root)))


def _chosen(project: Project, history: History, request: Request) -> Collection[str] | None:
    """Return the revisions that are judged: one, those that a reference does not have, or None for all."""
    if request.revision:
        return (history.get(request.revision).id,)
    if request.since:
        known = {item.id for item in History.at(project, request.since).revisions}
        return tuple(item.id for item in history.revisions if item.id not in known)
    return None


def _played(families: frozenset[str], evidence: Sequence[Evidence]) -> frozenset[str]:
    """Return the families without those for which nothing was played: comments on their rules are not useless."""
    backends = {item.backend for item in evidence if item.recording}
    left_out = _PLAYED if not backends else frozenset({"locks"}) if "postgresql" not in backends else frozenset()
    return families - left_out


def _is_old(found: Finding, only: Collection[str]) -> bool:
    return bool(found.revision) and found.revision not in only and RULES[found.rule].family in _OF_REVISIONS


def _static(project: Project, files: Sequence[Script], request: Request) -> Iterator[Finding]:
    """Run the checks that need no database and import no revision."""
    backends = project.settings.backends
    if "graph" in request.families:
        yield from graph(files, backends=backends)
        if request.base:
            known = set(graph(files, backends=backends))
            merged = graph(scripts_merged(project, request.base), backends=backends)
            yield from (item for item in merged if item not in known)
    if "integrity" in request.families:
        reference = request.base or request.since
        base = scripts_at(project, reference) if reference else None
        yield from integrity(files, sums(project), base)


def _gathered(
    project: Project, request: Request, only: Collection[str] | None, on_step: Callable[[str, int, Step], None]
) -> tuple[Evidence, ...]:
    """Play and compare what the families ask for; nothing at all where they ask for no database."""
    wants_play = bool(_PLAYED & request.families) and (only is None or bool(only))
    wants_schema, wants_dump = bool(_COMPARED & request.families), "dump" in request.families
    if not (wants_play or wants_schema or wants_dump):
        return ()
    count = len(History.read(project).revisions if only is None else only)
    wanted = Wanted(wants_schema, wants_dump, wants_play, only)
    return gather(project, request.backends, wanted, lambda backend, step: on_step(backend, count, step))


def _judged(
    project: Project, history: History, files: Sequence[Script], evidence: Sequence[Evidence], request: Request
) -> Iterator[Finding]:
    """Run the checks on what was gathered, and those of the sources, which profit from it."""
    recordings = [item.recording for item in evidence if item.recording]
    if "source" in request.families:
        application = Application.of(project)
        tables = project.settings.large_tables
        backends = [name for name in project.settings.backends if name in request.backends]
        yield from source(files, application, backends=backends, large_tables=tables, recordings=recordings)
    reference = request.base or request.since
    used = partial(names_in_use, project, reference) if reference else lambda: None
    yield from judged(evidence, history, request.families, project.root, used)


def _server(evidence: Evidence) -> Server:
    steps = evidence.recording.steps if evidence.recording else ()
    seconds = tuple((step.revision, sum(leg.seconds for leg in step.legs)) for step in steps)
    return Server(evidence.backend, evidence.server, seconds)


# What stopped a play stops the way to the head, too, and is said once.
_STOPPED = frozenset({"upgrade-fails", "one-run-differs"})
_STOPPING = frozenset({"upgrade-fails", "transaction-ended"})


def judged(
    evidence: Sequence[Evidence],
    history: History,
    families: Collection[str],
    home: Path,
    names_in_use: Callable[[], Mapping[str, Collection[str]] | None] = lambda: None,
) -> Iterator[Finding]:
    """Yield what the chosen families of rules find in the evidence of all backends; linters run at `home`.

    `names_in_use` gives the columns of each table that programs of today use, None where nobody knows; it is asked only
    where something was dropped or renamed.
    """
    for item in evidence:
        trips = list(round_trip(item.recording, history)) if item.recording and "roundtrip" in families else []
        told = any(found.rule in _STOPPED for found in trips)
        yield from (found for found in item.problems if not (told and found.rule in _STOPPING))
        yield from trips
        if item.comparison and "drift" in families:
            yield from drift(item.comparison)
        if item.dump:
            yield from stale_dump(*item.dump, backend=item.backend)
        if item.recording and "data" in families:
            yield from rows_kept(item.recording, history)
        if item.recording and item.backend == "postgresql" and "locks" in families:
            found = list(locks(item.recording, history))
            if any(each.rule in OF_NAMES for each in found):
                found = list(locks(item.recording, history, in_use=names_in_use()))
            yield from found
            ran = executed(item.recording, history)
            texts = {name: script.text for name, script in ran.items()}
            yield from squawked(ran, linters.squawk(texts, home=home, server=item.recording.server))
    if "parity" in families:
        migrated = {item.backend: item.comparison.migrated for item in evidence if item.comparison}
        if migrated.keys() == {"sqlite", "postgresql"}:
            yield from parity(migrated["sqlite"], migrated["postgresql"], declarations(history))
