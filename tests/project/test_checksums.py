"""versions.sum is kept by what writes revisions, and two branches meet in it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.graph import graph
from dormatory.checks.integrity import integrity
from dormatory.commands.revision import Desk
from dormatory.errors import UnknownRevisionError
from dormatory.project.checksums import keep, sums, write
from dormatory.project.history import History
from dormatory.project.revision_files import scripts, scripts_at, scripts_merged

if TYPE_CHECKING:
    from tests.conftest import SmallProject


def git(project: SmallProject, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *names, *arguments], cwd=project.root, check=check, capture_output=True, text=True)


def commit(project: SmallProject) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "more")


def lines(project: SmallProject) -> list[str]:
    text = (project.root / "scripts" / "versions.sum").read_text()
    return [line.split(" ", 2)[0] + line.partition("  ")[2] for line in text.splitlines()[1:]]


@pytest.fixture
def published(small_project: SmallProject) -> SmallProject:
    """A project with two revisions on its main branch, and their sums."""
    small_project.tables("a", "b")
    git(small_project, "init", "-q")
    write(small_project.project)
    commit(small_project)
    return small_project


def rules(project: SmallProject, reference: str = "main") -> list[str]:
    base = scripts_at(project.project, reference)
    return [found.rule for found in integrity(scripts(project.project), sums(project.project), base)]


def test_a_new_revision_gets_its_line(published: SmallProject) -> None:
    with Desk(published.project) as desk:
        desk.write("Add a third", empty=True)
    assert lines(published) == ["001", "002", "003"]
    assert rules(published) == []


@pytest.mark.parametrize("command", [["revision", "-m", "Add a third"], ["merge", "-m", "Join both", "002", "a02"]])
def test_plain_alembic_keeps_the_sums_too(published: SmallProject, command: list[str]) -> None:
    if command[0] == "merge":
        published.revision("a02", after="001")
        keep(published.project)
    ended = published.alembic(*command)
    assert ended.code == 0, ended.err
    assert sorted(lines(published)) == sorted(item.id for item in History.read(published.project).revisions)
    assert rules(published) == []


def test_a_project_without_the_file_gets_none(small_project: SmallProject) -> None:
    small_project.tables("a")
    assert not keep(small_project.project)
    assert not (small_project.root / "scripts" / "versions.sum").exists()


def test_writing_it_anew_forgives_what_is_not_published(published: SmallProject) -> None:
    published.revision("003", "op.drop_table('a')")
    keep(published.project)
    published.revision("003", "op.drop_table('b')")
    assert rules(published) == ["revision-unsummed"]
    write(published.project)
    assert rules(published) == []


def test_writing_it_anew_does_not_forgive_what_is_published(published: SmallProject) -> None:
    published.revision("002", "op.drop_table('a')")
    write(published.project)
    assert rules(published) == ["revision-changed"]
    write(published.project, reason="002: it never ran")
    assert rules(published) == []
    assert lines(published) == ["001", "002# it never ran"]
    write(published.project)
    assert lines(published) == ["001", "002# it never ran"]


def test_a_published_revision_that_goes_needs_a_reason(published: SmallProject) -> None:
    (published.versions / "002_x.py").unlink()
    write(published.project)
    assert rules(published) == ["revision-removed"]
    write(published.project, reason="002: squashed")
    assert rules(published) == []
    assert lines(published) == ["002# squashed", "001"]


def test_an_unpublished_revision_that_goes_needs_none(published: SmallProject) -> None:
    published.revision("003")
    keep(published.project)
    (published.versions / "003_x.py").unlink()
    write(published.project)
    assert lines(published) == ["001", "002"]


def test_without_git_what_has_a_line_may_not_change_until_the_file_is_written_anew(small_project: SmallProject) -> None:
    small_project.tables("a")
    write(small_project.project)
    small_project.revision("001", "op.drop_table('x')")
    (found,) = integrity(scripts(small_project.project), sums(small_project.project))
    assert found.rule == "revision-changed"
    write(small_project.project)
    assert list(integrity(scripts(small_project.project), sums(small_project.project))) == []


def test_a_reason_for_no_revision_is_refused(published: SmallProject) -> None:
    with pytest.raises(UnknownRevisionError):
        write(published.project, reason="009: why")


def test_two_branches_that_add_a_revision_meet_in_git_and_in_the_graph(published: SmallProject) -> None:
    git(published, "checkout", "-qb", "theirs")
    published.revision("003").rename(published.versions / "003_theirs.py")
    keep(published.project)
    commit(published)
    git(published, "checkout", "-qb", "ours", "main")
    published.revision("a03", after="002")
    keep(published.project)
    commit(published)

    (heads,) = (found for found in graph(scripts_merged(published.project, "theirs")) if found.rule == "several-heads")
    assert heads.message == "the history has 2 heads: 003, a03"
    assert [found.rule for found in graph(scripts(published.project))] == ["empty-revision"]
    assert git(published, "status", "--short").stdout == ""
    assert "versions.sum" in git(published, "merge", "theirs", check=False).stdout


def test_a_revision_that_one_branch_moved_is_not_there_twice(published: SmallProject) -> None:
    git(published, "checkout", "-qb", "ours")
    (published.versions / "002_x.py").rename(published.versions / "002_better_name.py")
    assert list(graph(scripts_merged(published.project, "main"))) == []
