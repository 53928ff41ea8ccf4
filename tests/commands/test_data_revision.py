"""Data migrations that are written with loops, and where Alembic's own options put a new revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.commands.data_template import lines_to_complete
from dormatory.project.history import History

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Inv, SmallProject

UNREACHABLE_URL = "postgresql://u:canary@no.such.host.invalid/x"
NOTE = """
op.create_table(
    "note", sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("title", sa.String(50), nullable=False),
)
"""


@pytest.fixture
def notes(small_project: SmallProject) -> SmallProject:
    small_project.write_revision("001", NOTE, 'op.drop_table("note")')
    return small_project


def write_data_revision(inv: Inv, project: SmallProject) -> Path:
    ended = inv("db.revision", "--data", "--message", "Write titles in lower case", url=UNREACHABLE_URL)
    (file,) = project.versions.glob("002*.py")
    assert (ended.code, ended.out) == (0, f"{file}\n"), ended
    shown = [f"  {file.name}:{number}: {text}" for number, text in lines_to_complete(file)]
    assert len(shown) == 3
    assert ended.err.splitlines() == [
        "complete these lines; until then inv db.check says that the upgrade fails:",
        *shown,
    ]
    return file


class TestData:
    """inv db.revision --data."""

    def test_what_is_not_completed_fails(self, inv: Inv, notes: SmallProject) -> None:
        file = write_data_revision(inv, notes)
        ended = inv("db.check", "--only=roundtrip", "--backend=sqlite")
        assert ended.code == 1
        assert "upgrade-fails\n" in ended.out
        assert "in_batches finds no table TABLE" in ended.out
        file.write_text(file.read_text().replace('"TABLE"', '"note"'))
        ended = inv("db.check", "--only=roundtrip", "--backend=sqlite")
        assert ended.code == 1
        assert "no such column: note.COLUMN" in ended.out, ended.out

    def test_the_completed_revision_has_no_findings(self, inv: Inv, notes: SmallProject) -> None:
        file = write_data_revision(inv, notes)
        text = file.read_text().replace("TABLE", "note").replace('"COLUMN"', '"title"').replace("COLUMN", "title")
        kept = text.replace("upper(table.c.title)", 'replace(table.c.title, "", "")')
        file.write_text(kept.replace("\n# Where", '\nlossy = "note.title loses upper case"\n\n# Where'))
        ended = inv("db.check", "--strict", "--only=source,roundtrip,locks,data")
        assert ended.code == 0, ended.out
        assert ended.out.count("  · ") == 1, ended.out
        assert "as it declares: note.title loses upper case" in ended.out

    def test_a_template_of_another_form_is_named(self, inv: Inv, notes: SmallProject) -> None:
        template = notes.root / "scripts" / "script.py.mako"
        template.write_text(template.read_text().replace("def upgrade()", "def upgrade(engine_name)"))
        ended = inv("db.revision", "--data", "--message", "Write titles in lower case", url=UNREACHABLE_URL)
        assert ended.code == 2
        assert "002_write_titles_in_lower_case.py is an empty revision (the project's script.py.mako" in ended.err


class TestPlacement:
    """Alembic's own options, which pass through."""

    def test_a_branch_with_a_label_begins_beside_another_and_goes_on(self, inv: Inv, notes: SmallProject) -> None:
        notes.write_revision("002", "op.execute('SELECT 1')", after="001")
        split = ("--empty", "--head=001", "--splice", "--branch-label=shop", "--depends-on=002")
        assert inv("db.revision", "--message", "Begin the shop", *split, url=UNREACHABLE_URL).code == 0
        assert inv("db.revision", "--message", "Without a head", "--empty", url=UNREACHABLE_URL).code == 2
        onward = ("--data", "--head=shop@head")
        assert inv("db.revision", "--message", "Fill the shop", *onward, url=UNREACHABLE_URL).code == 0
        history = History.read(notes.project)
        third, fourth = history.get("003"), history.get("004")
        assert (third.parents, third.labels, third.depends_on) == (("001",), ("shop",), ("002",))
        assert fourth.parents == ("003",)

    def test_a_parent_that_is_no_head_needs_splice(self, inv: Inv, notes: SmallProject) -> None:
        notes.write_revision("002", after="001")
        notes.write_revision("003", after="001")
        ended = inv("db.revision", "--message", "Begin the shop", "--empty", "--head=001", url=UNREACHABLE_URL)
        assert ended.code == 2
        assert "Revision 001 is not a head revision" in ended.err

    def test_autogenerate_builds_on_the_head_that_is_named(self, inv: Inv, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", "op.create_table('b', sa.Column('id', sa.Integer, primary_key=True))")
        small_project.write_revision(
            "003", "op.create_table('c', sa.Column('id', sa.Integer, primary_key=True))", after="001"
        )
        tables = [f"sa.Table('{name}', metadata, sa.Column('id', sa.Integer, primary_key=True))" for name in "abcd"]
        small_project.write_env(
            "import sqlalchemy as sa", "metadata = sa.MetaData()", *tables, "environment.run(metadata)"
        )
        ended = inv("db.revision", "--message", "Add table d", "--head=003", "--no-proof", url=UNREACHABLE_URL)
        assert ended.code == 0, ended
        assert History.read(small_project.project).get("004").parents == ("003",)

    def test_directories_and_dated_names_are_those_of_alembic_ini(self, inv: Inv, small_project: SmallProject) -> None:
        other = small_project.root / "more"
        other.mkdir()
        small_project.write_ini(
            "script_location = %(here)s/scripts",
            "revision_environment = true",
            "path_separator = os",
            "version_locations = %(here)s/scripts/versions:%(here)s/more",
            "recursive_version_locations = true",
            "file_template = %%(year)d/%%(month).2d/%%(rev)s_%%(slug)s",
        )
        base = ("--head=base", "--branch-label=shop", f"--version-path={other}")
        assert inv("db.revision", "--empty", "--message", "Begin the shop", *base, url=UNREACHABLE_URL).code == 0
        (first,) = other.glob("*/*/001_begin_the_shop.py")
        onward = ("--data", f"--version-path={other}")  # of two directories, Alembic does not choose one
        assert inv("db.revision", "--message", "Fill the shop", *onward, url=UNREACHABLE_URL).code == 0
        (second,) = other.glob("*/*/002_fill_the_shop.py")
        assert History.read(small_project.project).get("002").parents == ("001",)
        assert first.parent == second.parent
