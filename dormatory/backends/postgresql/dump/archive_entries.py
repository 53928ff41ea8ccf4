"""The objects in what pg_restore --verbose writes: the SQL of each, and which objects it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.sql.split import SpanKind, text_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

_IGNORED_KINDS = frozenset({"USER MAPPING"})  # which holds passwords

# What pg_restore --verbose writes before each object; the plain text of pg_dump lacks the second line.
_HEADER = re.compile(
    r"--\n"
    r"-- TOC entry (?P<number>\d+) \(class \d+ OID \d+\)\n"
    r"(?:-- Dependencies: (?P<needs>[\d ]+)\n)?"
    r"-- Name: (?P<name>.*); Type: (?P<kind>[A-Z ]+); Schema: (?P<namespace>.*); Owner: .*\n"
    r"(?:-- Data Pos: \d+\n)?"
    r"--(?=\n)"
)
# Only psql understands these two lines; they contain a random word (CVE-2025-8714).
_RESTRICT = re.compile(r"^\\(?:un)?restrict \w+\n", re.MULTILINE)
# PostgreSQL 18 stores a name for NOT NULL and shows it where a renamed table or a partition has another one than it
# would get now.  Servers before 18 have no such names, so a generated one is not part of the schema.
# The other alternatives skip literals and names.
_GENERATED_NAME = re.compile(
    r""" CONSTRAINT (?:\w+_not_null\d*|"(?:[^"]|"")*_not_null\d*")(?= NOT NULL\b)"""
    r"""|(?P<kept>'(?:[^']|'')*'|"(?:[^"]|"")*")"""
)


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One object of an archive; `dependencies` are the numbers of the entries that must be loaded before it."""

    number: int
    dependencies: frozenset[int]
    kind: str  # in pg_dump's words: TABLE, FK CONSTRAINT, COMMENT ...
    namespace: str  # "-" for an object without one
    name: str  # for a part of a table: the table's name, a space, its own name
    sql: str


def parse_archive(script: str) -> Iterator[ArchiveEntry]:
    """Yield the entries in the output of pg_restore --verbose.

    A header counts only outside quotes: function bodies, literals and comments may contain what looks like one.
    """
    header, parts = None, list[str]()
    skipped_to = 0
    for span in text_spans(script, DIALECT):
        if span.start < skipped_to:
            continue
        if span.kind is SpanKind.COMMENT:
            if found := _HEADER.match(script, span.start):
                if header:
                    yield _entry(header, parts)
                header, parts = found, []
                skipped_to = found.end()
        else:
            parts.append(_without_blank_lines(span.text) if span.kind is SpanKind.PLAIN else span.text)
    if header:
        yield _entry(header, parts)


def _entry(header: re.Match[str], parts: list[str]) -> ArchiveEntry:
    sql, kind = "".join(parts).strip(), header["kind"]
    if kind in {"TABLE", "FOREIGN TABLE"}:
        sql = _GENERATED_NAME.sub(lambda found: found["kept"] or "", sql)
    return ArchiveEntry(
        number=int(header["number"]),
        dependencies=frozenset(int(number) for number in (header["needs"] or "").split()),
        kind=kind,
        namespace=header["namespace"],
        name=header["name"],
        sql=sql,
    )


def _without_blank_lines(plain: str) -> str:
    """Return text from outside quotes without blank lines and without the two lines for psql."""
    return re.sub(r"[ \t]*\n(?:[ \t]*\n)+", "\n", _RESTRICT.sub("", plain))


def is_machine_specific(entry: ArchiveEntry) -> bool:
    """Return whether an entry comes from the machine, not from a migration."""
    if entry.kind == "COMMENT" and entry.name == "SCHEMA public":
        return entry.sql.endswith(" IS '';")  # a recreated schema public has no comment
    # The comment of an extension comes with its package; an entry without SQL is the schema public of an old cluster.
    is_extension_comment = entry.kind == "COMMENT" and entry.name.startswith("EXTENSION ")
    return not entry.sql or is_extension_comment or entry.kind in _IGNORED_KINDS
