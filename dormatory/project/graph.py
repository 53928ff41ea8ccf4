"""How the files of a history hang together, even where they do not: what is wrong is kept, not raised."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dormatory.project.revision_files import Script


class RevisionGraph:
    """Revisions by their ids, and what each builds on.

    `duplicates` are files that claim an id of another one, `missing` those that name a parent that nobody is.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts: dict[str, Script] = {}
        self.duplicates: list[tuple[Script, Script]] = []
        self.missing_parents: list[tuple[Script, str]] = []
        self._id_by_label: dict[str, str] = {}
        for script in scripts:
            if script.revision is None:
                continue
            first = self.scripts.setdefault(script.revision.id, script)
            if first is not script:
                self.duplicates.append((script, first))
            else:
                self._id_by_label.update(dict.fromkeys(script.revision.labels, script.revision.id))
        self.parents = {name: self._resolve(script, "parents") for name, script in self.scripts.items()}
        depends = {name: self._resolve(script, "depends_on") for name, script in self.scripts.items()}
        self._dependencies = {name: (*self.parents[name], *depends[name]) for name in self.scripts}

    @cached_property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Groups of revisions each of which comes before all others of its group, each from its least id on."""
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
        """Revisions that are right in themselves, but that no way leads to."""
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
        """Revisions that nothing builds on, as far as a way leads to them, in the order of the files."""
        parents = {parent for found in self.parents.values() for parent in found}
        excluded = {
            *self.unreachable,
            *(script.revision.id for script, _ in self.missing_parents if script.revision is not None),
        }
        return tuple(name for name in self.scripts if name not in parents and name not in excluded)

    @cached_property
    def has_labelled_heads(self) -> bool:
        """Whether each head is the tip of a branch with a label of its own: the branches are meant to stay."""
        ancestors = [_reachable([head], self.parents) for head in self.heads]
        labels = [{label for label, name in self._id_by_label.items() if name in behind} for behind in ancestors]
        return all(own.difference(*labels[:number], *labels[number + 1 :]) for number, own in enumerate(labels))

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Return the revisions that a database at these has passed, themselves included."""
        return _reachable(names, self._dependencies)

    @cached_property
    def _children(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for name, needed in self._dependencies.items():
            for parent in needed:
                found.setdefault(parent, []).append(name)
        return found

    @cached_property
    def _in_or_after_cycles(self) -> Sequence[str]:
        """Revisions that come after themselves, or after one that does."""
        left = {name: len(set(needed)) for name, needed in self._dependencies.items()}
        ready = [name for name, count in left.items() if not count]
        while ready:
            for child in set(self._children.get(name := ready.pop(), ())):
                left[child] -= 1
                ready += [child] if not left[child] else []
            del left[name]
        return sorted(left)

    def _cycle_through(self, start: str, among: set[str]) -> tuple[str, ...]:
        """Return the revisions on a way from a revision to itself, the later ones last; nothing if there is none."""
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
        """Return the whole ids of what a revision names, which may be the start of one, or a label."""
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


def _reachable(names: Iterable[str], needs: Mapping[str, Sequence[str]]) -> set[str]:
    found, waiting = set[str](), list(names)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return found
