"""SQL that stands in revisions as text, and what sqlfluff says of it: pure, sqlfluff itself runs elsewhere."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.backends.registry import NAMES
from dormatory.checks.registry import finding
from dormatory.checks.source import read
from dormatory.checks.source.resolver import UNKNOWN, argument
from dormatory.checks.source.revision import sql_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dormatory.checks.finding import Complaint, Finding
    from dormatory.checks.source.resolver import Reading
    from dormatory.checks.source.revision import Revised
    from dormatory.project.revision_files import Script

# Text inside of Python is laid out as Python is, and a call ends its statement itself.
_LAYOUT = ("LT", "CV06")
_UNPARSABLE = "PRS"
_PARAMETER = re.compile(r"(?<![:\w\\]):\w+(?![:\w])")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One text of SQL: where it begins, the first and last line of its literal, and the backend that reads it."""

    revision: str
    file: str
    line: int
    end_line: int
    backend: str
    sql: str

    @property
    def text(self) -> str:
        """The SQL as a database would read it: numbers in place of SQLAlchemy's parameters."""
        return _PARAMETER.sub(lambda found: "1" * len(found[0]), self.sql).replace("\\:", ":")


def handwritten(scripts: Sequence[Script], *, backends: Collection[str] = NAMES) -> Mapping[str, Snippet]:
    """Return the texts of SQL that revisions execute, by a name of their own.

    Left out is what is put together while it runs. What runs on several backends is read as PostgreSQL does.
    """
    found = dict[tuple[str, int, str], Snippet]()
    for script in scripts:
        if script.tree is None or script.revision is None or b"execute" not in script.source:
            continue
        for snippet in _snippets(read(script.tree, script.source, script.revision, backends)):
            found.setdefault((snippet.file, snippet.line, snippet.sql), snippet)
    return {f"{number}": snippet for number, snippet in enumerate(found.values())}


def fluffed(snippets: Mapping[str, Snippet], complaints: Sequence[Complaint]) -> Iterator[Finding]:
    """Report what sqlfluff says, at the line of the revision, but for how the text is laid out."""
    for it in complaints:
        snippet = snippets[it.text]
        if it.rule.startswith(_LAYOUT):
            continue
        where: dict[str, Any] = {
            "backend": snippet.backend,
            "object": it.rule,
            "revision": snippet.revision,
            "file": snippet.file,
            "line": min(snippet.line + it.line - 1, snippet.end_line),
            "sql": snippet.sql,
        }
        if it.rule == _UNPARSABLE:
            message = f"sqlfluff cannot read this SQL: {it.message}"
            yield finding("sql-unparsable", message, "one statement, written out, reads best", **where)
        else:
            message = f"{it.message.rstrip('.')} (sqlfluff: {it.rule})"
            hint = f"sqlfluff rules {it.rule} says more; [tool.sqlfluff] chooses the rules"
            yield finding("sqlfluff", message, hint, **where)


def _snippets(revised: Revised) -> Iterator[Snippet]:
    for site in revised.sites:
        sql = sql_of(site, revised.reading)
        served = [backend for backend in sorted(revised.backends) if revised.runs_on(site, backend)]
        if not sql or UNKNOWN in sql or not sql.strip() or not served:
            continue
        literal = _literal(argument(site.call, 0, "sqltext", "statement"), revised.reading) or site.call
        last = literal.end_lineno or literal.lineno
        # "postgresql" comes before "sqlite", and knows more of SQL.
        first = literal.lineno + _is_continued(literal, revised.reading)
        yield Snippet(revised.revision.id, str(revised.revision.path), first, last, served[0], sql)


def _is_continued(literal: ast.expr, reading: Reading) -> bool:
    """Say whether a text begins on the line below its quotes, which end in a backslash."""
    return reading.lines[literal.lineno - 1].endswith(('"""\\', "'''\\"))


def _literal(node: ast.expr | None, reading: Reading) -> ast.expr | None:
    """Return the literal that a text comes from; a call stands around it, such as text() or dedent()."""
    for _ in range(9):
        value = reading.value(node)
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
