"""A command reads and parse_counts each revision file once."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from dormatory.commands.check import CheckRequest, check_project
from dormatory.project.checksum_update import write_checksums
from dormatory.runtime.fast_path import reached_head

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import SmallProject


@pytest.fixture
def parse_counts(small_project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, int]]:
    """How often each revision file of a project was parsed."""
    small_project.write_table_revisions("a", "b", "c")
    small_project.write_revision("004", "# parity: ix_a: no reason\npass")
    counts: Counter[str] = Counter()
    parse = ast.parse

    def count_and_parse(source: Any, filename: str | Path = "<unknown>", *arguments: Any, **options: Any) -> Any:
        counts[str(filename)] += 1
        return parse(source, filename, *arguments, **options)

    monkeypatch.setattr(ast, "parse", count_and_parse)
    files = sorted(small_project.versions.glob("*.py"))
    return lambda: {file.name[:3]: counts[str(file)] for file in files}


ONCE = {"001": 1, "002": 1, "003": 1, "004": 1}


def test_a_check_parses_each_file_once(small_project: SmallProject, parse_counts: Callable[[], dict[str, int]]) -> None:
    check_project(small_project.project, CheckRequest(("sqlite",)))
    assert parse_counts() == ONCE


def test_a_check_against_a_reference_parses_each_file_once(
    small_project: SmallProject, parse_counts: Callable[[], dict[str, int]]
) -> None:
    small_project.git("init", "-q")
    small_project.commit()
    check_project(small_project.project, CheckRequest(("sqlite",), since="main", base="main"))
    assert parse_counts() == ONCE


def test_writing_checksums_parses_each_file_once(
    small_project: SmallProject, parse_counts: Callable[[], dict[str, int]]
) -> None:
    small_project.git("init", "-q")
    small_project.commit()
    write_checksums(small_project.project, reason="002: why")
    assert parse_counts() == ONCE


def test_the_fast_path_parses_each_file_once(
    small_project: SmallProject, parse_counts: Callable[[], dict[str, int]]
) -> None:
    url = f"sqlite:///{small_project.root}/x.db"
    small_project.upgrade(url)
    before = parse_counts()
    assert reached_head(small_project.project, small_project.project.target({"DATABASE_URL": url})) is not None
    assert {name: count - before[name] for name, count in parse_counts().items()} == ONCE
