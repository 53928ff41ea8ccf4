"""What a revision's code knows of the values of columns, and the labels that earlier revisions have given them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.checks.source.resolver import NameResolver
from dormatory.project.script import Script
from dormatory.replay.hints.code import code_hints
from dormatory.replay.hints.enum_labels import JSON_TEXTS, enum_labels
from dormatory.sql.value_hints import ColumnHint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dormatory.replay.hints.enum_labels import EnumLabels
    from dormatory.sql.dialect import Dialect

# A file without any of these words knows no values; most change structures only, and need not be read.
_WORDS_OF_DATA = (b"execute", b"exec_driver_sql", b"text(", b"values", b"select", b"SELECT", b"UPDATE", b"using")
_WORDS_OF_LABELS = (b"Enum", b"ENUM", b"JSON", b"Json")


class RevisionHints:
    """The hints for the revisions of a history; `order` is that of their upgrades, `file_of` finds their files."""

    def __init__(self, order: Sequence[str], file_of: Callable[[str], str], dialect: Dialect) -> None:
        self._order, self._file_of, self._dialect = tuple(order), file_of, dialect
        self._labels: list[EnumLabels] = [{}]  # before each revision, as far as they were asked for

    def before_upgrade(self, revision: str) -> tuple[ColumnHint, ...]:
        """Return what to fill the tables with that the upgrade of a revision is going to meet."""
        return self._hints(revision, "upgrade", "downgrade")

    def before_downgrade(self, revision: str) -> tuple[ColumnHint, ...]:
        """Return what to add to the tables before the downgrade of a revision."""
        return self._hints(revision, "downgrade", "upgrade")

    def _hints(self, revision: str, next_function: str, other_function: str) -> tuple[ColumnHint, ...]:
        """Return the hints for a leg; the last one for a column decides what it can only hold."""
        place = self._order.index(revision) if revision in self._order else 0
        labels = self._labels_after(place + (next_function == "downgrade"))
        resolver = _resolver(self._file_of(revision), _WORDS_OF_DATA + _WORDS_OF_LABELS)
        if resolver is None:
            return tuple(_label_hints(labels))
        own, other = (code_hints(resolver, name, self._dialect) for name in (next_function, other_function))
        # Rows live through both legs. A column that the upgrade writes may hold one thing before it, another after.
        upgrade = own if next_function == "upgrade" else other
        kept = (it for it in other.hints if not it.is_exclusive or it.column not in upgrade.written_columns)
        described = enum_labels(resolver, next_function, described_only=True)
        typed = tuple(_label_hints(labels | described))
        documents = tuple(it for it in typed if it.values == JSON_TEXTS)  # the code may know more of these
        return (*documents, *kept, *own.hints, *(it for it in typed if it not in documents))

    def _labels_after(self, count: int) -> EnumLabels:
        """Return the labels that columns have after so many revisions."""
        while len(self._labels) <= count:
            resolver = _resolver(self._file_of(self._order[len(self._labels) - 1]), _WORDS_OF_LABELS)
            created = enum_labels(resolver, "upgrade") if resolver else {}
            self._labels.append(self._labels[-1] | created)
        return self._labels[count]


def _label_hints(labels: EnumLabels) -> Iterable[ColumnHint]:
    return (
        ColumnHint(column, frozenset({table}), values, is_exclusive=True)
        for (table, column), values in labels.items()
        if values and table
    )


@lru_cache(maxsize=4)
def _resolver(file: str, words: tuple[bytes, ...]) -> NameResolver | None:
    """Return the names of a revision's file, None if it has none of the words or cannot be read."""
    path = Path(file)
    source = path.read_bytes() if path.is_file() else b""
    tree = Script.parse(path, source).tree if any(word in source for word in words) else None
    return NameResolver(tree) if tree is not None else None
