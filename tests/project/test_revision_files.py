"""Revision files are found where Alembic finds them, and are read without being imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.project.history import History
from dormatory.project.revision_files import read_scripts

if TYPE_CHECKING:
    from tests.conftest import SmallProject


def ids(project: SmallProject) -> list[str]:
    return [script.revision.id for script in read_scripts(project.project) if script.revision]


def test_files_without_a_revision_are_ignored(small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    (small_project.versions / "helpers.py").write_text("x = 1\n")
    (small_project.versions / "__init__.py").write_text("def (:\n")
    (small_project.versions / "notes.txt").write_text("revision = '002'\n")
    assert ids(small_project) == ["001"]


def test_no_revision_is_imported(small_project: SmallProject) -> None:
    small_project.write_revision("001", extra="raise SystemExit")
    assert ids(small_project) == ["001"]


@pytest.mark.parametrize(
    "lines",
    [
        "revision, down_revision = '002', '001'",
        "first = '001'\nrevision: str = '00' + '2'\ndown_revision: str | None = first",
        "revision = str(2).zfill(3)\ndown_revision = '001'",
        "from pathlib import Path\nrevision = Path(__file__).stem[:3]\ndown_revision = f'{1:03}'",
        "if True:\n    revision = '002'\ndown_revision = '001'",
        "(revision, *_), down_revision = ['002', 1], '001'",
        "globals().update(revision='002', down_revision='001')",
        "for revision in ('002',): down_revision = '001'",
        "(revision := '002'); down_revision = '001'",
        "match '002':\n    case revision: down_revision = '001'",
    ],
    ids=["tuple", "sum", "call", "file-name", "condition", "star", "globals", "loop", "walrus", "match"],
)
def test_a_revision_is_read_however_it_is_written(small_project: SmallProject, lines: str) -> None:
    small_project.write_revision("001")
    file = small_project.write_revision("002")
    file.write_text(f"{lines}\ndef upgrade(): pass\ndef downgrade(): pass\n")
    _, script = read_scripts(small_project.project)
    assert script.revision is not None
    assert (script.revision.id, script.revision.parents) == ("002", ("001",))


def test_a_file_of_alembics_first_years_has_its_id_in_its_name(small_project: SmallProject) -> None:
    file = small_project.write_revision("001")
    old = file.rename(file.with_name("a1b2.py"))
    old.write_text("down_revision = None\ndef upgrade(): pass\ndef downgrade(): pass\n")
    assert [it.id for it in History.read(small_project.project).revisions] == ["a1b2"]


def test_the_reasons_of_a_computed_revision_are_read_too(small_project: SmallProject) -> None:
    file = small_project.write_revision("001")
    file.write_text("revision = str('001')\ndown_revision = None\nlossy = 'a'\nassumes = 'b'\nirreversible = 'c'\n")
    (script,) = read_scripts(small_project.project)
    assert script.revision is not None
    assert (script.revision.lossy, script.revision.assumes, script.revision.irreversible) == ("a", "b", "c")


def test_a_computed_parent_never_passes_for_none(small_project: SmallProject) -> None:
    file = small_project.write_revision("001")
    file.write_text("revision = '001'\ndown_revision = missing()\n")
    (script,) = read_scripts(small_project.project)
    assert script.revision is None


def test_what_a_file_prints_when_it_is_imported_is_no_result(small_project: SmallProject) -> None:
    file = small_project.write_revision("001")
    file.write_text("print('hello')\nrevision = str('001')\ndown_revision = None\nbranch_labels = {'a'}\n")
    (script,) = read_scripts(small_project.project)
    assert script.revision is not None
    assert (script.revision.id, script.revision.labels) == ("001", ("a",))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("version_locations = %(here)s/one %(here)s/two",), ["001", "002"]),
        (("version_locations = %(here)s/one:%(here)s/two", "path_separator = os"), ["001", "002"]),
        (("version_locations = one, two",), ["001", "002"]),
        (("version_locations =\n    one\n    two", "path_separator = newline"), ["001", "002"]),
        (("version_locations = %(here)s/one",), ["001"]),
        (("version_locations = %(here)s/one", "recursive_version_locations = true"), ["001", "003"]),
    ],
    ids=["spaces", "os", "commas", "newlines", "one", "recursive"],
)
def test_revisions_are_found_wherever_the_ini_says(
    small_project: SmallProject, lines: tuple[str, ...], found: list[str]
) -> None:
    for place, name, parent in (("one", "001", None), ("two", "002", "001"), ("one/deeper", "003", "001")):
        directory = small_project.root / place
        directory.mkdir(parents=True)
        small_project.write_revision(name, after=parent).rename(directory / f"{name}.py")
    small_project.write_ini("script_location = %(here)s/scripts", *lines)
    assert ids(small_project) == found
