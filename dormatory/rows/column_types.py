"""What a column holds, told from its declared type: the family of values, their limits, and what they are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from dormatory.schema.snapshot import Composite, Domain, Enum, Range
from dormatory.sql.lexer import Syntax, identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.schema.snapshot import Column

_DECLARED = re.compile(r'((?:[^("\[]|"(?:[^"]|"")*")*)(?:\(([^)]*)\))?([^()\[]*)((?:\[\d*\])*)')
_POSTGRESQL = {
    "integer": "integer",
    "bigint": "integer",
    "smallint": "integer",
    "oid": "integer",
    "numeric": "numeric",
    "money": "money",
    "real": "float",
    "double precision": "float",
    "boolean": "boolean",
    "character varying": "text",
    "character": "text",
    '"char"': "text",
    "bpchar": "text",
    "text": "text",
    "name": "text",
    "citext": "text",
    "bytea": "binary",
    "json": "json",
    "jsonb": "json",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "date": "date",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "interval": "interval",
    "uuid": "uuid",
    "bit": "bit",
    "bit varying": "varbit",
}
_RANGES = {
    "int4range": "integer",
    "int8range": "bigint",
    "numrange": "numeric",
    "tsrange": "timestamp without time zone",
    "tstzrange": "timestamp with time zone",
    "daterange": "date",
}
_MULTIRANGES = {name.replace("range", "multirange"): name for name in _RANGES}
_BYTES = {"smallint": 2, "tinyint": 2, "bigint": 8, "oid": 8}
# The first word that fits decides; https://sqlite.org/datatype3.html, and the names SQLAlchemy writes.
_SQLITE = (
    (r"INTERVAL", "timestamp"),
    (r"INT|SERIAL|YEAR", "integer"),
    (r"BOOL", "boolean"),
    (r"UUID|GUID|UNIQUEIDENTIFIER", "hex"),
    (r"JSON", "json"),
    (r"DATETIME|TIMESTAMP", "timestamp"),
    (r"DATE", "date"),
    (r"TIME", "time"),
    (r"CHAR|CLOB|TEXT|STRING|ENUM", "text"),
    (r"BLOB|BINARY|BYTEA", "binary"),
    (r"REAL|FLOA|DOUB", "float"),
    (r"DEC|NUMERIC|NUMBER|MONEY", "numeric"),
)
_UUID_LENGTHS = {32: "hex", 36: "uuid"}
_KEY_NAMES = re.compile(r"(?:.*_)?(?:uuid|guid)(?:_.*)?|id", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type as far as values for it are concerned."""

    family: str  # one of those named above, or enum, array, range, multirange, composite, unknown
    name: str  # the type as declared, without modifiers
    length: int | None = None  # characters, bits, or the precision of a number
    scale: int | None = None
    bytes: int = 4  # of an integer
    padded: bool = False  # trailing blanks do not count
    caseless: bool = False
    labels: tuple[str, ...] = ()  # of an enumeration
    parts: tuple[Kind, ...] = ()  # what an array, a range or a composite is made of
    checks: tuple[str, ...] = ()  # of a domain, on VALUE
    required: bool = False  # a domain that refuses NULL
    default: str | None = None  # of a domain


class Kinds:
    """Every type that a schema knows: the database's own and those made in it."""

    def __init__(self, *made: Iterable[Any], syntax: Syntax) -> None:
        self._syntax = syntax
        self._own: dict[str, Any] = {}
        self._read: dict[str, Kind] = {}
        for own in chain(*made):
            for name in _spellings(own.namespace, own.name):
                self._own.setdefault(name, own)

    def of(self, column: Column, *, is_key: bool) -> Kind:
        """Return the kind of a column."""
        if self._syntax is Syntax.SQLITE:
            kind = _sqlite_kind(column.type)
            if kind.family == "text" and kind.length in _UUID_LENGTHS:
                drawn = "randomblob" in (column.default or "")
                fixed = kind.name.startswith(("CHAR", "NCHAR"))
                if drawn or fixed or (is_key and _KEY_NAMES.fullmatch(column.name)):
                    kind = replace(kind, family=_UUID_LENGTHS[kind.length])
            return replace(kind, caseless=True) if column.collation == "NOCASE" else kind
        return self.named(column.type)

    def named(self, declared: str) -> Kind:
        """Return the kind of a type of PostgreSQL."""
        if declared not in self._read:
            self._read[declared] = self._named(declared)
        return self._read[declared]

    def _named(self, declared: str) -> Kind:
        found = _DECLARED.fullmatch(declared)
        if not found:
            return Kind("unknown", declared)
        if found[4]:
            return Kind("array", declared, parts=(self.named(declared[: found.start(4)]),))
        name = f"{found[1].strip()} {found[3].strip()}".strip()
        numbers = [int(number) for number in re.findall(r"-?\d+", found[2] or "")]
        own = self._own.get(name)
        return self._own_kind(name, own) if own is not None else self._built_in(name, numbers)

    def _built_in(self, name: str, numbers: list[int]) -> Kind:
        if name in _RANGES:
            return Kind("range", name, parts=(self.named(_RANGES[name]),))
        if name in _MULTIRANGES:
            return Kind("multirange", name, parts=(self.named(_MULTIRANGES[name]),))
        bare = name.removeprefix("public.")
        family = _POSTGRESQL.get(bare, "unknown")
        length = numbers[0] if numbers and family in {"text", "numeric", "bit", "varbit", "unknown"} else None
        if length is None and bare in {"character", '"char"', "bit"}:
            length = 1
        return Kind(
            family,
            bare,
            63 if bare == "name" else length,
            numbers[1] if len(numbers) > 1 else 0 if length else None,
            _BYTES.get(bare, 4),
            padded=bare in {"character", "bpchar"},
            caseless=bare == "citext",
        )

    def _own_kind(self, name: str, own: Enum | Domain | Composite | Range) -> Kind:
        if isinstance(own, Enum):
            return Kind("enum", name, labels=own.values)
        if isinstance(own, Domain):
            base = self.named(own.type)
            checks = base.checks + tuple(it.expression for it in own.constraints if it.expression)
            required = base.required or not own.nullable
            return replace(base, checks=checks, required=required, default=own.default or base.default)
        if isinstance(own, Composite):
            return Kind("composite", name, parts=tuple(self.named(column.type) for column in own.columns))
        subtype = re.match(r"subtype = ([^,]+)", own.definition)
        return Kind("range", name, parts=(self.named(subtype[1]),)) if subtype else Kind("unknown", name)


@lru_cache(maxsize=4096)
def _sqlite_kind(declared: str) -> Kind:
    found = _DECLARED.fullmatch(declared)
    name = " ".join(f"{found[1]} {found[3]}".split()).upper() if found else declared.upper()
    numbers = [int(number) for number in re.findall(r"\d+", (found[2] if found else "") or "")]
    family = next((family for words, family in _SQLITE if re.search(words, name)), "text")
    size = next((size for word, size in _BYTES.items() if name.startswith(word.upper())), 4)
    length = numbers[0] if numbers and family in {"text", "numeric"} else None
    scale = (numbers[1] if len(numbers) > 1 else 0) if length else None
    return Kind(family, name, length, scale, size)


def _spellings(namespace: str | None, name: str) -> Iterator[str]:
    """Yield how a type may be written: its schema is left out where it is searched."""
    quoted = identifier(name, Syntax.POSTGRESQL)
    yield f"{identifier(namespace or 'public', Syntax.POSTGRESQL)}.{quoted}"
    if namespace in {None, "public"}:
        yield quoted
