"""The history of a project as a value: the revisions of a graph without problems, parents before children."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from dormatory.errors import BrokenHistoryError, MultipleHeadsError, UnknownRevisionError
from dormatory.project.graph import RevisionGraph, reachable
from dormatory.project.revision_files import read_scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dormatory.project.project import Project
    from dormatory.project.script import Revision


@dataclass(frozen=True)  # without slots, which cached_property cannot fill
class History:
    """All revisions, parents before children and siblings in the order of their ids; they name parents by full ids."""

    revisions: tuple[Revision, ...]

    @classmethod
    def read(cls, project: Project) -> History:
        """Return the history in the files of the checkout; raises BrokenHistoryError as of_checkout() does."""
        return cls.of_checkout(RevisionGraph(read_scripts(project)))

    @classmethod
    def of_checkout(cls, graph: RevisionGraph) -> History:
        """Return the history of files that can be imported.

        Raises BrokenHistoryError as of() does, and for a file that gives no revision even so.
        """
        _refuse_problems(graph)
        if graph.unread:
            raise BrokenHistoryError(
                f"{graph.unread[0].path} gives no revision",
                why="it is among the revisions, where Alembic imports each file and refuses one without",
                fix='write revision = "..." into it, or put a helper elsewhere',
            )
        return cls(_sorted_revisions(graph))

    @classmethod
    def of(cls, graph: RevisionGraph) -> History:
        """Return the history that a graph makes.

        Raises BrokenHistoryError for a file that does not parse, an id used twice, a parent that no file has,
        or a cycle.
        """
        _refuse_problems(graph)
        return cls(_sorted_revisions(graph))

    @cached_property
    def by_id(self) -> Mapping[str, Revision]:
        """The revisions by their ids."""
        return {revision.id: revision for revision in self.revisions}

    @property
    def heads(self) -> tuple[str, ...]:
        """The revisions that no other revision names as its parent."""
        parents = {parent for revision in self.revisions for parent in revision.parents}
        return tuple(revision.id for revision in self.revisions if revision.id not in parents)

    def refuse_branches(self) -> None:
        """Raise MultipleHeadsError if the history ends in more than one revision."""
        if len(self.heads) > 1:
            raise MultipleHeadsError(self.heads)

    def ancestors(self, name: str) -> set[str]:
        """Return the ids of all revisions that a database passes before this one; raises UnknownRevisionError."""
        last = self.get(name).id
        return self._with_ancestors([last]) - {last}

    def get(self, name: str) -> Revision:
        """Return the revision that `name` means: an id, the start of one, a label, or `head`.

        Raises UnknownRevisionError if it means none, or several.
        """
        if name == "head":
            self.refuse_branches()
            name = self.heads[0] if self.heads else name
        found = [item for item in self.revisions if name == item.id or name in item.labels]
        found = found or [item for item in self.revisions if name and item.id.startswith(name)]
        if len(found) != 1:
            raise UnknownRevisionError(name, known=list(self.by_id))
        return found[0]

    def pending(self, current: Iterable[str]) -> tuple[Revision, ...]:
        """Return the revisions that a database at `current` still lacks, in the order of an upgrade."""
        applied = self._with_ancestors(current)
        return tuple(revision for revision in self.revisions if revision.id not in applied)

    def unknown(self, current: Iterable[str]) -> tuple[str, ...]:
        """Return those of `current` that no file has: revisions of the database that this checkout lacks."""
        return tuple(sorted(set(current) - self.by_id.keys()))

    def overlapping(self, current: Iterable[str]) -> tuple[str, ...]:
        """Return those of `current` that others of them build on: a version table names each branch once."""
        given = set(current) & self.by_id.keys()
        return tuple(sorted(name for name in given if any(name in self.ancestors(other) for other in given - {name})))

    def next_id(self) -> str:
        """Return the number after the highest, three digits wide; ids that are no numbers do not count."""
        numbers = [int(name) for name in self.by_id if name.isdecimal()]
        return f"{max(numbers, default=0) + 1:03d}"

    def _with_ancestors(self, ids: Iterable[str]) -> set[str]:
        edges = {revision.id: revision.parents + revision.depends_on for revision in self.revisions}
        return reachable(edges.keys() & set(ids), edges)


def _refuse_problems(graph: RevisionGraph) -> None:
    """Raise BrokenHistoryError for the first problem of a graph."""
    if graph.unparsed:
        script = graph.unparsed[0]
        raise BrokenHistoryError(
            f"{script.path}:{script.line} does not parse", why=script.problem, fix="correct the file"
        )
    if graph.duplicates:
        script, first = graph.duplicates[0]
        raise BrokenHistoryError(
            f"revision {script.revision.id if script.revision else ''} exists twice",
            why=f"{first.path} and {script.path} both claim it",
            fix="give one of them the next free number",
        )
    if graph.missing_parents:
        script, name = graph.missing_parents[0]
        raise BrokenHistoryError(
            f"{script.path} builds on {name}, which no file has",
            why="its down_revision or depends_on names an unknown revision",
            fix="restore that file, or correct the name",
        )
    if graph.cycles:
        cycle = graph.cycles[0]
        raise BrokenHistoryError(
            f"revisions {' → '.join([*cycle, cycle[0]])} form a cycle",
            why="each of them comes before the others",
            fix="correct their down_revision",
        )


def _sorted_revisions(graph: RevisionGraph) -> tuple[Revision, ...]:
    """Return the revisions of a graph without problems, with full ids for what they build on."""
    sorter = TopologicalSorter({name: graph.parents[name] + graph.depends_on[name] for name in graph.scripts})
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(
        replace(revision, parents=graph.parents[name], depends_on=graph.depends_on[name])
        for name in order
        if (revision := graph.scripts[name].revision)
    )
