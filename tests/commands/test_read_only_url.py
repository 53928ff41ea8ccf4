"""An SQLite URL that opens the file for reading only is obeyed: commands that read work, all others change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Inv, SmallProject


@pytest.fixture
def file(small_project: SmallProject) -> Path:
    """A file at its first of two revisions."""
    small_project.write_table_revisions("a", "b")
    file = small_project.root / "x y.db"
    small_project.upgrade(f"sqlite:///{file}", "001")
    return file


@pytest.mark.parametrize("option", ["mode=ro", "immutable=1"])
@pytest.mark.parametrize("command", ["upgrade", "downgrade", "stamp", "reset", "undo"])
def test_nothing_is_changed_and_the_option_is_named(inv: Inv, file: Path, option: str, command: str) -> None:
    assert inv("db.backup", url=f"sqlite:///{file}").code == 0
    before, backups = file.read_bytes(), sorted(file.parent.glob(".dormatory/backups/*"))
    ended = inv(f"db.{command}", url=f"sqlite:///{file}?{option}")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == (
        f"error: sqlite:///{file}?{option} was not changed (DATABASE_URL opens it with {option}, for reading only); "
        f"leave {option} out of DATABASE_URL to change it"
    )
    assert file.read_bytes() == before
    assert sorted(file.parent.glob(".dormatory/backups/*")) == backups


def test_reading_commands_work(inv: Inv, file: Path) -> None:
    url = f"sqlite:///file:{str(file).replace(' ', '%2520')}?mode=ro&uri=true"
    current = inv("db.current", url=url)
    assert (current.code, current.out.split()[0]) == (0, "001")
    assert inv("db.backup", url=url).code == 0
    assert inv("db.check", "--live", url=url).code == 0


def test_a_missing_file_is_not_created(inv: Inv, file: Path) -> None:
    missing = file.with_name("missing.db")
    assert inv("db.upgrade", url=f"sqlite:///{missing}?mode=ro").code == 2
    assert not missing.exists()
