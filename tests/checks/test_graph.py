"""What is wrong with the revision graph is found without a database, all at once, for the checkout and for a merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.finding import Severity
from dormatory.checks.graph import graph
from dormatory.project.project import Project
from dormatory.project.revision_files import Script, merged, scripts

if TYPE_CHECKING:
    from tests.conftest import SmallProject

ROOT = Path(__file__).resolve().parents[2]


def revision(
    name: str,
    *parents: str,
    upgrade: str = 'op.drop_table("a")',
    file: str = "",
    extra: str = "",
    downgrade: bool = True,
) -> Script:
    below = None if not parents else parents[0] if len(parents) == 1 else parents
    lines = [
        f'"""Do step {name}."""',
        "from alembic import op",
        "import sqlalchemy as sa",
        f"revision = {name!r}",
        f"down_revision = {below!r}",
        extra,
        f"def upgrade():\n    {upgrade}",
        "def downgrade():\n    pass" if downgrade else "",
    ]
    return Script.of(Path(f"versions/{file or f'{name}_step.py'}"), "\n".join(lines).encode())


def rules(*files: Script) -> list[tuple[str, str]]:
    return [(found.rule, found.revision) for found in graph(files)]


def test_a_history_in_a_row_is_clean() -> None:
    assert rules(revision("001"), revision("002", "001"), revision("003", "002")) == []


def test_two_heads_are_told_with_the_command_that_joins_them() -> None:
    (found,) = graph([revision("001"), revision("002", "001"), revision("003", "001", upgrade='op.drop_table("b")')])
    assert (found.rule, found.revision) == ("several-heads", "003")
    assert found.hint.endswith("alembic merge 002 003")


@pytest.mark.parametrize(
    ("labels", "severity"),
    [(("x", "y"), Severity.NOTE), (("x", ""), Severity.ERROR), (("", ""), Severity.ERROR)],
)
def test_branches_with_labels_of_their_own_are_meant_to_stay(labels: tuple[str, str], severity: Severity) -> None:
    left, right = (f'branch_labels = ("{label}",)' if label else "" for label in labels)
    files = [
        revision("001", extra='branch_labels = ("both",)'),
        revision("002", "001", extra=left),
        revision("003", "001", extra=right, upgrade='op.drop_table("b")'),
    ]
    (found,) = graph(files)
    assert (found.rule, found.severity) == ("several-heads", severity)


@pytest.mark.parametrize(
    ("upgrade", "expected"),
    [
        ("...", ["empty-revision"]),
        ("if op.get_bind():\n        pass", ["empty-revision"]),
        ('with op.batch_alter_table("a") as batch:\n        pass', ["empty-revision"]),
        ('with op.batch_alter_table("a", recreate="always") as batch:\n        pass', []),
        ("if op.get_bind():\n        print()", []),
    ],
)
def test_what_does_nothing_is_empty_however_it_is_written(upgrade: str, expected: list[str]) -> None:
    assert [found.rule for found in graph([revision("001"), revision("002", "001", upgrade=upgrade)])] == expected


def test_everything_is_told_at_once() -> None:
    files = [
        revision("001"),
        revision("002", "001"),
        revision("002", "001", file="002_other.py"),
        revision("003", "nobody"),
        revision("004", "003"),
        revision("005", "006"),
        revision("006", "005"),
        Script.of(Path("versions/007_broken.py"), b"def ("),
        Script.of(Path("versions/008_helper.py"), b"x = 1"),
        revision("009", "002", downgrade=False),
        revision("010", "009", upgrade="pass"),
        revision("0" * 33, "010"),
        revision("012", "0" * 33, file="013_step.py"),
    ]
    assert rules(*files) == [
        ("unreadable-revision", ""),
        ("unreadable-revision", ""),
        ("duplicate-id", "002"),
        ("missing-parent", "003"),
        ("cycle", "005"),
        ("unreachable-revision", "004"),
        ("no-downgrade", "009"),
        ("empty-revision", "010"),
        ("id-too-long", "0" * 33),
        ("file-name", "012"),
    ]


def test_a_finding_stands_at_the_line_that_is_wrong() -> None:
    found = {
        item.rule: item.line for item in graph([revision("001"), revision("002", "x"), revision("001", file="b.py")])
    }
    assert found == {"duplicate-id": 4, "missing-parent": 5}


def test_parents_may_be_shortened_or_labels() -> None:
    files = [
        revision("abcdef"),
        revision("bcdefa", "abc", extra='branch_labels = ("shop",)'),
        revision("cdefab", "shop@head".partition("@")[0]),
        revision("defabc", "cdefab", extra='depends_on = "bcd"'),
    ]
    assert rules(*files) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([revision("001", upgrade="pass")], Severity.NOTE),
        ([revision("001"), revision("002", "001", upgrade='"""Only words."""\n    return None')], Severity.WARNING),
        ([revision("001"), revision("002", "001", upgrade="pass", extra='branch_labels = ("x",)')], None),
        ([revision("001"), revision("002", "001", upgrade="print()")], None),
    ],
)
def test_an_empty_upgrade_is_meant_at_a_beginning_or_a_join(files: list[Script], expected: Severity | None) -> None:
    assert [found.severity for found in graph(files)] == ([expected] if expected else [])


def test_an_upgrade_that_is_missing_is_an_error() -> None:
    file = revision("001")
    script = Script.of(file.path, file.source.replace(b"def upgrade", b"def forward"))
    (found,) = graph([script])
    assert (found.rule, found.severity) == ("empty-revision", Severity.ERROR)


@pytest.mark.parametrize(
    "given",
    [
        "if True:\n    def upgrade(): op.drop_table('a')\nelse:\n    def upgrade(): pass",
        "try:\n    from shared import upgrade\nexcept ImportError:\n    upgrade = None",
        "import shared as upgrade",
        "upgrade: object = print",
    ],
)
def test_a_function_may_be_given_in_any_way_that_python_has(given: str) -> None:
    """What a module imports, assigns or defines under a condition is there."""
    script = Script.of(
        Path("001_a.py"), f"revision = '001'\ndown_revision = None\n{given}\ndef downgrade(): pass".encode()
    )
    assert not [found for found in graph([script], backends=("sqlite",)) if "no upgrade function" in found.message]


def test_a_function_within_another_is_none_of_the_modules() -> None:
    """Nor is one of a class, or a name without a value."""
    given = "class Step:\n    def upgrade(self): pass\ndef make():\n    def upgrade(): pass\nupgrade: object"
    script = Script.of(Path("001_a.py"), f"revision = '001'\ndown_revision = None\n{given}".encode())
    assert any("no upgrade function" in found.message for found in graph([script], backends=("sqlite",)))


def test_a_history_without_downgrades_is_told_once() -> None:
    assert rules(revision("001", downgrade=False), revision("002", "001", downgrade=False)) == [
        ("no-downgrades", "001")
    ]


def test_a_revision_that_declares_no_way_back_needs_no_downgrade() -> None:
    files = [revision("001"), revision("002", "001", downgrade=False, extra='irreversible = "erased"')]
    assert rules(*files) == []


@pytest.mark.parametrize(("backends", "expected"), [(["sqlite"], Severity.NOTE), (["postgresql"], Severity.ERROR)])
def test_a_long_id_breaks_on_postgresql_only(backends: list[str], expected: Severity) -> None:
    (found,) = graph([revision("x" * 33)], backends=backends)
    assert (found.rule, found.severity) == ("id-too-long", expected)


def test_names_of_files_need_not_hold_the_id_where_none_does() -> None:
    files = [revision("a1", file="one.py"), revision("b2", "a1", file="two.py")]
    assert rules(*files) == []


@pytest.mark.parametrize(
    ("left", "right", "what"),
    [
        ('op.add_column("a", sa.Column("b"))', 'op.execute("ALTER TABLE a DROP COLUMN b")', "column a.b"),
        ('op.add_column("a", sa.Column("b"))', 'op.drop_table("a")', "table a"),
        ('op.create_index("i", "a", ["b"])', 'op.execute("DROP INDEX IF EXISTS i")', "index i"),
        ('op.execute("UPDATE a SET b = 1")', 'op.alter_column("a", "b", nullable=True)', "column a.b"),
        ('op.create_table("a")', 'op.execute("CREATE TABLE a (b int)")', "table a"),
        ('op.execute("CREATE TYPE t AS ENUM ()")', "op.execute(\"ALTER TYPE t ADD VALUE 'x'\")", "type t"),
        ('op.drop_constraint("c", "a")', 'op.execute("ALTER TABLE a DROP CONSTRAINT c")', "constraint a.c"),
        ('op.batch_alter_table("a")\n    with op.batch_alter_table("a") as b: b.drop_column("b")',
         'op.drop_column("a", "b")', "column a.b"),
    ],
)  # fmt: skip
def test_branches_that_change_the_same_thing_are_told_where_they_join(left: str, right: str, what: str) -> None:
    branches = [
        revision("001", upgrade="print()"),
        revision("002", "001", upgrade=left),
        revision("003", "001", upgrade=right),
    ]
    (found,) = graph([*branches, revision("004", "002", "003", upgrade="pass")])
    assert (found.rule, found.revision, found.object) == ("branches-collide", "004", what)
    assert {item.rule for item in graph(branches)} == {"several-heads", "branches-collide"}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('op.add_column("a", sa.Column("b"))', 'op.add_column("a", sa.Column("c"))'),
        ('op.create_table("a")', 'op.create_table("b")'),
        ('op.create_index("i", "a", ["b"])', 'op.create_index("j", "a", ["b"])'),
        ('op.drop_constraint("c", "a")', 'op.drop_constraint("c", "b")'),
        ('op.execute("UPDATE a SET b = 1")', 'op.execute("UPDATE a SET c = 1")'),
    ],
)
def test_branches_that_change_different_things_are_silent(left: str, right: str) -> None:
    files = [
        revision("001", upgrade="print()"),
        revision("002", "001", upgrade=left),
        revision("003", "001", upgrade=right),
        revision("004", "002", "003", upgrade="pass"),
    ]
    assert rules(*files) == []


def test_what_was_changed_before_the_branches_parted_is_no_collision() -> None:
    files = [
        revision("001", upgrade='op.create_table("a")'),
        revision("002", "001", upgrade='op.add_column("a", sa.Column("b"))'),
        revision("003", "001", upgrade='op.create_table("c")'),
        revision("004", "002", "003", upgrade="pass"),
    ]
    assert rules(*files) == []


def test_what_python_warns_of_is_no_failure() -> None:
    assert rules(revision("001", upgrade='op.execute("\\:x")')) == []


def test_our_own_history_is_clean() -> None:
    assert list(graph(scripts(Project.read(ROOT / "alembic.ini")))) == []


def test_neither_graph_nor_integrity_nor_source_loads_sqlalchemy(small_project: SmallProject) -> None:
    small_project.tables("a", "b")
    code = f"""
import sys
from pathlib import Path
from dormatory.checks.graph import graph
from dormatory.checks.integrity import integrity
from dormatory.checks.source import Application, source
from dormatory.project.project import Project
from dormatory.project.revision_files import scripts
from dormatory.project.checksums import sums
project = Project.read(Path({str(small_project.root / "alembic.ini")!r}))
files = scripts(project)
print(*graph(files), *integrity(files, sums(project)), *source(files, Application.of(project)))
print({{"sqlalchemy", "alembic"}} & sys.modules.keys())
"""
    ended = small_project.run_code(code)
    assert (ended.out, ended.err) == ("\nset()\n", "")


@pytest.mark.parametrize(
    ("before", "ours", "theirs", "expected"),
    [
        ({"a": b"1"}, {"a": b"1", "b": b"2"}, {"a": b"1", "c": b"3"}, {"a": b"1", "b": b"2", "c": b"3"}),
        ({"a": b"1"}, {"a": b"2"}, {"a": b"1"}, {"a": b"2"}),
        ({"a": b"1"}, {"a": b"1"}, {"a": b"2"}, {"a": b"2"}),
        ({"a": b"1"}, {}, {"a": b"1"}, {}),
        ({"a": b"1"}, {"a": b"1"}, {}, {}),
        ({}, {"a": b"1"}, {"a": b"2"}, {"a": b"1"}),
    ],
)
def test_two_sets_of_files_merge_as_git_merges_them(
    before: dict[str, bytes], ours: dict[str, bytes], theirs: dict[str, bytes], expected: dict[str, bytes]
) -> None:
    def named(files: dict[str, bytes]) -> dict[Path, bytes]:
        return {Path(name): source for name, source in files.items()}

    assert merged(named(before), named(ours), named(theirs)) == named(expected)
