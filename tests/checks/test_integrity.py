"""A published revision that changes or disappears is reported; changes without an effect are not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.integrity import check_integrity
from dormatory.project.checksums import ChecksumFile, read_checksums
from dormatory.project.digest import tree_digest
from dormatory.project.project import Project
from dormatory.project.revision_files import read_scripts
from dormatory.project.script import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]


def revision_script(name: str, upgrade: str = "pass") -> Script:
    text = f'revision = "{name}"\ndown_revision = None\ndef upgrade():\n    {upgrade}\n'
    return Script.parse(Path(f"versions/{name}_x.py"), text.encode())


def sum_line(script: Script, reason: str = "") -> str:
    assert script.tree is not None
    assert script.revision is not None
    return f"{script.revision.id} {tree_digest(script.tree)}{f'  # {reason}' if reason else ''}\n"


def found_rules(files: Sequence[Script], text: str, base: Sequence[Script] | None = None) -> list[tuple[str, str]]:
    found = check_integrity(files, ChecksumFile.parse(Path("versions.sum"), text), base)
    return [(item.rule, item.revision) for item in found]


FIRST, SECOND, CHANGED = revision_script("001"), revision_script("002"), revision_script("001", "op.drop_table('a')")


def test_revisions_that_match_their_lines_are_clean() -> None:
    assert found_rules([FIRST, SECOND], sum_line(FIRST) + sum_line(SECOND), [FIRST]) == []


def test_a_project_without_checksums_is_not_checked() -> None:
    assert list(check_integrity([CHANGED], None, [FIRST])) == []


def test_a_changed_revision_is_reported() -> None:
    assert found_rules([CHANGED], sum_line(FIRST)) == [("revision-changed", "001")]


def test_a_published_revision_that_changed_with_its_line_is_reported() -> None:
    assert found_rules([CHANGED], sum_line(CHANGED), [FIRST]) == [("revision-changed", "001")]


def test_a_change_with_its_reason_is_allowed_and_only_that_change() -> None:
    again = revision_script("001", "op.drop_table('b')")
    assert found_rules([CHANGED], sum_line(CHANGED, "it never ran"), [FIRST]) == []
    assert found_rules([again], sum_line(CHANGED, "it never ran"), [FIRST]) == [("revision-changed", "001")]


def test_an_unpublished_revision_only_needs_a_new_line() -> None:
    assert found_rules([CHANGED], sum_line(FIRST), []) == [("revision-unsummed", "001")]


def test_a_new_revision_needs_a_line() -> None:
    assert found_rules([FIRST, SECOND], sum_line(FIRST)) == [("revision-unsummed", "002")]


def test_a_removed_revision_needs_a_reason() -> None:
    assert found_rules([FIRST], sum_line(FIRST) + sum_line(SECOND)) == [("revision-removed", "002")]
    assert found_rules([FIRST], sum_line(FIRST), [FIRST, SECOND]) == [("revision-removed", "002")]
    assert found_rules([FIRST], sum_line(FIRST) + "002 removed\n", [FIRST, SECOND]) == [("revision-removed", "002")]
    assert found_rules([FIRST], sum_line(FIRST) + "002 removed # squashed\n", [FIRST, SECOND]) == []


def test_an_existing_revision_recorded_as_removed_is_reported() -> None:
    assert found_rules([FIRST], "001 removed # squashed\n") == [("revision-unsummed", "001")]


@pytest.mark.parametrize("left", ["<<<<<<< HEAD\n", "002 v2:77\n", "002\n"])
def test_a_line_that_cannot_be_read_is_reported(left: str) -> None:
    (found,) = check_integrity([FIRST], ChecksumFile.parse(Path("versions.sum"), sum_line(FIRST) + left))
    assert (found.rule, found.location.path, found.location.line) == ("sum-unreadable", "versions.sum", 2)


def test_a_second_line_of_a_revision_is_not_read() -> None:
    assert found_rules([FIRST], sum_line(FIRST) + sum_line(CHANGED)) == [("sum-unreadable", "")]


def test_our_own_revisions_match_our_checksums() -> None:
    project = Project.read(ROOT / "alembic.ini")
    assert read_checksums(project) is not None
    assert list(check_integrity(read_scripts(project), read_checksums(project))) == []
