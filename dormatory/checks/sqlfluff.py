"""SQL that stands in revisions as text, and what sqlfluff says of it: pure, sqlfluff itself runs elsewhere."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.backends.registry import BACKEND_NAMES
from dormatory.checks.registry import finding
from dormatory.checks.source import read_revision
from dormatory.checks.source.resolver import UNKNOWN_TEXT, argument
from dormatory.checks.source.revision import executed_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Finding, LinterDiagnostic
    from dormatory.checks.source.resolver import NameResolver
    from dormatory.checks.source.revision import RevisionSource
    from dormatory.project.script import Script

# Text inside of Python is laid out as Python is, and a call ends its statement itself.
_LAYOUT_RULES = ("LT", "CV06")
_PARSE_ERROR_RULE = "PRS"
_PARAMETER = re.compile(r"(?<![:\w\\]):\w+(?![:\w])")


@dataclass(frozen=True, slots=True)
class SQLSnippet:
    """One text of SQL: where it begins, the first and last line of its literal, and the backend that reads it."""

    revision: str
    file: str
    line: int
    end_line: int
    backend: str
    sql: str

    @property
    def executable_sql(self) -> str:
        """The SQL as a database would read it: numbers in place of SQLAlchemy's parameters."""
        return _PARAMETER.sub(lambda found: "1" * len(found[0]), self.sql).replace("\\:", ":")


def sql_snippets(scripts: Sequence[Script], *, backends: Collection[str] = BACKEND_NAMES) -> Mapping[str, SQLSnippet]:
    """Return the texts of SQL that revisions execute, by a name of their own.

    Left out is what is put together while it runs. What runs on several backends is read as PostgreSQL does.
    """
    found = dict[tuple[str, int, str], SQLSnippet]()
    for script in scripts:
        if script.tree is None or script.revision is None or b"execute" not in script.source:
            continue
        for snippet in _snippets_of(read_revision(script.tree, script.source, script.revision, backends)):
            found.setdefault((snippet.file, snippet.line, snippet.sql), snippet)
    return {f"{number}": snippet for number, snippet in enumerate(found.values())}


def sqlfluff_findings(snippets: Mapping[str, SQLSnippet], complaints: Sequence[LinterDiagnostic]) -> Iterator[Finding]:
    """Report what sqlfluff says, at the line of the revision, but for how the text is laid out."""
    for it in complaints:
        snippet = snippets[it.text_name]
        if it.rule.startswith(_LAYOUT_RULES):
            continue
        where: dict[str, Any] = {
            "backend": snippet.backend,
            "object": it.rule,
            "revision": snippet.revision,
            "file": snippet.file,
            "line": min(snippet.line + it.line - 1, snippet.end_line),
            "sql": snippet.sql,
        }
        if it.rule == _PARSE_ERROR_RULE:
            message = f"sqlfluff cannot read this SQL: {it.message}"
            yield finding("sql-unparsable", message, "one statement, written out, reads best", **where)
        else:
            message = f"{it.message.rstrip('.')} (sqlfluff: {it.rule})"
            hint = f"sqlfluff rules {it.rule} says more; [tool.sqlfluff] chooses the rules"
            yield finding("sqlfluff", message, hint, **where)


def _snippets_of(source: RevisionSource) -> Iterator[SQLSnippet]:
    for site in source.call_sites:
        sql = executed_sql(site, source.resolver)
        backends = [backend for backend in sorted(source.backends) if source.is_reached(site, backend)]
        if not sql or UNKNOWN_TEXT in sql or not sql.strip() or not backends:
            continue
        literal = _literal(argument(site.call, 0, "sqltext", "statement"), source.resolver) or site.call
        last = literal.end_lineno or literal.lineno
        # "postgresql" comes before "sqlite", and knows more of SQL.
        first = literal.lineno + _is_on_next_line(literal, source.resolver)
        yield SQLSnippet(source.revision.id, str(source.revision.path), first, last, backends[0], sql)


def _is_on_next_line(literal: ast.expr, resolver: NameResolver) -> bool:
    """Say whether a text begins on the line below its quotes, which end in a backslash."""
    return resolver.lines[literal.lineno - 1].endswith(('"""\\', "'''\\"))


def _literal(node: ast.expr | None, resolver: NameResolver) -> ast.expr | None:
    """Return the literal that a text comes from; a call stands around it, such as text() or dedent()."""
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
