"""A damaged SQLite file is named as such by every command that would build on its rows, and is left as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Inv, SmallProject

_PAGE_BYTES = 4096


@pytest.fixture
def damaged(small_project: SmallProject) -> Path:
    """A file at its first of two revisions: a page in the middle of a table is overwritten, the rest answers."""
    small_project.write_table_revisions("a", "b")
    file = small_project.root / "x.db"
    small_project.upgrade(f"sqlite:///{file}", "001")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE word (text)")
        connection.executemany("INSERT INTO word VALUES (?)", [("x" * 500,)] * 200)
        connection.commit()
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2 // _PAGE_BYTES * _PAGE_BYTES)
        opened.write(b"\xff" * _PAGE_BYTES)
    return file


@pytest.mark.parametrize("command", [("db.upgrade",), ("db.rehearse",), ("db.check", "--live")], ids="".join)
def test_a_damaged_file_is_named_with_what_to_do(inv: Inv, damaged: Path, command: tuple[str, ...]) -> None:
    before = damaged.read_bytes()
    ended = inv(*command, url=f"sqlite:///{damaged}")
    assert (ended.code, ended.out) == (3, "")
    error = ended.err.splitlines()[-1]
    assert error.startswith(f"error: sqlite:///{damaged} is damaged (")
    assert error.endswith(
        "); move the file away, then put a backup in its place with: inv db.undo (inv db.backups lists them all)"
    )
    assert damaged.read_bytes() == before


def test_the_advice_leads_back_to_a_whole_file(inv: Inv, small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    file = small_project.root / "x.db"
    small_project.upgrade(f"sqlite:///{file}")
    assert inv("db.backup", url=f"sqlite:///{file}").code == 0
    file.rename(file.with_name("damaged.db"))
    undo = inv("db.undo", url=f"sqlite:///{file}")
    assert (undo.code, undo.out.splitlines()[-1]) == (0, f"sqlite:///{file} is at 001")


def test_the_position_of_a_damaged_file_is_shown(inv: Inv, damaged: Path) -> None:
    ended = inv("db.current", url=f"sqlite:///{damaged}")
    assert (ended.code, ended.out.split()[0]) == (0, "001")
