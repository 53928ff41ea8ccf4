"""Sort the objects of a PostgreSQL archive in an order that reviewers can read and a database can load.

There is one block per object, sorted by kind and name.  A table's block holds everything that belongs to the table:
sequences, constraints with foreign keys, indexes, triggers, policies and comments.  PostgreSQL accepts a foreign key
only if the other table exists, so a table that others need comes right before the first of them; everything else is
sorted by name.  Where tables need each other in a circle, the statement that closes it follows as soon as possible, in
a block with "continued" in its title.

We do not put all foreign keys into a section of their own: the tables would stay sorted by name, but every reference
would be far from its column, and each new table would appear in two places.  We do not sort all tables after what they
need either: a table would move to the end of the file when it gets a foreign key to a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from dormatory.backends.postgresql.dump.archive_entries import ArchiveEntry

_RELATION_KINDS = frozenset({"TABLE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW"})
# Kinds of objects in the order of their sections; kinds not named are operators, casts, servers and the like.
_SECTIONS = (
    ("SCHEMA",), ("EXTENSION",), ("COLLATION",), ("SHELL TYPE", "TYPE", "DOMAIN"),
    ("FUNCTION", "PROCEDURE", "AGGREGATE"), ("*",), ("SEQUENCE",), ("TABLE", "FOREIGN TABLE"),
    ("VIEW", "MATERIALIZED VIEW"), ("* that needs a table",), ("PUBLICATION", "EVENT TRIGGER"),
)  # fmt: skip
_SECTION_NUMBERS = {kind: section for section, kinds in enumerate(_SECTIONS) for kind in kinds}
# What belongs to another object, in its order within that object's block.
_PART_KINDS = (
    "SEQUENCE", "SEQUENCE OWNED BY", "DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "INDEX",
    "TABLE ATTACH", "INDEX ATTACH", "STATISTICS", "RULE", "TRIGGER", "ROW SECURITY", "POLICY",
    "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "COMMENT",
)  # fmt: skip
_PART_ORDER = {kind: place for place, kind in enumerate(_PART_KINDS)}
# A statement of these kinds waits for what it needs; it does not move another object forward.
_WAITING_KINDS = frozenset(
    {"RULE", "TRIGGER", "POLICY", "COMMENT", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"}
)


@dataclass(frozen=True, slots=True)
class DumpBlock:
    """Statements under one title."""

    title: str
    statements: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _DumpObject:
    """An object with its parts, from which a block is made."""

    head: ArchiveEntry
    parts: list[ArchiveEntry] = field(default_factory=list)
    dependencies: set[_DumpObject] = field(default_factory=set)  # what must come before it
    section: int = 0

    @property
    def sort_key(self) -> tuple[int, str, str, str]:
        """Its place unless another object moves it forward."""
        return self.section, self.head.namespace, self.head.name, self.head.kind

    @property
    def title(self) -> str:
        """The title of its block."""
        namespace = "" if self.head.namespace in {"-", "public"} else f"{self.head.namespace}."
        return f"{self.head.kind.lower()} {namespace}{self.head.name}"


def arrange(entries: Sequence[ArchiveEntry], *, last: Sequence[ArchiveEntry] = ()) -> tuple[DumpBlock, ...]:
    """Return the blocks of a dump; the tables of `last` come last."""
    owners = _owners(entries)
    objects = list(dict.fromkeys(owners.values()))
    for entry in entries:
        if entry.kind not in _WAITING_KINDS:
            owner = owners[entry.number]
            owner.dependencies |= {owners[number] for number in entry.dependencies & owners.keys()} - {owner}
    for item in objects:
        item.section = len(_SECTIONS) if item.head in last else _section(item)
    writer = _BlockWriter(owners.keys())
    for item in _objects_in_order(objects):
        writer.write(item)
    return writer.blocks()


def _owners(entries: Iterable[ArchiveEntry]) -> dict[int, _DumpObject]:
    """Return the object that each entry, by its number, is or belongs to."""
    by_number: dict[int, ArchiveEntry] = {}
    owners: dict[int, _DumpObject] = {}
    for entry in entries:  # in pg_dump's order, in which a part comes after what it is a part of
        needed = [by_number[number] for number in sorted(entry.dependencies & by_number.keys())]
        owner = _owner_entry(entry, needed)
        if owner is None:
            owners[entry.number] = _DumpObject(entry)
        else:
            owners[entry.number] = owners[owner.number]
            owners[entry.number].parts.append(entry)
        by_number[entry.number] = entry
    return owners


def _owner_entry(entry: ArchiveEntry, needed: list[ArchiveEntry]) -> ArchiveEntry | None:
    """Return the entry, among those it needs, that an entry is a part of; None for an object of its own."""
    if entry.kind not in _PART_ORDER:
        return None
    if entry.kind.startswith("PUBLICATION"):
        needed = [other for other in needed if other.kind == "PUBLICATION"]
    relations = [other for other in needed if other.kind in _RELATION_KINDS]
    if entry.kind in {"SEQUENCE", "INDEX", "STATISTICS"}:  # their names do not contain the table's
        needed = relations
    named = [other for other in needed if other.namespace == entry.namespace and _is_part_name(entry.name, other.name)]
    candidates = named or relations or needed
    return max(candidates, key=lambda other: (len(other.name), other.name, other.namespace), default=None)


def _is_part_name(part: str, whole: str) -> bool:
    """Return whether the name of a part, `object pk_object` or `pk_object`, refers to the entry `whole`."""
    return part == whole or part.startswith(f"{whole} ") or whole.endswith(f" {part}")


def _section(item: _DumpObject) -> int:
    """Return the section of an object; a function that needs a table does not move that table forward."""
    section = _SECTION_NUMBERS.get(item.head.kind, _SECTION_NUMBERS["*"])
    if section >= _SECTION_NUMBERS["TABLE"]:
        return section
    seen, pending = {item}, [item]
    while pending:
        for needed in pending.pop().dependencies - seen:
            if needed.head.kind in _RELATION_KINDS:
                return _SECTION_NUMBERS["* that needs a table"]
            seen.add(needed)
            pending.append(needed)
    return section


def _objects_in_order(objects: Iterable[_DumpObject]) -> Iterator[_DumpObject]:
    """Yield objects by section and name, each after what it needs, except in a circle."""
    seen: set[_DumpObject] = set()
    for first in sorted(objects, key=lambda item: item.sort_key):
        if first in seen:
            continue
        seen.add(first)
        path = [(first, iter(sorted(first.dependencies, key=lambda item: item.sort_key)))]
        while path:  # a loop, not a recursion: a chain of references may be longer than Python's stack
            item, needed = path[-1]
            following = next((other for other in needed if other not in seen), None)
            if following is None:
                path.pop()
                yield item
            else:
                seen.add(following)
                path.append((following, iter(sorted(following.dependencies, key=lambda item: item.sort_key))))


class _BlockWriter:
    """Writes blocks; a statement waits until everything that it needs is written."""

    def __init__(self, numbers: Collection[int]) -> None:
        self._known = frozenset(numbers)
        self._written: set[int] = set()
        self._waiting: dict[_DumpObject, list[ArchiveEntry]] = {}
        self._blocks: list[DumpBlock] = []

    def write(self, item: _DumpObject) -> None:
        """Write an object's block, and then what waited for it."""
        self._finish_view(item)
        # Comments stay in the order of their columns.
        parts = sorted(item.parts, key=lambda part: (_PART_ORDER[part.kind], part.kind != "COMMENT" and part.name))
        self._write(item, item.title, [item.head, *parts])
        progress = True
        while progress:
            progress = False
            for other in sorted(self._waiting, key=lambda item: item.sort_key):
                progress |= self._write(other, f"{other.title}, continued", self._waiting.pop(other))

    def blocks(self) -> tuple[DumpBlock, ...]:
        """Return the blocks; in a real archive no statement waits at the end."""
        if self._waiting:
            message = f"circular: {', '.join(item.title for item in self._waiting)}"
            raise AssertionError(message)
        return tuple(self._blocks)

    def _write(self, item: _DumpObject, title: str, entries: list[ArchiveEntry]) -> bool:
        statements: list[str] = []
        while ready := next((entry for entry in entries if self._is_ready(entry)), None):
            entries.remove(ready)
            statements.append(ready.sql)
            self._written.add(ready.number)
        if entries:
            self._waiting[item] = entries
        if statements:
            self._blocks.append(DumpBlock(title, tuple(statements)))
        return bool(statements)

    def _is_ready(self, entry: ArchiveEntry) -> bool:
        return entry.dependencies & self._known <= self._written

    def _finish_view(self, item: _DumpObject) -> None:
        """Write a view at once where pg_dump gives an empty one first, because it writes keys after views."""
        for part in item.parts:
            if part.kind == "RULE" and part.name == f"{item.head.name} _RETURN":
                whole = replace(part, number=item.head.number, dependencies=part.dependencies - {item.head.number})
                if self._is_ready(whole):
                    sql = part.sql.replace("CREATE OR REPLACE VIEW", "CREATE VIEW", 1)
                    item.head = replace(whole, kind=item.head.kind, name=item.head.name, sql=sql)
                    item.parts.remove(part)
                    self._written.add(part.number)
                return
