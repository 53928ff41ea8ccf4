"""The file of accepted findings is read as it was written, and its differences are easy to review and to merge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dormatory.errors import UnreadableAcceptedFileError, UnwritableFileError
from dormatory.project.accepted_file import AcceptedEntry, read_accepted, write_accepted

if TYPE_CHECKING:
    from pathlib import Path

BOX = AcceptedEntry("trace", "003", "", "table box", ("sqlite", "postgresql"), "table box: added", "as it is")
DUMP = AcceptedEntry("stale-dump", "", "schema/sqlite.sql", "", ("sqlite",), "it differs", "")


def test_a_file_that_does_not_exist_accepts_nothing(tmp_path: Path) -> None:
    assert read_accepted(tmp_path / "accepted.toml") == ()


def test_entries_are_read_as_they_were_written_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    write_accepted(file, [BOX, DUMP])
    found = read_accepted(file)
    assert found == (DUMP, BOX)
    lines = file.read_text().splitlines()
    assert [lines[entry.line - 1] for entry in found] == ["[[finding]]", "[[finding]]"]


def test_an_entry_is_one_block_of_readable_lines(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    write_accepted(file, [BOX])
    assert file.read_text().partition("\n\n")[2] == (
        "[[finding]]\n"
        'rule = "trace"\n'
        'revision = "003"\n'
        'object = "table box"\n'
        'backends = ["sqlite", "postgresql"]\n'
        'message = "table box: added"\n'
        'reason = "as it is"\n'
    )


def test_a_missing_reason_leaves_the_place_to_write_it(tmp_path: Path) -> None:
    write_accepted(tmp_path / "accepted.toml", [DUMP])
    assert (tmp_path / "accepted.toml").read_text().endswith('message = "it differs"\nreason = ""\n')


def test_the_order_of_findings_does_not_change_the_file(tmp_path: Path) -> None:
    write_accepted(tmp_path / "one", [BOX, DUMP])
    write_accepted(tmp_path / "two", [DUMP, BOX])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "text", ['say "no"', "back\\slash", "tab\tline\n", "\x1b[31m \x7f \x00", "größer 🛏", "''' # ="]
)
def test_any_text_comes_back(tmp_path: Path, text: str) -> None:
    write_accepted(tmp_path / "accepted.toml", [replace(BOX, object=text, message=text, reason=text)])
    (found,) = read_accepted(tmp_path / "accepted.toml")
    assert (found.object, found.message, found.reason) == (text, text, text)


def test_half_of_a_character_does_not_damage_the_file(tmp_path: Path) -> None:
    write_accepted(tmp_path / "accepted.toml", [replace(BOX, message="half \udc80")])
    assert read_accepted(tmp_path / "accepted.toml")[0].message == "half ?"


def test_without_entries_there_is_no_file(tmp_path: Path) -> None:
    write_accepted(tmp_path / "accepted.toml", [BOX])
    write_accepted(tmp_path / "accepted.toml", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        '<<<<<<< ours\n[[finding]]\nrule = "trace"\n',
        "[[finding]]\nrule = 3\n",
        '[[finding]]\nrule = "trace"\nrevison = "003"\n',
        '[[finding]]\nrevision = "003"\n',
        'finding = "trace"\n',
        '[[ finding ]]\nrule = "trace"\n',
    ],
    ids=["conflict", "number", "unknown key", "no rule", "no block", "another layout"],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text(text)
    with pytest.raises(UnreadableAcceptedFileError, match=r"accepted\.toml cannot be read"):
        read_accepted(file)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "accepted.toml"
    with pytest.raises(UnwritableFileError):
        write_accepted(missing, [BOX])
