"""Rules of names and defaults: constraints without one, and what is another value in every database."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.source.resolver import UNKNOWN, argument, is_true, keyword
from dormatory.checks.source.revision import Kind, kind_of, sql_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.resolver import Reading
    from dormatory.checks.source.revision import Revised

_CREATES = {
    "create_foreign_key": "foreign key",
    "create_unique_constraint": "unique constraint",
    "create_check_constraint": "CHECK constraint",
    "create_primary_key": "primary key",
    "create_exclude_constraint": "EXCLUDE constraint",
    "create_index": "index",
}
_DROPS = {"drop_constraint": "constraint", "drop_index": "index"}
_PARTS = {
    "UniqueConstraint": "unique constraint",
    "CheckConstraint": "CHECK constraint",
    "ForeignKeyConstraint": "foreign key",
    "ForeignKey": "foreign key",
    "ExcludeConstraint": "EXCLUDE constraint",
}
_NAMES = ("constraint_name", "index_name", "name")
_TABLES = frozenset({"create_table", "add_column"})
_NAMED_FIRST = frozenset({*_CREATES, *_DROPS, "create_table", "drop_table", "rename_table", "Index", "Enum"})
_CHANGING = re.compile(
    r"(uuid\.(uuid1|uuid4|uuid6|uuid7|getnode)|datetime\.(datetime\.)?(now|utcnow|today)|datetime\.date\.today"
    r"|time\.(time|time_ns|monotonic|strftime|ctime|localtime|gmtime|perf_counter)|(numpy\.)?random\..+|secrets\..+"
    r"|(arrow|pendulum)\.(now|utcnow|today)|os\.(getpid|urandom)|socket\.gethostname|platform\.node|getpass\.getuser|hash)"
)
_DEFAULT = re.compile(rf"\bDEFAULT\s+\(?'?{UNKNOWN}", re.IGNORECASE)


def naming(revised: Revised) -> Iterator[Finding]:
    """Report constraints without a name, and names and defaults that Python draws or reads off a clock."""
    for node in revised.reading.nodes:
        if isinstance(node, ast.Call):
            called = revised.reading.called(node.func)
            yield from _unnamed(revised, node, called)
            yield from _drawn(revised, node, called)
    for site in revised.sites:
        sql = sql_of(site, revised.reading)
        if sql is not None and kind_of(site, revised.reading) is Kind.SCHEMA and changes(site.call, revised.reading):
            if _DEFAULT.search(sql):
                yield _frozen(revised, site.call)
            else:
                yield _random(revised, site.call)


def _unnamed(revised: Revised, node: ast.Call, called: str) -> Iterator[Finding]:
    hint = "give it its full name, in op.f(...)"
    if called in _CREATES or called in _DROPS:
        name = argument(node, 0, *_NAMES)
        if not (isinstance(name, ast.Constant) and name.value is None):
            return
        if called in _DROPS:
            message = f"it drops the {_DROPS[called]} None, which always fails"
            yield revised.finding("unnamed-constraint", node, message, hint, severity=Severity.ERROR)
        else:
            yield revised.finding("unnamed-constraint", node, f"the {_CREATES[called]} has no name", hint)
    elif called in _TABLES:
        parts = [
            part for item in ast.walk(node) if isinstance(item, ast.Call) for part in _nameless(item, revised.reading)
        ]
        if parts:
            first = min(parts, key=lambda part: part[1].lineno)[1]
            message = (
                f"it gets no name of its own: {', '.join(f'{what} in line {item.lineno}' for what, item in parts)}"
            )
            yield revised.finding("unnamed-constraint", first, message, hint, severity=Severity.NOTE)


def _nameless(node: ast.Call, reading: Reading) -> Iterator[tuple[str, ast.Call]]:
    """Yield a constraint without a name that a table or column is created with."""
    called = reading.called(node.func)
    if called in _PARTS and reading.dotted(node.func).startswith("sqlalchemy."):
        name = keyword(node, "name")
        if name is None or (isinstance(name, ast.Constant) and name.value is None):
            yield _PARTS[called], node
    elif called == "Column" and is_true(keyword(node, "unique")):
        yield "unique constraint", node


def _drawn(revised: Revised, node: ast.Call, called: str) -> Iterator[Finding]:
    names = [keyword(node, *_NAMES, "new_column_name", "new_table_name")]
    if called in _NAMED_FIRST and called != "Enum":
        names.append(argument(node, 0))
    if called == "rename_table":
        names.append(argument(node, 1))
    if any(changes(name, revised.reading) for name in names if name is not None):
        yield _random(revised, node)
    default = keyword(node, "server_default")
    if default is not None and changes(default, revised.reading) and not _is_taken_away(node, called, revised.reading):
        yield _frozen(revised, default)


def _random(revised: Revised, node: ast.AST) -> Finding:
    message = "the name is another one in every database: Python draws it, or reads it off a clock"
    return revised.finding("random-name", node, message, "write the name down, in op.f(...)")


def _frozen(revised: Revised, node: ast.AST) -> Finding:
    message = "Python computes this default once, when the revision runs"
    return revised.finding("frozen-default", node, message, "let the database compute it: server_default=sa.func.now()")


def _is_taken_away(node: ast.Call, called: str, reading: Reading) -> bool:
    """Say whether the default of a new column only fills the rows that are there, and is taken away again."""
    column = reading.text(argument(node, 0, "name") if called == "Column" else argument(node, 1, "column_name"))
    for other in reading.nodes:
        if isinstance(other, ast.Call) and reading.called(other.func) == "alter_column":
            default = keyword(other, "server_default")
            texts = [reading.text(item) for item in other.args[:2]] + [reading.text(keyword(other, "column_name"))]
            if isinstance(default, ast.Constant) and default.value is None and column in texts:
                return True
    return False


def changes(node: ast.AST, reading: Reading, depth: int = 6) -> bool:
    """Say whether an expression gives another value each time, as far as it can be followed."""
    for item in ast.walk(node):
        if isinstance(item, ast.Call):
            called = reading.dotted(item.func).removeprefix("builtins.")
            if _CHANGING.fullmatch(called):
                return True
            function = reading.functions.get(called)
            given = [part.value for part in ast.walk(function) if isinstance(part, ast.Return)] if function else []
            if depth and any(changes(value, reading, depth - 1) for value in given if value is not None):
                return True
        if isinstance(item, ast.Name) and depth:
            value = reading.value(item)
            if value is not None and value is not item and changes(value, reading, depth - 1):
                return True
    return False
