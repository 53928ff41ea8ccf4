"""The first-time set-up writes the missing files as the repository has them, and keeps what exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from dormatory.errors import UnwritableFileError
from dormatory.project.checksums import FILE_HEADER
from dormatory.project.scaffold import create_scaffold

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = ("alembic.ini", "alembic/env.py", "alembic/script.py.mako")


def test_an_empty_directory_gets_what_the_repository_has(tmp_path: Path) -> None:
    made = dict(create_scaffold(tmp_path))
    assert all(made.values())
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (REPOSITORY / name).read_bytes()
    assert (tmp_path / "alembic" / "versions").is_dir()


def test_the_checksums_begin_with_a_line_for_each_existing_revision(tmp_path: Path) -> None:
    versions = tmp_path / "alembic" / "versions"
    versions.mkdir(parents=True)
    (versions / "001_x.py").write_text('revision = "001"\ndown_revision = None\n')
    assert dict(create_scaffold(tmp_path))[tmp_path / "alembic" / "versions.sum"] is True
    heading, line = (tmp_path / "alembic" / "versions.sum").read_text().splitlines()
    assert heading.startswith("# Digests of the revisions")
    assert line.startswith("001 v1:")


def test_without_revisions_the_checksums_are_a_heading(tmp_path: Path) -> None:
    list(create_scaffold(tmp_path))
    assert (tmp_path / "alembic" / "versions.sum").read_text() == FILE_HEADER


def test_what_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\n# mine\n")
    made = dict(create_scaffold(tmp_path))
    assert made[tmp_path / "alembic.ini"] is False
    assert made[tmp_path / "alembic" / "env.py"] is True
    assert (tmp_path / "alembic.ini").read_text() == "[alembic]\n# mine\n"


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    list(create_scaffold(tmp_path))
    assert not any(is_new for _, is_new in create_scaffold(tmp_path))


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "alembic").write_text("a file where a directory should be")
    with pytest.raises(UnwritableFileError, match=r"alembic/versions cannot be written \(Not a directory\)"):
        list(create_scaffold(tmp_path))
