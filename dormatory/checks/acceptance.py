"""Findings that a project has accepted: pure, over the findings of a run and the entries of `accepted.toml`.

An entry is about a rule, a revision (or a file) and an object: it still fits when lines move and messages get other
words.  It hides one finding on each of its backends, so that a second one of the same kind is shown.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.suppression import UNSUPPRESSABLE_FAMILIES
from dormatory.errors.location import Location
from dormatory.project.accepted_file import AcceptedEntry
from dormatory.system.text import first_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding


@dataclass(frozen=True, slots=True)
class AcceptedFinding:
    """A finding that is not shown, and the entry that accepts it."""

    finding: Finding
    entry: AcceptedEntry


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The findings of a run, divided into those to show and those that are accepted; `unmatched` entries fit none."""

    shown: tuple[Finding, ...]
    accepted: tuple[AcceptedFinding, ...]
    unmatched: tuple[AcceptedEntry, ...]


def divide_findings(
    findings: Sequence[Finding], entries: Sequence[AcceptedEntry], root: Path, rules: Mapping[str, Rule]
) -> Acceptance:
    """Divide findings by the entries that accept them; `root` is the directory that files are relative to."""
    positions: defaultdict[tuple[AcceptedEntry, str], list[int]] = defaultdict(list)
    for position, found in enumerate(findings):
        if rules[found.rule].family not in UNSUPPRESSABLE_FAMILIES:
            positions[_identity(found, root), found.backend].append(position)
    numbers: defaultdict[tuple[AcceptedEntry, str], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        for backend in entry.backends or ("",):
            numbers[replace(entry, backends=(), message="", reason=""), backend].append(number)
    used: dict[int, int] = {}  # the position of a finding, and the number of its entry
    for key in positions.keys() & numbers.keys():
        messages = {position: _wording(findings[position].message) for position in positions[key]}
        used |= _pair_by_message(messages, {number: _wording(entries[number].message) for number in numbers[key]})
    return Acceptance(
        tuple(found for position, found in enumerate(findings) if position not in used),
        tuple(AcceptedFinding(findings[position], entries[used[position]]) for position in sorted(used)),
        tuple(entry for number, entry in enumerate(entries) if number not in used.values()),
    )


def accepted_entries(
    acceptance: Acceptance, scope: CheckedScope, root: Path, rules: Mapping[str, Rule], reason: str
) -> tuple[AcceptedEntry, ...]:
    """Return the entries that accept each error and warning that is shown, too; stale ones are left out.

    An entry that has a reason keeps it, and its message.
    """
    kept = [item.entry for item in acceptance.accepted]
    kept += [entry for entry in acceptance.unmatched if not _is_stale(entry, scope, rules)]
    merged = {(entry, 0): entry.backends for entry in dict.fromkeys(kept)}
    times: Counter[tuple[AcceptedEntry, str]] = Counter()
    for found in acceptance.shown:
        if found.severity is not Severity.NOTE and rules[found.rule].family not in UNSUPPRESSABLE_FAMILIES:
            entry = replace(_identity(found, root), message=first_line(found.message))
            times[entry, found.backend] += 1
            key = entry, times[entry, found.backend]  # the same finding twice on one backend needs two entries
            merged[key] = (*merged.get(key, ()), *([found.backend] if found.backend else []))
    return tuple(
        replace(entry, backends=backends, reason=entry.reason or reason) for (entry, _), backends in merged.items()
    )


ACCEPTED_STALE = Rule(
    "accepted-stale",
    "suppression",
    Severity.WARNING,
    meaning="an entry of accepted.toml accepts a finding that does not exist, or may not be accepted",
    why="It would hide the next finding of this kind in that place.",
    recipe="# remove the entry; inv db.check --accept removes all that are stale, and accepts what is found",
)

ACCEPTED_WITHOUT_REASON = Rule(
    "accepted-without-reason",
    "suppression",
    Severity.WARNING,
    meaning="an entry of accepted.toml gives no reason",
    why="Nobody can tell later whether the finding is still accepted.",
    recipe='reason = "the table has ten rows"  # for all that have none: inv db.check --accept --reason TEXT',
)


def check_acceptance(
    acceptance: Acceptance, scope: CheckedScope, path: Path, rules: Mapping[str, Rule]
) -> Iterator[Finding]:
    """Report entries that fit no finding any more, and once those that give no reason."""
    for entry in acceptance.unmatched:
        if _is_stale(entry, scope, rules):
            yield _stale_finding(entry, path, rules)
    missing = sorted({item.entry.line for item in acceptance.accepted if not item.entry.reason})
    if missing:
        others = f", and {len(missing) - 1} more" if missing[1:] else ""
        message = f"no reason is given for the finding in line {missing[0]}{others}"
        hint = 'write why it is right as it is: reason = "..."'
        yield ACCEPTED_WITHOUT_REASON.finding(message, hint, location=Location(str(path), missing[0]))


@dataclass(frozen=True, slots=True)
class CheckedScope:
    """What a run has looked at; an entry about anything else is not stale.

    `families` are the families of rules that were checked on each backend, under "" those that need none. `revisions`
    are those that were selected, None for all. `unplayed` has each backend with a revision that it did not play to the
    end. `skipped` are rules that were left out of their families.
    """

    families: Mapping[str, Collection[str]]
    revisions: Collection[str] | None = None
    unplayed: Collection[tuple[str, str]] = ()
    skipped: Collection[str] = ()

    @property
    def all_families(self) -> frozenset[str]:
        """The families that were checked anywhere."""
        return frozenset().union(*self.families.values())

    def has(self, entry: AcceptedEntry, family: str) -> bool:
        """Return whether the run would have found what an entry accepts, if it were still there."""
        if entry.rule in self.skipped or (self.revisions is not None and entry.revision not in {"", *self.revisions}):
            return False
        backends = entry.backends or ("",)
        is_played = not any((backend, entry.revision) in self.unplayed for backend in backends)
        return is_played and all(family in self.families.get(backend, ()) for backend in backends)


def _is_stale(entry: AcceptedEntry, scope: CheckedScope, rules: Mapping[str, Rule]) -> bool:
    """Return whether an entry that fits no finding is of no use: nothing else than the finding is missing."""
    rule = rules.get(entry.rule)
    return rule is None or rule.family in UNSUPPRESSABLE_FAMILIES or scope.has(entry, rule.family)


def _stale_finding(entry: AcceptedEntry, path: Path, rules: Mapping[str, Rule]) -> Finding:
    place = f"revision {entry.revision}" if entry.revision else entry.file or "the project"
    what = f"{entry.rule} of {entry.object} in {place}" if entry.object else f"{entry.rule} in {place}"
    message = f"{what} is accepted, and not found any more"
    hint = f"remove this entry from {path.name}"
    if entry.rule not in rules:
        message = f'{what} is accepted, and there is no rule "{entry.rule}"'
    elif rules[entry.rule].family in UNSUPPRESSABLE_FAMILIES:
        message = f"{what} is accepted, which {entry.rule} cannot be"
    return ACCEPTED_STALE.finding(message, hint, object_name=what, location=Location(str(path), entry.line))


def _identity(found: Finding, root: Path) -> AcceptedEntry:
    """Return what an entry must say to be about a finding, whatever its message."""
    path = Path(found.location.path)
    file = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    return AcceptedEntry(found.rule, found.revision, "" if found.revision else file, found.object)


def _pair_by_message(findings: Mapping[int, str], entries: Mapping[int, str]) -> dict[int, int]:
    """Return which entry is for which finding, of those that differ in nothing but their messages."""
    left, pairs = dict(entries), dict[int, int]()
    for position, message in findings.items():
        if (same := next((number for number, other in left.items() if other == message), None)) is not None:
            pairs[position] = same
            del left[same]
    unpaired = (position for position in findings if position not in pairs)
    return pairs | dict(zip(unpaired, left, strict=False))


def _wording(message: str) -> str:
    """Return a message without its numbers: times and counts are others in each run."""
    return re.sub(r"\d+", "0", first_line(message))
