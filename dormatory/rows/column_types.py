"""Derives from the declared type of a column what it holds: the family of values, their limits and their parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from dormatory.schema.snapshot import Composite, Domain, Enum, Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.schema.snapshot import Column
    from dormatory.sql.dialect import Dialect

_DECLARED_TYPE = re.compile(r'((?:[^("\[]|"(?:[^"]|"")*")*)(?:\(([^)]*)\))?([^()\[]*)((?:\[\d*\])*)')
_POSTGRESQL_FAMILIES = {
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
_RANGE_SUBTYPES = {
    "int4range": "integer",
    "int8range": "bigint",
    "numrange": "numeric",
    "tsrange": "timestamp without time zone",
    "tstzrange": "timestamp with time zone",
    "daterange": "date",
}
_MULTIRANGE_SUBTYPES = {name.replace("range", "multirange"): name for name in _RANGE_SUBTYPES}
_INTEGER_BYTES = {"smallint": 2, "tinyint": 2, "bigint": 8, "oid": 8}
# The first pattern that matches decides; https://sqlite.org/datatype3.html, and the names SQLAlchemy writes.
_SQLITE_FAMILIES = (
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
_DOCUMENT_NAMES = re.compile(r"(?:.*_)?json", re.IGNORECASE)  # text that no application writes anything else into
_KEY_NAMES = re.compile(r"(?:.*_)?(?:uuid|guid)(?:_.*)?|id", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What is needed of a type to make values for it."""

    family: str  # one of those named above, or enum, array, range, multirange, composite, unknown
    name: str  # the type as declared, without modifiers
    length: int | None = None  # characters, bits, or the precision of a number
    scale: int | None = None
    byte_size: int = 4  # of an integer
    padded: bool = False  # trailing blanks do not count
    caseless: bool = False
    labels: tuple[str, ...] = ()  # of an enumeration
    parts: tuple[ColumnType, ...] = ()  # what an array, a range or a composite is made of
    checks: tuple[str, ...] = ()  # of a domain, on VALUE
    required: bool = False  # a domain that refuses NULL
    default: str | None = None  # of a domain


class ColumnTypes:
    """The types of a schema: built-in and user-defined ones."""

    def __init__(self, *definitions: Iterable[Any], dialect: Dialect) -> None:
        self._dialect = dialect
        self._user_defined: dict[str, Any] = {}
        self._parsed: dict[str, ColumnType] = {}
        for definition in chain(*definitions):
            for name in _spellings(definition.namespace, definition.name, dialect):
                self._user_defined.setdefault(name, definition)

    def of(self, column: Column, *, is_key: bool) -> ColumnType:
        """Return the type of a column."""
        if not self._dialect.has_static_types:
            column_type = _sqlite_type(column.type)
            if column_type.family == "text" and column_type.length in _UUID_LENGTHS:
                drawn = "randomblob" in (column.default or "")
                fixed = column_type.name.startswith(("CHAR", "NCHAR"))
                if drawn or fixed or (is_key and _KEY_NAMES.fullmatch(column.name)):
                    column_type = replace(column_type, family=_UUID_LENGTHS[column_type.length])
            column_type = replace(column_type, caseless=True) if column.collation == "NOCASE" else column_type
        else:
            column_type = self.postgresql_type(column.type)
        is_document = column_type.family == "text" and _DOCUMENT_NAMES.fullmatch(column.name)
        return replace(column_type, family="json") if is_document else column_type

    def postgresql_type(self, declared: str) -> ColumnType:
        """Return a type of PostgreSQL by its declaration."""
        if declared not in self._parsed:
            self._parsed[declared] = self._parse_postgresql_type(declared)
        return self._parsed[declared]

    def _parse_postgresql_type(self, declared: str) -> ColumnType:
        found = _DECLARED_TYPE.fullmatch(declared)
        if not found:
            return ColumnType("unknown", declared)
        if found[4]:
            return ColumnType("array", declared, parts=(self.postgresql_type(declared[: found.start(4)]),))
        name = f"{found[1].strip()} {found[3].strip()}".strip()
        numbers = [int(number) for number in re.findall(r"-?\d+", found[2] or "")]
        definition = self._user_defined.get(name)
        return (
            self._user_defined_type(name, definition) if definition is not None else self._built_in_type(name, numbers)
        )

    def _built_in_type(self, name: str, numbers: list[int]) -> ColumnType:
        if name in _RANGE_SUBTYPES:
            return ColumnType("range", name, parts=(self.postgresql_type(_RANGE_SUBTYPES[name]),))
        if name in _MULTIRANGE_SUBTYPES:
            return ColumnType("multirange", name, parts=(self.postgresql_type(_MULTIRANGE_SUBTYPES[name]),))
        bare = name.removeprefix("public.")
        family = _POSTGRESQL_FAMILIES.get(bare, "unknown")
        length = numbers[0] if numbers and family in {"text", "numeric", "bit", "varbit", "unknown"} else None
        if length is None and bare in {"character", '"char"', "bit"}:
            length = 1
        return ColumnType(
            family,
            bare,
            63 if bare == "name" else length,
            numbers[1] if len(numbers) > 1 else 0 if length else None,
            _INTEGER_BYTES.get(bare, 4),
            padded=bare in {"character", "bpchar"},
            caseless=bare == "citext",
        )

    def _user_defined_type(self, name: str, definition: Enum | Domain | Composite | Range) -> ColumnType:
        if isinstance(definition, Enum):
            return ColumnType("enum", name, labels=definition.values)
        if isinstance(definition, Domain):
            base = self.postgresql_type(definition.type)
            checks = base.checks + tuple(it.expression for it in definition.constraints if it.expression)
            required = base.required or not definition.nullable
            return replace(base, checks=checks, required=required, default=definition.default or base.default)
        if isinstance(definition, Composite):
            return ColumnType(
                "composite", name, parts=tuple(self.postgresql_type(column.type) for column in definition.columns)
            )
        subtype = re.match(r"subtype = ([^,]+)", definition.definition)
        return (
            ColumnType("range", name, parts=(self.postgresql_type(subtype[1]),))
            if subtype
            else ColumnType("unknown", name)
        )


@lru_cache(maxsize=4096)
def _sqlite_type(declared: str) -> ColumnType:
    found = _DECLARED_TYPE.fullmatch(declared)
    name = " ".join(f"{found[1]} {found[3]}".split()).upper() if found else declared.upper()
    numbers = [int(number) for number in re.findall(r"\d+", (found[2] if found else "") or "")]
    family = next((family for words, family in _SQLITE_FAMILIES if re.search(words, name)), "text")
    size = next((size for word, size in _INTEGER_BYTES.items() if name.startswith(word.upper())), 4)
    length = numbers[0] if numbers and family in {"text", "numeric"} else None
    scale = (numbers[1] if len(numbers) > 1 else 0) if length else None
    return ColumnType(family, name, length, scale, size)


def _spellings(namespace: str | None, name: str, dialect: Dialect) -> Iterator[str]:
    """Yield the names of a type: with its schema, and without if the schema is on the search path."""
    yield dialect.qualified_name(namespace or "public", name)
    if namespace in {None, "public"}:
        yield dialect.quote_identifier(name)
