"""Patterns of SQL are compiled for Python, and texts that match them are found."""

from __future__ import annotations

import re

import pytest

from dormatory.sql import patterns


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("~", r"^[0-9a-f]{32}$"),
        ("~", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$"),
        ("~*", r"^(room|hall)-\d+[[:alpha:]]?$"),
        ("glob", ".[0-9][0-9]Z"),
        ("glob", "AB-?*"),
        ("like", "%@%._"),
        ("ilike", "ab\\_%"),
    ],
)
def test_sample_texts_of_a_pattern_match_and_differ(kind: str, pattern: str) -> None:
    compiled = patterns.compile_pattern(kind, pattern)
    assert compiled is not None
    found = [patterns.sample_text(compiled, number) for number in range(8)]
    assert all(text is not None and compiled.search(text) for text in found)
    assert len(set(found)) > 1


def test_a_pattern_that_python_cannot_compile_has_no_sample() -> None:
    assert patterns.compile_pattern("~", "(unclosed") is None
    assert patterns.sample_text(re.compile(r"(?=x)y"), 1) is None
