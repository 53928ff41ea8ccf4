"""Every command that writes revisions updates versions.sum, and two branches conflict in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.graph import check_graph
from dormatory.checks.integrity import check_integrity
from dormatory.commands.revision import write_revision
from dormatory.errors import UnknownRevisionError
from dormatory.project.checksum_update import add_checksums, write_checksums
from dormatory.project.checksums import read_checksums
from dormatory.project.history import History
from dormatory.project.revision_files import merge_scripts, read_scripts, read_scripts_at

if TYPE_CHECKING:
    from dormatory.project.script import Script
    from tests.conftest import SmallProject


def checksum_lines(project: SmallProject) -> list[str]:
    text = (project.root / "scripts" / "versions.sum").read_text()
    return [line.split(" ", 2)[0] + line.partition("  ")[2] for line in text.splitlines()[1:]]


def integrity_rules(project: SmallProject, reference: str = "main") -> list[str]:
    base = read_scripts_at(project.project, reference)
    return [
        found.rule for found in check_integrity(read_scripts(project.project), read_checksums(project.project), base)
    ]


def merge_with_checkout(project: SmallProject, reference: str) -> tuple[Script, ...]:
    theirs = read_scripts_at(project.project, reference)
    return merge_scripts(project.project, reference, ours=read_scripts(project.project), theirs=theirs)


def test_a_new_revision_gets_its_line(published: SmallProject) -> None:
    write_revision(published.project, "Add a third", empty=True)
    assert checksum_lines(published) == ["001", "002", "003"]
    assert integrity_rules(published) == []


@pytest.mark.parametrize("command", [["revision", "-m", "Add a third"], ["merge", "-m", "Join both", "002", "a02"]])
def test_plain_alembic_updates_the_checksums_too(published: SmallProject, command: list[str]) -> None:
    if command[0] == "merge":
        published.write_revision("a02", after="001")
        add_checksums(published.project)
    ended = published.alembic(*command)
    assert ended.code == 0, ended.err
    assert sorted(checksum_lines(published)) == sorted(item.id for item in History.read(published.project).revisions)
    assert integrity_rules(published) == []


def test_a_project_without_the_file_gets_none(small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    assert not add_checksums(small_project.project)
    assert not (small_project.root / "scripts" / "versions.sum").exists()


def test_rewriting_accepts_changes_that_are_not_published(published: SmallProject) -> None:
    published.write_revision("003", "op.drop_table('a')")
    add_checksums(published.project)
    published.write_revision("003", "op.drop_table('b')")
    assert integrity_rules(published) == ["revision-unsummed"]
    write_checksums(published.project)
    assert integrity_rules(published) == []


def test_rewriting_does_not_accept_published_changes(published: SmallProject) -> None:
    published.write_revision("002", "op.drop_table('a')")
    write_checksums(published.project)
    assert integrity_rules(published) == ["revision-changed"]
    write_checksums(published.project, reason="002: it never ran")
    assert integrity_rules(published) == []
    assert checksum_lines(published) == ["001", "002# it never ran"]
    write_checksums(published.project)
    assert checksum_lines(published) == ["001", "002# it never ran"]


def test_a_published_revision_that_is_removed_needs_a_reason(published: SmallProject) -> None:
    (published.versions / "002_x.py").unlink()
    write_checksums(published.project)
    assert integrity_rules(published) == ["revision-removed"]
    write_checksums(published.project, reason="002: squashed")
    assert integrity_rules(published) == []
    assert checksum_lines(published) == ["002# squashed", "001"]


def test_an_unpublished_revision_that_is_removed_needs_none(published: SmallProject) -> None:
    published.write_revision("003")
    add_checksums(published.project)
    (published.versions / "003_x.py").unlink()
    write_checksums(published.project)
    assert checksum_lines(published) == ["001", "002"]


def test_without_git_a_listed_revision_may_not_change_until_the_file_is_rewritten(
    small_project: SmallProject,
) -> None:
    small_project.write_table_revisions("a")
    write_checksums(small_project.project)
    small_project.write_revision("001", "op.drop_table('x')")
    (found,) = check_integrity(read_scripts(small_project.project), read_checksums(small_project.project))
    assert found.rule == "revision-changed"
    write_checksums(small_project.project)
    assert list(check_integrity(read_scripts(small_project.project), read_checksums(small_project.project))) == []


def test_a_reason_for_no_revision_is_refused(published: SmallProject) -> None:
    with pytest.raises(UnknownRevisionError):
        write_checksums(published.project, reason="009: why")


def test_two_branches_that_add_a_revision_conflict_in_git_and_in_the_graph(published: SmallProject) -> None:
    published.git("checkout", "-qb", "theirs")
    published.write_revision("003").rename(published.versions / "003_theirs.py")
    add_checksums(published.project)
    published.commit()
    published.git("checkout", "-qb", "ours", "main")
    published.write_revision("a03", after="002")
    add_checksums(published.project)
    published.commit()

    (heads,) = (
        found for found in check_graph(merge_with_checkout(published, "theirs")) if found.rule == "several-heads"
    )
    assert heads.message == "the history has 2 heads: 003, a03"
    assert [found.rule for found in check_graph(read_scripts(published.project))] == ["empty-revision"]
    assert published.git("status", "--short") == ""
    assert "versions.sum" in published.git("merge", "theirs", check=False)


def test_a_revision_that_one_branch_renamed_is_merged_once(published: SmallProject) -> None:
    published.git("checkout", "-qb", "ours")
    (published.versions / "002_x.py").rename(published.versions / "002_better_name.py")
    assert list(check_graph(merge_with_checkout(published, "main"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "pathlib.Path(__file__).with_suffix('.sql')",
        "pathlib.Path(__file__).parent.parent / 'sql' / 'more.sql'",
        "pathlib.Path(__file__).parent / f'{revision}_up.sql'",
    ],
)
def test_a_sql_file_that_a_revision_reads_is_part_of_it(small_project: SmallProject, code: str) -> None:
    small_project.write_table_revisions("a")
    file = small_project.write_revision("002", f"op.execute(({code}).read_text())", extra="import pathlib")
    (small_project.root / "scripts" / "sql").mkdir()
    names = ("sql/more.sql", f"versions/{file.stem}.sql", "versions/002_up.sql", "versions/other.sql")
    texts = [small_project.root / "scripts" / name for name in names]
    for text in texts:
        text.write_text("CREATE TABLE b (id int);\n")
    small_project.git("init", "-q")
    write_checksums(small_project.project)
    small_project.commit()
    texts[-1].write_text("CREATE TABLE c (id int);\n")
    assert integrity_rules(small_project) == []
    for text in texts[:-1]:
        text.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))
    assert integrity_rules(small_project) == []
    for text in texts[:-1]:
        text.write_text("CREATE TABLE d (id int);\n")
    assert integrity_rules(small_project) == ["revision-changed"]
