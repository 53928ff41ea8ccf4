"""Writing a dump into its file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dormatory.commands.schema_dump import write_dump
from dormatory.errors import UnwritableFileError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A dump that was written before."""
    path = tmp_path / "schema" / "sqlite.sql"
    path.parent.mkdir()
    path.write_bytes(b"old\n")
    return path


def test_a_new_text_replaces_the_old_one(file: Path) -> None:
    assert write_dump(file, "neu, 新\n")

    assert file.read_bytes() == "neu, 新\n".encode()
    assert os.listdir(file.parent) == ["sqlite.sql"]  # noqa: PTH208


def test_the_same_text_leaves_the_file_alone(file: Path) -> None:
    before = file.stat()

    assert not write_dump(file, "old\n")

    assert file.stat() == before


def test_a_missing_directory_is_created(tmp_path: Path) -> None:
    assert write_dump(tmp_path / "a" / "b" / "c.sql", "new\n")

    assert (tmp_path / "a" / "b" / "c.sql").read_text() == "new\n"


def test_the_mode_of_the_old_file_is_kept_and_a_new_one_gets_the_usual(file: Path) -> None:
    file.chmod(0o640)
    usual = file.with_name("usual")
    usual.touch()

    write_dump(file, "new\n")
    write_dump(file.with_name("other.sql"), "new\n")

    assert file.stat().st_mode & 0o777 == 0o640
    assert file.with_name("other.sql").stat().st_mode == usual.stat().st_mode


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sql"
    link.symlink_to(file)

    write_dump(link, "new\n")

    assert link.is_symlink()
    assert file.read_text() == "new\n"


def test_temporary_files_of_a_killed_run_are_removed(file: Path) -> None:
    (file.parent / ".dormatory-left.part").write_text("half")

    write_dump(file, "new\n")

    assert os.listdir(file.parent) == ["sqlite.sql"]  # noqa: PTH208


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")], ids=["Ctrl-C", "full"])
def test_an_interrupted_write_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: type[BaseException] | BaseException
) -> None:
    def raise_failure(*_: object) -> None:
        raise failure

    monkeypatch.setattr(step, raise_failure)

    with pytest.raises((KeyboardInterrupt, UnwritableFileError)):
        write_dump(file, "new\n")

    assert file.read_bytes() == b"old\n"
    assert os.listdir(file.parent) == ["sqlite.sql"]  # noqa: PTH208


def test_an_unwritable_path_is_reported_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "sqlite.sql"

    with pytest.raises(UnwritableFileError) as caught:
        write_dump(path, "new\n")

    assert str(caught.value) == (
        f"{path} cannot be written (File exists); check that its directory exists, and owner, mode and free space there"
    )
