"""Somebody at a terminal is asked whether a column was renamed; nobody else is."""

from __future__ import annotations

import io
import sys

import pytest

from dormatory.authoring.renames import ProbableRename
from dormatory.cli.rename_question import ask_rename

RENAME = ProbableRename((None, "person"), "created_by", "author", "the same type", rank=1, is_sure=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminals(monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO) -> Terminal:
    """Give the command a standard input, and a terminal as standard error, which is returned."""
    messages = Terminal()
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", messages)
    monkeypatch.delenv("CI", raising=False)
    return messages


@pytest.mark.parametrize(
    ("typed", "expected", "asked"),
    [("rename\n", True, 1), ("N\n", False, 1), ("yes\n\nnew\n", False, 3), ("", None, 1)],
    ids=["rename", "new", "asked-again", "end-of-input"],
)
def test_the_answer_is_taken(monkeypatch: pytest.MonkeyPatch, typed: str, expected: object, asked: int) -> None:
    messages = terminals(monkeypatch, Terminal(typed))
    assert ask_rename(RENAME) is expected
    assert messages.getvalue().count("column person.created_by is gone and author is there (the same type)") == asked


@pytest.mark.parametrize(("stdin", "ci"), [(io.StringIO("new\n"), ""), (Terminal("new\n"), "true")], ids=["file", "CI"])
def test_nobody_else_is_asked(monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO, ci: str) -> None:
    messages = terminals(monkeypatch, stdin)
    monkeypatch.setenv("CI", ci)
    assert ask_rename(RENAME) is None
    assert messages.getvalue() == ""
