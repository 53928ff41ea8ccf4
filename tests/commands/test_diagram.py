"""The diagram of the history at head, on both backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Inv, SmallProject


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_the_diagram_is_that_of_the_database_and_not_of_the_models(
    small_project: SmallProject, inv: Inv, backend: str
) -> None:
    small_project.write_revision(
        "001",
        'op.execute("CREATE TABLE room (id integer PRIMARY KEY)")\n'
        'op.execute("CREATE TABLE bed (room integer NOT NULL REFERENCES room)")\n'
        'op.execute("CREATE TABLE key (room integer UNIQUE REFERENCES room (id))")',
        'op.drop_table("key")\nop.drop_table("bed")\nop.drop_table("room")',
    )
    ended = inv("db.diagram", f"--backend={backend}")
    relations = [line.replace("public.", "").strip() for line in ended.out.splitlines() if "--" in line]
    assert ended.code == 0, ended.err
    assert relations == ['"room" ||--o{ "bed" : "room"', '"room" |o--o| "key" : "room"']


def test_a_file_is_written_and_an_unknown_table_is_named_with_near_ones(
    small_project: SmallProject, inv: Inv, tmp_path: Path
) -> None:
    small_project.write_table_revisions("room", "bed")
    file = tmp_path / "there" / "schema.dot"
    ended = inv("db.diagram", "--format=dot", "--tables=r*", "--backend=sqlite", f"--output={file}")
    assert (ended.code, ended.out) == (0, f"{file} written\n")
    assert "room" in file.read_text()
    assert "bed" not in file.read_text()
    ended = inv("db.diagram", "--tables=bed, rom", "--backend=sqlite")
    assert ended.code != 0
    assert "there is no table rom (the nearest are room)" in ended.err
