"""The graph of the revisions in some files. Its problems are kept as values and never raised."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dormatory.project.script import Script


class RevisionGraph:
    """The scripts by the ids of their revisions, and what each revision builds on.

    Its problems: `unparsed` are files without a syntax tree, `duplicates` files whose id an earlier file has (with
    that file), `missing_parents` files that build on an unknown or ambiguous name (with that name); also `cycles`.
    `unread` are files without a revision, which are left out: one of a git reference, not imported, may have one.
    """

    def __init__(self, scripts: Iterable[Script]) -> None:
        self.scripts: dict[str, Script] = {}
        self.unparsed: list[Script] = []
        self.unread: list[Script] = []
        self.duplicates: list[tuple[Script, Script]] = []
        self.missing_parents: list[tuple[Script, str]] = []
        self._id_by_label: dict[str, str] = {}
        for script in scripts:
            if script.tree is None:
                self.unparsed.append(script)
            elif script.revision is None:
                self.unread.append(script)
            if script.revision is None:
                continue
            first = self.scripts.setdefault(script.revision.id, script)
            if first is not script:
                self.duplicates.append((script, first))
            else:
                self._id_by_label.update(dict.fromkeys(script.revision.labels, script.revision.id))
        self.parents = {name: self._resolve(script, "parents") for name, script in self.scripts.items()}
        self.depends_on = {name: self._resolve(script, "depends_on") for name, script in self.scripts.items()}
        self._dependencies = {name: (*self.parents[name], *self.depends_on[name]) for name in self.scripts}

    @property
    def has_problems(self) -> bool:
        """Whether the files do not make a history."""
        return bool(self.unparsed or self.duplicates or self.missing_parents or self.cycles)

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Groups of revisions that build on each other in a circle, each group beginning with its smallest id."""
        found: list[tuple[str, ...]] = []
        waiting = set(self._in_or_after_cycles)
        while waiting:
            name = min(waiting)
            cycle = self._cycle_through(name, waiting)
            found += [cycle] if cycle else []
            waiting -= {name, *cycle}
        return tuple(found)

    @cached_property
    def unreachable(self) -> tuple[str, ...]:
        """Revisions that have no problem themselves but build on one that has, so that no upgrade reaches them."""
        broken = {script.revision.id for script, _ in self.missing_parents if script.revision is not None}
        broken |= {name for cycle in self.cycles for name in cycle}
        children = self._children
        found, waiting = set[str](), list(broken)
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child not in found and child not in broken:
                    found.add(child)
                    waiting.append(child)
        return tuple(sorted(found))

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """Reachable revisions that no other revision names as its parent, in the order of the files."""
        parents = {parent for found in self.parents.values() for parent in found}
        excluded = {
            *self.unreachable,
            *(script.revision.id for script, _ in self.missing_parents if script.revision is not None),
        }
        return tuple(name for name in self.scripts if name not in parents and name not in excluded)

    @cached_property
    def has_labelled_heads(self) -> bool:
        """Whether each head has a label that no other head has behind it: such branches are meant to stay apart."""
        ancestors = [reachable([head], self.parents) for head in self.heads]
        labels = [{label for label, name in self._id_by_label.items() if name in passed} for passed in ancestors]
        return all(own.difference(*labels[:number], *labels[number + 1 :]) for number, own in enumerate(labels))

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Return the revisions that are applied to a database at `names`, these included."""
        return reachable(names, self._dependencies)

    @cached_property
    def _children(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for name, needed in self._dependencies.items():
            for parent in needed:
                found.setdefault(parent, []).append(name)
        return found

    @cached_property
    def _in_or_after_cycles(self) -> Sequence[str]:
        """Revisions in a cycle, and those that build on one."""
        left = {name: len(set(needed)) for name, needed in self._dependencies.items()}
        ready = [name for name, count in left.items() if not count]
        while ready:
            for child in set(self._children.get(name := ready.pop(), ())):
                left[child] -= 1
                ready += [child] if not left[child] else []
            del left[name]
        return sorted(left)

    def _cycle_through(self, start: str, among: set[str]) -> tuple[str, ...]:
        """Return the revisions on a path from one back to itself, later ones last; an empty tuple if there is none."""
        came_from: dict[str, str] = {}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            for needed in self._dependencies[name]:
                if needed == start:
                    cycle = [name]
                    while cycle[-1] != start:
                        cycle.append(came_from[cycle[-1]])
                    return (start, *cycle[:-1])
                if needed in among and needed not in came_from:
                    came_from[needed] = name
                    waiting.append(needed)
        return ()

    def _resolve(self, script: Script, attribute: str) -> tuple[str, ...]:
        """Return the full ids of what a revision builds on; it may name the start of an id, or a label."""
        found: list[str] = []
        for name in getattr(script.revision, attribute):
            if name in self.scripts or name in self._id_by_label:
                found.append(self._id_by_label.get(name, name))
                continue
            matching = [other for other in self.scripts if name and other.startswith(name)]
            if len(matching) == 1:
                found += matching
            else:
                self.missing_parents.append((script, name))
        return tuple(found)


def reachable(names: Iterable[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names that following the edges leads to, the first ones included."""
    found, waiting = set[str](), list(names)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += edges.get(name, ())
    return found
