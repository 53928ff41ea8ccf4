"""SQL that revisions contain as text, and what sqlfluff reports about it: pure, sqlfluff itself runs elsewhere."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.checks.source import read_revision
from dormatory.checks.source.resolver import UNKNOWN_TEXT, argument
from dormatory.checks.source.revision import executed_sql
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding, LinterMessage
    from dormatory.checks.source.resolver import NameResolver
    from dormatory.checks.source.revision import RevisionSource
    from dormatory.project.script import Script

# SQL inside of Python follows the layout of Python, and a call needs no semicolon at the end.
_LAYOUT_RULES = ("LT", "CV06")
_PARSE_ERROR_RULE = "PRS"
_PARAMETER = re.compile(r"(?<![:\w\\]):\w+(?![:\w])")


@dataclass(frozen=True, slots=True)
class SQLSnippet:
    """One text of SQL: where it begins, the last line of its literal, and the backend that reads it."""

    revision: str
    location: Location
    end_line: int
    backend: str
    sql: str

    @property
    def executable_sql(self) -> str:
        """The SQL as a database would read it: numbers in place of SQLAlchemy's parameters."""
        return _PARAMETER.sub(lambda found: "1" * len(found[0]), self.sql).replace("\\:", ":")


def sql_snippets(scripts: Sequence[Script], *, backends: Collection[str] = BACKEND_NAMES) -> Mapping[str, SQLSnippet]:
    """Return the texts of SQL that revisions execute, each by a name that is a number.

    A text that is composed at run time is left out. A text that runs on several backends is PostgreSQL's.
    """
    found = dict[tuple[Location, str], SQLSnippet]()
    for script in scripts:
        if script.tree is None or script.revision is None or b"execute" not in script.source:
            continue
        for snippet in _snippets_of(read_revision(script.tree, script.source, script.revision, backends)):
            found.setdefault((snippet.location, snippet.sql), snippet)
    return {f"{number}": snippet for number, snippet in enumerate(found.values())}


SQLFLUFF = Rule(
    "sqlfluff",
    "sql",
    Severity.WARNING,
    meaning="sqlfluff reports SQL written by hand",
    why="https://docs.sqlfluff.com has the reasons; [tool.sqlfluff] of pyproject.toml chooses the rules.",
    recipe="# the message names sqlfluff's rule",
)

SQL_UNPARSABLE = Rule(
    "sql-unparsable",
    "sql",
    Severity.NOTE,
    meaning="sqlfluff cannot read SQL written by hand",
    why="Its grammar lacks something, or the statement is composed at run time. It was not checked.",
    recipe="op.execute(sa.text(...))  # one statement, written out",
)


def sqlfluff_findings(snippets: Mapping[str, SQLSnippet], messages: Sequence[LinterMessage]) -> Iterator[Finding]:
    """Report the messages of sqlfluff at the lines of the revisions, except those about layout."""
    for it in messages:
        snippet = snippets[it.text_name]
        if it.rule.startswith(_LAYOUT_RULES):
            continue
        location = replace(snippet.location, line=min(snippet.location.line + it.line - 1, snippet.end_line))
        if it.rule == _PARSE_ERROR_RULE:
            rule, message = SQL_UNPARSABLE, f"sqlfluff cannot read this SQL: {it.message}"
            hint = "one statement, written out, reads best"
        else:
            rule, message = SQLFLUFF, f"{it.message.rstrip('.')} (sqlfluff: {it.rule})"
            hint = f"sqlfluff rules {it.rule} says more; [tool.sqlfluff] chooses the rules"
        yield rule.finding(
            message,
            hint,
            backend=snippet.backend,
            object_name=it.rule,
            revision=snippet.revision,
            location=location,
            sql=snippet.sql,
        )


def _snippets_of(source: RevisionSource) -> Iterator[SQLSnippet]:
    for site in source.call_sites:
        sql = executed_sql(site, source.resolver)
        backends = [backend for backend in sorted(source.backends) if source.is_reached(site, backend)]
        if not sql or UNKNOWN_TEXT in sql or not sql.strip() or not backends:
            continue
        literal = _literal(argument(site.call, 0, "sqltext", "statement"), source.resolver) or site.call
        last = literal.end_lineno or literal.lineno
        # "postgresql" comes before "sqlite", and its grammar has more of SQL.
        first = literal.lineno + _is_on_next_line(literal, source.resolver)
        yield SQLSnippet(source.revision.id, Location(str(source.revision.path), first), last, backends[0], sql)


def _is_on_next_line(literal: ast.expr, resolver: NameResolver) -> bool:
    """Return whether a text begins on the line below its quotes, which end in a backslash."""
    return resolver.lines[literal.lineno - 1].endswith(('"""\\', "'''\\"))


def _literal(node: ast.expr | None, resolver: NameResolver) -> ast.expr | None:
    """Return the literal that a text comes from; calls such as text() or dedent() may stand around it."""
    for _ in range(9):
        value = resolver.value(node)
        match value:
            case ast.Constant(value=str()) | ast.JoinedStr():
                return value
            case ast.Call(func=ast.Attribute(value=inner, attr="strip" | "bindparams" | "columns" | "format")):
                node = inner
            case ast.Call(args=[first, *_]):
                node = first
            case ast.BinOp(left=left):
                node = left
            case _:
                return None
    return None
