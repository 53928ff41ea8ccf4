"""Values of columns that the Python code of a revision knows, read from its syntax tree; nothing is run."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.replay.hints import parsers
from dormatory.replay.hints.bindings import CodeBindings
from dormatory.replay.hints.columns import CodeColumns
from dormatory.replay.hints.document_paths import DocumentPaths
from dormatory.replay.hints.json_samples import json_samples
from dormatory.replay.hints.literals import CodeLiterals
from dormatory.sql.literals import quote_literal
from dormatory.sql.value_hints import ColumnHint, ComparedValue, JSONRead, read_value_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dormatory.checks.source.resolver import NameResolver
    from dormatory.sql.dialect import Dialect
    from dormatory.sql.value_hints import HintValue, JSONPath

_WRITTEN_BY_SQL = re.compile(r"(?i:\bSET|,)\s+\W?(\w+)\W?\s*=")
_WORDS = re.compile(r"\w+")
_PARTS_OF_TEXT = frozenset({"split", "rsplit", "partition", "rpartition", "contains", "replace", "find", "index"})
_BEGINNINGS, _ENDS = frozenset({"startswith", "removeprefix"}), frozenset({"endswith", "removesuffix"})
_LISTS = frozenset({"in_", "notin_", "not_in", "is_"})
_REGEX_FUNCTIONS = frozenset({"re.match", "re.search", "re.fullmatch", "re.sub", "re.split", "re.findall"})
_LIKE = frozenset({"like", "ilike", "notlike", "not_like"})
_METHODS = _PARTS_OF_TEXT | _BEGINNINGS | _ENDS | _LISTS | _LIKE | {"get"}


@dataclass(frozen=True, slots=True)
class CodeHints:
    """What a function of a revision knows of the values of columns, and the names of the columns that it writes."""

    hints: tuple[ColumnHint, ...]
    written_columns: frozenset[str]


def code_hints(resolver: NameResolver, function: str, dialect: Dialect) -> CodeHints:
    """Return what a function of a revision, with all that it calls, knows of the values of columns."""
    reader = _CodeReader(resolver, function, dialect)
    return CodeHints(reader.hints(), frozenset(reader.written_columns))


class _CodeReader:
    """Collects values by column, and the paths of what is read as a document."""

    def __init__(self, resolver: NameResolver, function: str, dialect: Dialect) -> None:
        self._code, self._dialect = CodeBindings(resolver, function), dialect
        self._literals = CodeLiterals(self._code)
        self._columns = CodeColumns(self._code, self._literals, dialect)
        self._documents = DocumentPaths(self._code, self._literals)
        self._values: defaultdict[str, dict[HintValue, None]] = defaultdict(dict)
        self._compared: set[str] = set()  # columns with values that the code compares whole values with
        self._only: dict[str, list[HintValue]] = {}
        self.written_columns: set[str] = set()
        self._paths: defaultdict[str, dict[JSONPath, list[str | int]]] = defaultdict(dict)

    def hints(self) -> tuple[ColumnHint, ...]:
        """Return the hints of the whole function."""
        words: set[str] = set()
        for node in self._code.nodes:
            if isinstance(node, (ast.Constant, ast.JoinedStr)):
                for text in self._literals.texts(node):
                    words.update(word.lower() for word in _WORDS.findall(text))
                    self.written_columns.update(word.lower() for word in _WRITTEN_BY_SQL.findall(text))
                    self._read_sql(text)
            elif isinstance(node, ast.Compare):
                self._read_comparison(node)
            elif isinstance(node, ast.Call):
                self._read_call(node)
            elif isinstance(node, ast.Subscript):
                self._add(self._columns.names(node.slice), self._literals.keys(node.value))
            elif isinstance(node, ast.Match):
                cases = (part.value for part in ast.walk(node) if isinstance(part, ast.MatchValue))
                values = [value for case in cases for value in self._literals.values(case)]
                self._add(self._columns.names(node.subject), values)
        tables = frozenset(words)
        for column, paths in self._paths.items():
            self._only.setdefault(column, [parsers.DOCUMENT_WRITERS["json.loads"](it) for it in json_samples(paths)])
        added = (
            ColumnHint(column, tables, tuple(values), is_for_any=column in self._compared)
            for column, values in self._values.items()
        )
        only = (ColumnHint(column, tables, tuple(it), is_exclusive=True) for column, it in self._only.items())
        return (*added, *only)

    def _add(self, columns: Iterable[str], values: Iterable[HintValue], *, is_part: bool = False) -> None:
        """Add values to columns; the code compares whole values with them, unless they are made around a part."""
        known = dict.fromkeys(value for value in values if value != "")
        for column in columns if known else ():
            self._values[column].update(known)
            self._compared.update(() if is_part else [column])

    def _read_sql(self, text: str) -> None:
        for found in read_value_hints(text, self._dialect):
            if isinstance(found, ComparedValue):
                self._add([found.column], [found.text])
            elif isinstance(found, JSONRead):
                self._paths[found.column].setdefault(found.path, [])

    def _read_comparison(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for left, word, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(word, (ast.In, ast.NotIn)) and isinstance(left, ast.Constant):
                self._add(self._columns.names(right), [f"one{left.value!s}two"], is_part=True)
                continue
            self._add(self._columns.names(left), self._literals.values(right))
            self._add(self._columns.names(right), self._literals.values(left))

    def _read_call(self, call: ast.Call) -> None:
        name = self._code.called_name(call)
        if isinstance(call.func, ast.Attribute):
            self._read_method(call.func, call)
        if name in _REGEX_FUNCTIONS:
            columns = {column for argument in call.args[1:] for column in self._columns.names(argument)}
            self._add_matching(columns, "~", self._literals.values(call.args[0]))
        if name.endswith("case") and call.args:  # sa.case({"a": 1}, value=table.c.kind)
            self._add(self._columns_of_keyword(call, "value"), self._literals.values(call.args[0]))
        for keyword in call.keywords if name.endswith((".values", ".values()")) else ():
            self.written_columns.add(keyword.arg or "")
            self._add([keyword.arg or ""], self._literals.values(keyword.value))
        if call.args:
            self._read_parser(name, call)

    def _read_method(self, method: ast.Attribute, call: ast.Call) -> None:
        """Read a call of a method of a column, or of a mapping with a column as the key."""
        if method.attr not in _METHODS:
            return
        columns = self._columns.names(method.value)
        arguments = [*call.args, *(word.value for word in call.keywords)]
        known = [value for argument in arguments for value in self._literals.values(argument)]
        texts = [value for value in known if isinstance(value, str)]
        if method.attr in _PARTS_OF_TEXT:
            self._add(columns, [f"one{text}two" for text in texts[:1]], is_part=True)
        elif method.attr in _BEGINNINGS:
            self._add(columns, [f"{text}one" for text in texts], is_part=True)
        elif method.attr in _ENDS:
            self._add(columns, [f"one{text}" for text in texts], is_part=True)
        elif method.attr in _LIKE:
            self._add_matching(columns, "like", texts)
        elif method.attr in _LISTS:
            self._add(columns, known)
        elif method.attr == "get":
            keys = self._literals.keys(method.value)
            self._add([column for argument in call.args[:1] for column in self._columns.names(argument)], keys)

    def _add_matching(self, columns: Iterable[str], operator: str, patterns: Iterable[HintValue]) -> None:
        for pattern in patterns:
            quoted = quote_literal(pattern) if isinstance(pattern, str) else "''"
            found = list(read_value_hints(f"x {operator} {quoted}", self._dialect))
            self._add(columns, [it.text for it in found if isinstance(it, ComparedValue)])

    def _columns_of_keyword(self, call: ast.Call, name: str) -> list[str]:
        return [column for word in call.keywords if word.arg == name for column in self._columns.names(word.value)]

    def _read_parser(self, name: str, call: ast.Call) -> None:
        """Restrict the column that a call parses to values that it accepts."""
        chain, inner = self._packed_value(call.args[0])
        columns = self._columns.names(inner)
        document = next((write for known, write in parsers.DOCUMENT_WRITERS.items() if _is_named(name, known)), None)
        if document:
            samples = json_samples(self._documents.read(call))
            values: list[Any] = [document(sample) for sample in samples]
        elif _is_named(name, "strptime"):
            values = [parsers.time_in_format(str(form)) for it in call.args[1:2] for form in self._literals.values(it)]
        else:
            accepted = (texts for known, texts in parsers.ACCEPTED_TEXTS.items() if _is_named(name, known))
            values = [text for texts in accepted for text in texts]
            values += [pack(b"one") for known, pack in parsers.PACKERS.items() if _is_named(name, known)]
        for packer in chain:
            values = [packer(value if isinstance(value, bytes) else str(value).encode()) for value in values]
        for column in columns if values else ():
            self._only.setdefault(column, values)

    def _packed_value(self, node: ast.expr) -> tuple[list[Callable[[bytes], bytes]], ast.expr]:
        """Return how to pack a value so that an expression unpacks it, step by step, and what it unpacks."""
        match node:
            case ast.Call(func=ast.Attribute(value=inner, attr="decode" | "encode" | "strip" | "tobytes")):
                return self._packed_value(inner)
            case ast.Call(args=[first, *_]):
                name = self._code.called_name(node)
                packers = [pack for known, pack in parsers.PACKERS.items() if _is_named(name, known)]
                if packers or name in {"str", "bytes"}:
                    chain, inner = self._packed_value(first)
                    return [*packers, *chain], inner
            case ast.BoolOp(values=[first, *_]):
                return self._packed_value(first)
        return [], node


def _is_named(name: str, known: str) -> bool:
    """Return whether the full name of a function ends with a known one."""
    return name == known or name.endswith(f".{known}")
