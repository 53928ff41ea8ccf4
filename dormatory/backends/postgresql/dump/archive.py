"""What pg_dump and pg_restore know of a PostgreSQL database: each object's SQL and what it needs before it."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends import programs
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.errors import ProgramFailedError
from dormatory.sql.split import SpanKind, text_spans
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.url import Target

_TAIL_LINES = 8
_TIMEOUT_SECONDS = 600.0  # reading the catalogs of many thousand objects takes its time
# Nothing of the machine: who owns what, who may read it and on which disk it lies differ between a laptop and a
# server.  A subscription and a user mapping hold passwords.
_DUMP_OPTIONS = ("--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-table-access-method",
            "--no-subscriptions", "--no-security-labels")  # fmt: skip
_IGNORED_KINDS = frozenset({"USER MAPPING"})

# What pg_restore --verbose writes above each object; pg_dump itself leaves the second line out of its plain text.
_HEADER = re.compile(
    r"--\n"
    r"-- TOC entry (?P<number>\d+) \(class \d+ OID \d+\)\n"
    r"(?:-- Dependencies: (?P<needs>[\d ]+)\n)?"
    r"-- Name: (?P<name>.*); Type: (?P<kind>[A-Z ]+); Schema: (?P<namespace>.*); Owner: .*\n"
    r"(?:-- Data Pos: \d+\n)?"
    r"--(?=\n)"
)
# Only psql understands these two lines; they carry a random word (CVE-2025-8714).
_RESTRICT = re.compile(r"^\\(?:un)?restrict \w+\n", re.MULTILINE)
# PostgreSQL 18 keeps a name for NOT NULL and shows it where a renamed table or a partition has one that it would not
# choose today.  Servers before 18 know no such name, so one that the server made up is no part of the schema.
# The other alternatives step over literals and names.
_GENERATED_NAME = re.compile(
    r""" CONSTRAINT (?:\w+_not_null\d*|"(?:[^"]|"")*_not_null\d*")(?= NOT NULL\b)"""
    r"""|(?P<kept>'(?:[^']|'')*'|"(?:[^"]|"")*")"""
)


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One object of an archive; `needs` are the numbers of the entries that must be loaded before it."""

    number: int
    dependencies: frozenset[int]
    kind: str  # as pg_dump says it: TABLE, FK CONSTRAINT, COMMENT ...
    namespace: str  # "-" for what lies in none
    name: str  # for a part of a table: the table's name, a space, its own name
    sql: str


def read_archive(target: Target, server_major: int) -> tuple[ArchiveEntry, ...]:
    """Return everything in the database, in the order in which pg_dump would load it.

    Raises ProgramMissingError, ProgramTooOldError or ProgramFailedError; nothing is ever taken for an empty database.
    """
    pg_dump = programs.find_client("pg_dump", server_major=server_major)
    pg_restore = programs.find_client("pg_restore", server_major=server_major)
    with tempfile.TemporaryDirectory(prefix="dormatory-") as directory:
        archive, script = Path(directory) / "archive", Path(directory) / "script"
        # The custom format is the only one that keeps the dependencies.
        _run_program(target, pg_dump, "--no-password", "--format=custom", "--compress=0", f"--file={archive}")
        _run_program(target, pg_restore, "--verbose", f"--file={script}", str(archive))
        text = script.read_bytes().decode()  # a pipe would turn the line ends in a function body into ours
    return tuple(entry for entry in parse_archive(text) if not _is_machine_specific(entry))


def _run_program(target: Target, program: Path, *options: str) -> None:
    """Run one of the two programs on the database."""
    # Bounds and defaults of type timestamptz are shown in the session's time zone.
    environment = target.environment() | {"PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"}
    fix = f"see that the user may read every object of {target}"
    result = run_program(
        [str(program), *_DUMP_OPTIONS, *options], env=environment, timeout=_TIMEOUT_SECONDS, check=False
    )
    if result.code:
        lines = target.mask(result.stderr or result.stdout).strip().splitlines()
        raise ProgramFailedError(program.name, code=result.code, tail="\n".join(lines[-_TAIL_LINES:]), fix=fix)


def parse_archive(script: str) -> Iterator[ArchiveEntry]:
    """Yield the entries of what pg_restore --verbose wrote.

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
    """Return text from outside quotes without blank lines and without psql's own two lines."""
    return re.sub(r"[ \t]*\n(?:[ \t]*\n)+", "\n", _RESTRICT.sub("", plain))


def _is_machine_specific(entry: ArchiveEntry) -> bool:
    """Tell whether an entry comes from the machine, not from a migration."""
    if entry.kind == "COMMENT" and entry.name == "SCHEMA public":
        return entry.sql.endswith(" IS '';")  # what a dropped and created schema public lacks
    # The comment of an extension is its packager's; an entry without SQL is the schema public of an old cluster.
    is_extension_comment = entry.kind == "COMMENT" and entry.name.startswith("EXTENSION ")
    return not entry.sql or is_extension_comment or entry.kind in _IGNORED_KINDS
