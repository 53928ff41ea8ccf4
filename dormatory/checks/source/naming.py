"""Rules about names and defaults: constraints without a name, and values that differ in every database."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source.resolver import UNKNOWN_TEXT, argument, is_true, keyword_argument
from dormatory.checks.source.revision import CallKind, call_kind, executed_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.source.resolver import NameResolver
    from dormatory.checks.source.revision import RevisionSource

_CREATE_OPERATIONS = {
    "create_foreign_key": "foreign key",
    "create_unique_constraint": "unique constraint",
    "create_check_constraint": "CHECK constraint",
    "create_primary_key": "primary key",
    "create_exclude_constraint": "EXCLUDE constraint",
    "create_index": "index",
}
_DROP_OPERATIONS = {"drop_constraint": "constraint", "drop_index": "index"}
_CONSTRAINT_CLASSES = {
    "UniqueConstraint": "unique constraint",
    "CheckConstraint": "CHECK constraint",
    "ForeignKeyConstraint": "foreign key",
    "ForeignKey": "foreign key",
    "ExcludeConstraint": "EXCLUDE constraint",
}
_NAME_KEYWORDS = ("constraint_name", "index_name", "name")
_TABLE_OPERATIONS = frozenset({"create_table", "add_column"})
_CALLS_WITH_NAME = frozenset(
    {*_CREATE_OPERATIONS, *_DROP_OPERATIONS, "create_table", "drop_table", "rename_table", "Index", "Enum"}
)
_NONDETERMINISTIC_CALL = re.compile(
    r"(uuid\.(uuid1|uuid4|uuid6|uuid7|getnode)|datetime\.(datetime\.)?(now|utcnow|today)|datetime\.date\.today"
    r"|time\.(time|time_ns|monotonic|strftime|ctime|localtime|gmtime|perf_counter)|(numpy\.)?random\..+|secrets\..+"
    r"|(arrow|pendulum)\.(now|utcnow|today)|os\.(getpid|urandom)|socket\.gethostname|platform\.node|getpass\.getuser|hash)"
)
_UNKNOWN_DEFAULT = re.compile(rf"\bDEFAULT\s+\(?'?{UNKNOWN_TEXT}", re.IGNORECASE)


def naming_problems(source: RevisionSource) -> Iterator[Finding]:
    """Report constraints without a name, and names and defaults that Python computes from a clock or at random."""
    for node in source.resolver.nodes:
        if isinstance(node, ast.Call):
            called = source.resolver.called_name(node.func)
            yield from _unnamed_constraint(source, node, called)
            yield from _random_names_and_defaults(source, node, called)
    for site in source.call_sites:
        sql = executed_sql(site, source.resolver)
        if (
            sql is not None
            and call_kind(site, source.resolver) is CallKind.SCHEMA
            and is_nondeterministic(site.call, source.resolver)
        ):
            if _UNKNOWN_DEFAULT.search(sql):
                yield _frozen_default(source, site.call)
            else:
                yield _random_name(source, site.call)


UNNAMED_CONSTRAINT = Rule(
    "unnamed-constraint",
    "source",
    Severity.WARNING,
    meaning="a constraint or an index is created or dropped without a name",
    why="""Without a name nothing can drop it: SQLite has none at all, PostgreSQL made one up. To drop None always
    fails, which is an error; inside create_table it is a note, because a naming convention of the metadata may give
    it a name.""",
    recipe="""
    batch.create_unique_constraint(op.f("uq_member_phone"), ["phone"])
    batch.drop_constraint(op.f("uq_member_phone"), type_="unique")
    """,
)


def _unnamed_constraint(source: RevisionSource, node: ast.Call, called: str) -> Iterator[Finding]:
    hint = "give it its full name, in op.f(...)"
    if called in _CREATE_OPERATIONS or called in _DROP_OPERATIONS:
        name = argument(node, 0, *_NAME_KEYWORDS)
        if not (isinstance(name, ast.Constant) and name.value is None):
            return
        if called in _DROP_OPERATIONS:
            message = f"it drops the {_DROP_OPERATIONS[called]} None, which always fails"
            yield source.finding(UNNAMED_CONSTRAINT, node, message, hint, severity=Severity.ERROR)
        else:
            yield source.finding(UNNAMED_CONSTRAINT, node, f"the {_CREATE_OPERATIONS[called]} has no name", hint)
    elif called in _TABLE_OPERATIONS:
        parts = [
            part
            for item in ast.walk(node)
            if isinstance(item, ast.Call)
            for part in _unnamed_parts(item, source.resolver)
        ]
        if parts:
            first = min(parts, key=lambda part: part[1].lineno)[1]
            message = (
                f"it gets no name of its own: {', '.join(f'{what} in line {item.lineno}' for what, item in parts)}"
            )
            yield source.finding(UNNAMED_CONSTRAINT, first, message, hint, severity=Severity.NOTE)


def _unnamed_parts(node: ast.Call, resolver: NameResolver) -> Iterator[tuple[str, ast.Call]]:
    """Yield a constraint without a name that a table or column is created with."""
    called = resolver.called_name(node.func)
    if called in _CONSTRAINT_CLASSES and resolver.dotted_name(node.func).startswith("sqlalchemy."):
        name = keyword_argument(node, "name")
        if name is None or (isinstance(name, ast.Constant) and name.value is None):
            yield _CONSTRAINT_CLASSES[called], node
    elif called == "Column" and is_true(keyword_argument(node, "unique")):
        yield "unique constraint", node


RANDOM_NAME = Rule(
    "random-name",
    "source",
    Severity.ERROR,
    meaning="a name is computed from a clock, a random number or a process",
    why="The name differs in every database, so no later revision can find it.",
    recipe='op.create_index(op.f("ix_tag_word"), "tag", ["word"])',
)

FROZEN_DEFAULT = Rule(
    "frozen-default",
    "source",
    Severity.ERROR,
    meaning="a server default is computed by Python, once",
    why="Every row written later gets the time, or the key, of the migration.",
    recipe='sa.Column("created_at", sa.DateTime(), server_default=sa.func.now(), nullable=False)',
)


def _random_names_and_defaults(source: RevisionSource, node: ast.Call, called: str) -> Iterator[Finding]:
    names = [keyword_argument(node, *_NAME_KEYWORDS, "new_column_name", "new_table_name")]
    if called in _CALLS_WITH_NAME and called != "Enum":
        names.append(argument(node, 0))
    if called == "rename_table":
        names.append(argument(node, 1))
    if any(is_nondeterministic(name, source.resolver) for name in names if name is not None):
        yield _random_name(source, node)
    default = keyword_argument(node, "server_default")
    if (
        default is not None
        and is_nondeterministic(default, source.resolver)
        and not _is_temporary_default(node, called, source.resolver)
    ):
        yield _frozen_default(source, default)


def _random_name(source: RevisionSource, node: ast.AST) -> Finding:
    message = "the name differs in every database: Python computes it from a clock or at random"
    return source.finding(RANDOM_NAME, node, message, "write the name down, in op.f(...)")


def _frozen_default(source: RevisionSource, node: ast.AST) -> Finding:
    message = "Python computes this default once, when the revision runs"
    return source.finding(FROZEN_DEFAULT, node, message, "let the database compute it: server_default=sa.func.now()")


def _is_temporary_default(node: ast.Call, called: str, resolver: NameResolver) -> bool:
    """Return whether the default of a new column only fills the existing rows, and is dropped again."""
    column = resolver.text(argument(node, 0, "name") if called == "Column" else argument(node, 1, "column_name"))
    for other in resolver.nodes:
        if isinstance(other, ast.Call) and resolver.called_name(other.func) == "alter_column":
            default = keyword_argument(other, "server_default")
            texts = [resolver.text(item) for item in other.args[:2]] + [
                resolver.text(keyword_argument(other, "column_name"))
            ]
            if isinstance(default, ast.Constant) and default.value is None and column in texts:
                return True
    return False


def is_nondeterministic(node: ast.AST, resolver: NameResolver, depth: int = 6) -> bool:
    """Return whether an expression gives another value each time, as far as it can be followed."""
    for item in ast.walk(node):
        if isinstance(item, ast.Call):
            called = resolver.dotted_name(item.func).removeprefix("builtins.")
            if _NONDETERMINISTIC_CALL.fullmatch(called):
                return True
            function = resolver.functions.get(called)
            returned = [part.value for part in ast.walk(function) if isinstance(part, ast.Return)] if function else []
            if depth and any(
                is_nondeterministic(value, resolver, depth - 1) for value in returned if value is not None
            ):
                return True
        if isinstance(item, ast.Name) and depth:
            value = resolver.value(item)
            if value is not None and value is not item and is_nondeterministic(value, resolver, depth - 1):
                return True
    return False
