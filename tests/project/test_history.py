"""The history is read from files: it accepts what Alembic accepts, and refuses what makes Alembic fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from dormatory.errors import BrokenHistoryError, MultipleHeadsError, UnknownRevisionError
from dormatory.project.history import History

if TYPE_CHECKING:
    from tests.conftest import SmallProject


def read_history(project: SmallProject) -> History:
    return History.read(project.project)


def ids(history: History) -> list[str]:
    return [revision.id for revision in history.revisions]


def test_a_file_that_gives_no_revision_is_refused(small_project: SmallProject) -> None:
    small_project.write_revision("001")
    file = small_project.write_revision("002", after="001")
    file.write_text("import not_there\nrevision = str('002')\n")
    with pytest.raises(BrokenHistoryError, match=f"{file.name} gives no revision"):
        read_history(small_project)


class TestGraph:
    def test_branches_merges_labels_and_dependencies_are_understood(self, small_project: SmallProject) -> None:
        small_project.write_revision("base", after=None, extra="branch_labels = ('trunk',)")
        small_project.write_revision("left", after="base")
        small_project.write_revision("right", after="base", extra="depends_on = 'trunk'")
        small_project.write_revision("other", after=None, extra="depends_on = ('left',)")
        small_project.write_revision("joined", after=("left", "right"))
        history = read_history(small_project)
        assert ids(history) == ["base", "left", "right", "joined", "other"] or ids(history)[:1] == ["base"]
        assert history.get("joined").parents == ("left", "right")
        assert history.get("trunk").id == "base"
        assert history.get("right").depends_on == ("base",)
        assert sorted(history.heads) == ["joined", "other"]
        assert [item.id for item in history.pending(["other"])] == ["right", "joined"]

    def test_parents_come_before_children_whatever_the_files_are_called(self, small_project: SmallProject) -> None:
        for name, parent in (("c", None), ("a", "c"), ("b", "a")):
            small_project.write_revision(name, after=parent)
        assert ids(read_history(small_project)) == ["c", "a", "b"]

    def test_shortened_ids_are_completed(self, small_project: SmallProject) -> None:
        small_project.write_revision("abc123", after=None)
        small_project.write_revision("def456", after="abc")
        history = read_history(small_project)
        assert history.get("def456").parents == ("abc123",)
        assert history.get("de").id == "def456"

    def test_an_unknown_or_ambiguous_name_is_refused(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a", "b")
        for name in ("", "0", "9", "heads"):
            with pytest.raises(UnknownRevisionError):
                read_history(small_project).get(name)

    def test_head_is_refused_where_there_are_two(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", after="001")
        small_project.write_revision("003", after="001")
        with pytest.raises(MultipleHeadsError, match=r"alembic merge .* 002 003"):
            read_history(small_project).get("head")

    def test_it_agrees_with_alembic_on_heads_and_order(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a", "b", "c")
        small_project.write_revision("x1", after="002")
        small_project.write_revision("m1", after=("003", "x1"))
        script = ScriptDirectory.from_config(Config(str(small_project.root / "alembic.ini")))
        assert sorted(read_history(small_project).heads) == sorted(script.get_heads())
        assert set(ids(read_history(small_project))) == {item.revision for item in script.walk_revisions()}

    def test_an_empty_history_is_no_error(self, small_project: SmallProject) -> None:
        history = read_history(small_project)
        assert (ids(history), history.heads, history.next_id()) == ([], (), "001")
        with pytest.raises(UnknownRevisionError, match="it is empty"):
            history.get("head")

    def test_the_next_number_follows_the_highest_and_ignores_other_ids(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a", "b")
        small_project.write_revision("ae1f", after="002")
        assert read_history(small_project).next_id() == "003"
        small_project.write_revision("999", after="ae1f")
        assert read_history(small_project).next_id() == "1000"


class TestBroken:
    """A broken history is refused with a message that names the files."""

    def assert_refused(self, project: SmallProject, *parts: str) -> None:
        with pytest.raises(BrokenHistoryError) as raised:
            read_history(project)
        for part in parts:
            assert part in str(raised.value)

    def test_an_id_used_twice(self, small_project: SmallProject) -> None:
        first = small_project.write_revision("001")
        second = first.with_name("another.py")
        second.write_text(first.read_text())
        self.assert_refused(small_project, "revision 001 exists twice", str(first), str(second))

    def test_a_parent_that_no_file_has(self, small_project: SmallProject) -> None:
        file = small_project.write_revision("002", after="001")
        self.assert_refused(small_project, f"{file} builds on 001, which no file has")

    def test_a_dependency_that_no_file_has(self, small_project: SmallProject) -> None:
        file = small_project.write_revision("001", extra="depends_on = 'gone'")
        self.assert_refused(small_project, f"{file} builds on gone, which no file has")

    def test_a_cycle(self, small_project: SmallProject) -> None:
        small_project.write_revision("001", after="002")
        small_project.write_revision("002", after="001")
        self.assert_refused(
            small_project, "revisions 001 → 002 → 001 form a cycle (each of them comes before the others)"
        )

    def test_a_file_that_does_not_parse(self, small_project: SmallProject) -> None:
        file = small_project.write_revision("001", extra="def (:")
        self.assert_refused(small_project, f"{file}:8 does not parse")

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"x = '\x00'"], ids=["no-utf-8", "null-byte"])
    def test_a_file_that_is_no_text(self, small_project: SmallProject, content: bytes) -> None:
        file = small_project.versions / "001_x.py"
        file.write_bytes(content)
        self.assert_refused(small_project, f"{file}:1 does not parse")
