"""What revisions make, drop or type for one backend on purpose, under a condition on the dialect."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.source.resolver import argument
from dormatory.checks.source.revision import executed_sql
from dormatory.checks.source.sql_text import IF_EXISTS, NAME, name_in, sql_without_literals
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dormatory.checks.source.call_sites import CallSite
    from dormatory.checks.source.revision import RevisionSource

_NAMED_IN_SQL = re.compile(
    rf"""\b(?P<verb>CREATE|DROP)\s+(?:OR\s+REPLACE\s+)?(?:(?:UNIQUE|MATERIALIZED|CONSTRAINT|TEMP|TEMPORARY)\s+)*
    (?:INDEX|TRIGGER|VIEW|TABLE)\s+(?:CONCURRENTLY\s+)?{IF_EXISTS}{NAME}""",
    re.IGNORECASE | re.VERBOSE,
)
_CONSTRAINT_IN_SQL = re.compile(rf"\b(?P<verb>ADD|DROP)\s+CONSTRAINT\s+{IF_EXISTS}{NAME}", re.IGNORECASE)
_COLUMN_IN_SQL = re.compile(rf"\b(?P<verb>ADD|DROP)\s+COLUMN\s+{IF_EXISTS}{NAME}", re.IGNORECASE)
_TABLE_IN_SQL = re.compile(rf"\bALTER\s+TABLE\s+{IF_EXISTS}(?:ONLY\s+)?{NAME}", re.IGNORECASE)
_COLUMN_TYPES = frozenset({"create_table", "add_column", "alter_column"})
_ASPECTS_OF_TYPES = frozenset({"type", "values", "collation"})


@dataclass(frozen=True, slots=True)
class Place:
    """A call of a revision, and the backends on which it runs."""

    backends: frozenset[str]
    revision: str
    location: Location
    words: frozenset[str] = frozenset()  # of the code, in small letters


@dataclass(frozen=True, slots=True)
class OneSidedObjects:
    """The calls that make and drop each named object, and columns with a type of their own for one backend.

    Names are in small letters, those of columns `table.column`.
    """

    made: Mapping[str, Sequence[Place]]
    dropped: Mapping[str, Sequence[Place]]
    typed: Mapping[str, Place]

    @classmethod
    def of(cls, sources: Iterable[RevisionSource]) -> OneSidedObjects:
        """Return what the upgrades of revisions make and drop."""
        made, dropped = defaultdict[str, list[Place]](list), defaultdict[str, list[Place]](list)
        typed: dict[str, Place] = {}
        for source in sources:
            for site in source.call_sites:
                backends = site.dialects & frozenset(BACKEND_NAMES)
                if site.direction == "upgrade" and backends:
                    path = str(source.revision.path)
                    code = ast.unparse(site.call) + (executed_sql(site, source.resolver) or "")
                    place = Place(backends, source.revision.id, Location(path, site.call.lineno), _words(code))
                    for is_made, name in _named_objects(site, source):
                        (made if is_made else dropped)[name.lower()].append(place)
                    typed |= dict.fromkeys((name.lower() for name in _columns_with_variants(site, source)), place)
        return cls(made, dropped, typed)

    def intention(self, name: str, aspect: str, sides: Mapping[str, str | None]) -> Place | None:
        """Return the call that makes an object differ on purpose; `sides` has its text on each backend, None for none.

        That is one that makes it only there, or drops it only elsewhere; where every backend has it, each has calls
        of its own that make it, and what differs is not in all of them. A type differs on purpose if the column names
        one for a backend.
        """
        if aspect:
            return self.typed.get(name) if aspect in _ASPECTS_OF_TYPES else None
        made, dropped = self.made.get(name, ()), self.dropped.get(name, ())
        everywhere = frozenset(sides)
        present = frozenset(backend for backend, text in sides.items() if text is not None)
        if present == everywhere:
            return made[0] if made and _is_made_apart(made, sides) else None
        if made and all(place.backends == present for place in made):
            return made[0]
        is_dropped = all(place.backends == everywhere - present for place in dropped)
        return dropped[0] if dropped and is_dropped else None


def _is_made_apart(made: Sequence[Place], sides: Mapping[str, str | None]) -> bool:
    """Return whether each backend has calls of its own for an object, and no word that differs is in all of them."""
    if any(len(place.backends) > 1 for place in made) or {it for place in made for it in place.backends} != set(sides):
        return False
    texts = [_words(text or "") for text in sides.values()]
    differing = frozenset[str]().union(*texts) - frozenset.intersection(*texts)
    return not differing & frozenset.intersection(*(place.words for place in made))


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _named_objects(site: CallSite, source: RevisionSource) -> Iterator[tuple[bool, str]]:
    """Yield the name of each object that a call makes (True) or drops."""
    if sql := executed_sql(site, source.resolver):
        yield from _named_in_sql(sql_without_literals(sql))
    elif site.name.startswith(("alembic.op.", "batch.")):
        verb, _, noun = site.short_name.partition("_")
        if noun == "column" and verb in {"add", "drop"} and (column := _column_name(site, source)):
            yield verb == "add", column
        elif noun and verb in {"create", "drop"}:
            name = _text(site, source, 0, "index_name", "constraint_name", "table_name")
            if name:
                yield verb == "create", name


def _named_in_sql(sql: str) -> Iterator[tuple[bool, str]]:
    for pattern in (_NAMED_IN_SQL, _CONSTRAINT_IN_SQL):
        yield from ((found["verb"].upper() != "DROP", name_in(found)) for found in pattern.finditer(sql))
    if altered := _TABLE_IN_SQL.search(sql):
        columns = _COLUMN_IN_SQL.finditer(sql)
        yield from ((it["verb"].upper() != "DROP", f"{name_in(altered)}.{name_in(it)}") for it in columns)


def _column_name(site: CallSite, source: RevisionSource) -> str:
    """Return the column that a call adds, drops or alters, with its table; "" where either is not known."""
    is_batch = site.table is not None
    table = site.table if is_batch else _text(site, source, 0, "table_name")
    column = source.resolver.value(argument(site.call, 0 if is_batch else 1, "column", "column_name"))
    if isinstance(column, ast.Call):
        column = argument(column, 0, "name")
    name = source.resolver.text(column, site.parameter_texts)
    return f"{table}.{name}" if table and name else ""


def _columns_with_variants(site: CallSite, source: RevisionSource) -> Iterator[str]:
    """Yield the columns of a call whose type has a variant for one backend."""
    if site.short_name not in _COLUMN_TYPES or not site.name.startswith(("alembic.op.", "batch.")):
        return
    if site.short_name == "create_table":
        table = _text(site, source, 0, "table_name")
        for node in site.call.args[1:]:
            column = source.resolver.value(node)
            if isinstance(column, ast.Call) and _has_variant(column, source):
                yield f"{table}.{source.resolver.text(argument(column, 0, 'name'), site.parameter_texts)}"
    elif _has_variant(site.call, source) and (name := _column_name(site, source)):
        yield name


def _has_variant(node: ast.AST, source: RevisionSource, depth: int = 3) -> bool:
    """Return whether an expression has a type with a variant for one backend, written here or by name."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and source.resolver.called_name(inner.func) == "with_variant":
            names = {source.resolver.text(it) for it in inner.args[1:]}
            if names & {*BACKEND_NAMES}:
                return True
        if isinstance(inner, ast.Name) and depth:
            value = source.resolver.value(inner)
            if value is not None and value is not inner and _has_variant(value, source, depth - 1):
                return True
    return False


def _text(site: CallSite, source: RevisionSource, position: int, *names: str) -> str:
    return source.resolver.text(argument(site.call, position, *names), site.parameter_texts) or ""
