"""Comments in revisions that give the reason why the two backends differ, read without importing a revision.

    # parity: ix_attributes_value: GIN has no SQLite counterpart
    # parity: docs.tags type, docs.tags default: SQLite has no arrays

names what differs: an index, a constraint, a view, a trigger or a table by its name, a column as `table.column`.
Without a name,

    # parity: GIN has no SQLite counterpart
    op.create_index("ix_attributes_value", "attributes", ["value"], postgresql_using="gin")

it is about what the statement below it, or on the same line, creates, alters or drops: here the index, no table and no
column.  The text continues in the comment lines that follow, up to an empty one.
"""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dormatory.checks.source.statement_names import StatementNames
from dormatory.errors.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.project.history import History
    from dormatory.project.script import Script

_PARITY_COMMENT = re.compile(r"#\s*parity:\s*(.*)")
_NAME = r'[\w.$"]+(?: (?:[a-z]+ )?[a-z]+)?'  # a name and, where it matters, the way in which it differs
_NAMES_AND_REASON = re.compile(rf"({_NAME}(?:,\s*{_NAME})*)\s*:\s+(.+)")


@dataclass(frozen=True, slots=True)
class ParityComment:
    """An intended difference: the names that it is about, as written or found in the code, and the reason."""

    names: tuple[str, ...]
    is_explicit: bool  # the names are written in the comment, not found in the statement
    reason: str
    revision: str
    location: Location


def parity_comments(scripts: Iterable[Script], history: History) -> tuple[ParityComment, ...]:
    """Return every `# parity:` comment in the files of a history, in the order of the revisions."""
    script_by_path = {script.path: script for script in scripts}
    return tuple(
        found
        for revision in history.revisions
        for found in _comments_in_script(script_by_path[revision.path], revision.id)
    )


def _comments_in_script(script: Script, revision: str) -> Iterator[ParityComment]:
    if script.tree is None or b"parity:" not in script.source:
        return
    statements = StatementNames(script.tree)
    for line, code, text in _comments_with_code_lines(script.source):
        named = _NAMES_AND_REASON.fullmatch(text)
        if named:
            names, reason = tuple(re.split(r",\s*", named[1])), named[2]
        else:
            names, reason = statements.names_at(code), text
        plain = tuple(name.replace('"', "").lower() for name in names)
        yield ParityComment(plain, named is not None, reason, revision, Location(str(script.path), line))


def _comments_with_code_lines(source: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield the line of each comment, the line of the code that it is about, and its whole text."""
    waiting = list[tuple[int, str]]()  # for the next line of code
    has_code = is_open = False  # the current line has code; the text may continue
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            found = _PARITY_COMMENT.fullmatch(token.string)
            if found and has_code:
                yield line, line, found[1].strip()
            elif found:
                waiting.append((line, found[1].strip()))
                is_open = True
            elif not token.string.strip("# "):
                is_open = False
            elif waiting and is_open:
                waiting[-1] = waiting[-1][0], f"{waiting[-1][1]} {token.string.lstrip('# ')}"
        elif token.type in {tokenize.NEWLINE, tokenize.NL}:
            has_code = False
        elif token.type not in {tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}:
            has_code = True
            yield from ((start, line, text) for start, text in waiting)
            waiting.clear()
            is_open = False
