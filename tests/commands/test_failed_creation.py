"""A `db.upgrade` that fails removes the SQLite file that it created, unless something was kept in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Inv, SmallProject

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="who has a file open is known on Linux only")


@pytest.mark.parametrize(("failing", "to"), [("op.execute('SELECT nothing')", "head"), ("pass", "missing")])
def test_no_empty_file_is_left(inv: Inv, small_project: SmallProject, failing: str, to: str) -> None:
    small_project.write_table_revisions("a")
    small_project.write_revision("002", failing)
    file = small_project.root / "x.db"
    assert inv("db.upgrade", f"--to={to}", url=f"sqlite:///{file}").code in {2, 3}
    assert not file.exists()


def test_a_file_with_what_was_kept_stays(inv: Inv, small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    kept = "with op.get_context().autocommit_block():\n    op.execute('CREATE TABLE kept (id INTEGER)')"
    small_project.write_revision("002", f"{kept}\nop.execute('SELECT nothing')")
    file = small_project.root / "x.db"
    assert inv("db.upgrade", url=f"sqlite:///{file}").code == 3
    assert file.stat().st_size
