"""How names were replaced in the project's Python files since the last commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.project.git import uncommitted_edits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MIN_REPLACEMENTS = 2  # lines: the definition, and a use of it


@dataclass(frozen=True, slots=True)
class NameReplacement:
    """What became of the lines that named one thing: how many name another in its place, how many do not.

    `is_apart` if the other name came into another place only.
    """

    replaced: int = 0
    others: int = 0
    is_apart: bool = False

    @property
    def is_likely(self) -> bool:
        """Whether each of the lines is the same as before but for the name."""
        return self.replaced > 0 and not self.others

    @property
    def is_certain(self) -> bool:
        """Whether, besides, the name was used in more than its definition: whoever adds another thing edits more."""
        return self.is_likely and self.replaced >= _MIN_REPLACEMENTS

    def __str__(self) -> str:
        lines = f"{self.replaced} line{'s' * (self.replaced > 1)}"
        return f"{lines} of the Python files changed only by this name since the last commit"


@dataclass(frozen=True, slots=True)
class SourceEdits:
    """The changed places of source files: the lines that were removed from one, and those that stand there now."""

    places: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()

    @classmethod
    def of_diff(cls, text: str) -> SourceEdits:
        """Return the edits of a diff without lines of context, as `git diff --unified=0` writes it."""
        return cls(tuple(_places(text.splitlines())))

    def replacement(self, old: str, new: str) -> NameReplacement:
        """Return what became of the lines that named `old`, as a word."""
        replaced = others = 0
        is_apart = is_near = False
        for removed, added in self.places:
            naming = [line for line in removed if _names(line, old)]
            replaced += (count := sum(_is_replaced(line, old, new, added) for line in naming))
            others += len(naming) - count
            if any(_names(line, new) for line in added):
                is_near, is_apart = is_near or bool(naming), is_apart or not naming
        return NameReplacement(replaced, others, bool(others and is_apart and not is_near))


def read_source_edits(directory: Path) -> SourceEdits:
    """Return what was edited in the repository of a directory; nothing if it is in none."""
    return SourceEdits.of_diff(uncommitted_edits(directory))


def _places(lines: Sequence[str]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    removed, added = list[str](), list[str]()
    is_header = True
    for line in [*lines, "@@"]:
        if line.startswith(("@@", "diff ")):
            if removed or added:
                yield tuple(removed), tuple(added)
            removed, added, is_header = [], [], not line.startswith("@@")
        elif not is_header and line.startswith("-"):
            removed.append(line[1:].strip())
        elif not is_header and line.startswith("+"):
            added.append(line[1:].strip())


def _names(line: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", line) is not None


def _is_replaced(line: str, old: str, new: str, added: Sequence[str]) -> bool:
    """Return whether exactly one line stands there now that is the same but for the name."""
    expected = re.sub(rf"\b{re.escape(old)}\b", lambda _: new, line)
    return added.count(expected) == 1
