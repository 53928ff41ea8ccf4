"""What is wrong with the revision graph is found without a database, all at once, for the checkout and for a merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.finding import Severity
from dormatory.checks.graph import check_graph
from dormatory.project.project import Project
from dormatory.project.revision_files import merge_sources, read_scripts
from dormatory.project.script import Script

if TYPE_CHECKING:
    from tests.conftest import SmallProject

ROOT = Path(__file__).resolve().parents[2]


def revision_script(
    name: str,
    *parents: str,
    upgrade: str = 'op.drop_table("a")',
    file: str = "",
    extra: str = "",
    downgrade: bool = True,
) -> Script:
    down_revision = None if not parents else parents[0] if len(parents) == 1 else parents
    lines = [
        f'"""Do step {name}."""',
        "from alembic import op",
        "import sqlalchemy as sa",
        f"revision = {name!r}",
        f"down_revision = {down_revision!r}",
        extra,
        f"def upgrade():\n    {upgrade}",
        "def downgrade():\n    pass" if downgrade else "",
    ]
    return Script.parse(Path(f"versions/{file or f'{name}_step.py'}"), "\n".join(lines).encode())


def found_rules(*files: Script) -> list[tuple[str, str]]:
    return [(found.rule, found.revision) for found in check_graph(files)]


def test_a_linear_history_is_clean() -> None:
    assert found_rules(revision_script("001"), revision_script("002", "001"), revision_script("003", "002")) == []


def test_two_heads_are_reported_with_the_command_that_joins_them() -> None:
    (found,) = check_graph(
        [
            revision_script("001"),
            revision_script("002", "001"),
            revision_script("003", "001", upgrade='op.drop_table("b")'),
        ]
    )
    assert (found.rule, found.revision) == ("several-heads", "003")
    assert found.hint == (
        'down_revision = "002" in 003_step.py, or the other way round; '
        'or join them: alembic merge -m "Join 002 and 003" 002 003'
    )


@pytest.mark.parametrize(
    ("labels", "severity"),
    [(("x", "y"), Severity.NOTE), (("x", ""), Severity.ERROR), (("", ""), Severity.ERROR)],
)
def test_branches_with_their_own_labels_are_a_note(labels: tuple[str, str], severity: Severity) -> None:
    left, right = (f'branch_labels = ("{label}",)' if label else "" for label in labels)
    files = [
        revision_script("001", extra='branch_labels = ("both",)'),
        revision_script("002", "001", extra=left),
        revision_script("003", "001", extra=right, upgrade='op.drop_table("b")'),
    ]
    (found,) = check_graph(files)
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
def test_an_upgrade_without_effect_is_empty_however_it_is_written(upgrade: str, expected: list[str]) -> None:
    assert [
        found.rule for found in check_graph([revision_script("001"), revision_script("002", "001", upgrade=upgrade)])
    ] == expected


def test_everything_is_reported_at_once() -> None:
    files = [
        revision_script("001"),
        revision_script("002", "001"),
        revision_script("002", "001", file="002_other.py"),
        revision_script("003", "nobody"),
        revision_script("004", "003"),
        revision_script("005", "006"),
        revision_script("006", "005"),
        Script.parse(Path("versions/007_broken.py"), b"def ("),
        Script.parse(Path("versions/008_helper.py"), b"x = 1"),
        revision_script("009", "002", downgrade=False),
        revision_script("010", "009", upgrade="pass"),
        revision_script("0" * 33, "010"),
        revision_script("012", "0" * 33, file="013_step.py"),
    ]
    assert found_rules(*files) == [
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


def test_a_finding_names_the_line_that_is_wrong() -> None:
    found = {
        item.rule: item.location.line
        for item in check_graph(
            [revision_script("001"), revision_script("002", "x"), revision_script("001", file="b.py")]
        )
    }
    assert found == {"duplicate-id": 4, "missing-parent": 5}


def test_parents_may_be_shortened_or_labels() -> None:
    files = [
        revision_script("abcdef"),
        revision_script("bcdefa", "abc", extra='branch_labels = ("shop",)'),
        revision_script("cdefab", "shop@head".partition("@")[0]),
        revision_script("defabc", "cdefab", extra='depends_on = "bcd"'),
    ]
    assert found_rules(*files) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([revision_script("001", upgrade="pass")], Severity.NOTE),
        (
            [revision_script("001"), revision_script("002", "001", upgrade='"""Only words."""\n    return None')],
            Severity.WARNING,
        ),
        ([revision_script("001"), revision_script("002", "001", upgrade="pass", extra='branch_labels = ("x",)')], None),
        ([revision_script("001"), revision_script("002", "001", upgrade="print()")], None),
        (
            [revision_script("001"), revision_script("002", "001", upgrade="# 003 drops it again\n    pass")],
            Severity.NOTE,
        ),
        (
            [revision_script("001"), revision_script("002", "001", upgrade="pass  # 003 does it")],
            Severity.NOTE,
        ),
        (
            [revision_script("001"), revision_script("002", "001", upgrade="# TODO: it\n    pass")],
            Severity.WARNING,
        ),
        (
            [revision_script("001"), revision_script("002", "001", upgrade="# ### commands by Alembic ###\n    pass")],
            Severity.WARNING,
        ),
    ],
)
def test_an_empty_upgrade_is_intended_at_a_base_a_merge_or_with_a_reason(
    files: list[Script], expected: Severity | None
) -> None:
    assert [found.severity for found in check_graph(files)] == ([expected] if expected else [])


def test_an_upgrade_that_is_missing_is_an_error() -> None:
    file = revision_script("001")
    script = Script.parse(file.path, file.source.replace(b"def upgrade", b"def forward"))
    (found,) = check_graph([script])
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
def test_a_function_may_be_imported_assigned_or_defined_under_a_condition(given: str) -> None:
    script = Script.parse(
        Path("001_a.py"), f"revision = '001'\ndown_revision = None\n{given}\ndef downgrade(): pass".encode()
    )
    assert not [
        found for found in check_graph([script], backends=("sqlite",)) if "no upgrade function" in found.message
    ]


def test_a_nested_function_is_not_a_function_of_the_module() -> None:
    """Nor is one of a class, or a name without a value."""
    given = "class Step:\n    def upgrade(self): pass\ndef make():\n    def upgrade(): pass\nupgrade: object"
    script = Script.parse(Path("001_a.py"), f"revision = '001'\ndown_revision = None\n{given}".encode())
    assert any("no upgrade function" in found.message for found in check_graph([script], backends=("sqlite",)))


def test_a_history_without_downgrades_is_reported_once() -> None:
    assert found_rules(revision_script("001", downgrade=False), revision_script("002", "001", downgrade=False)) == [
        ("no-downgrades", "001")
    ]


def test_a_revision_that_declares_no_way_back_needs_no_downgrade() -> None:
    files = [revision_script("001"), revision_script("002", "001", downgrade=False, extra='irreversible = "erased"')]
    assert found_rules(*files) == []


@pytest.mark.parametrize(("backends", "expected"), [(["sqlite"], Severity.NOTE), (["postgresql"], Severity.ERROR)])
def test_a_long_id_breaks_on_postgresql_only(backends: list[str], expected: Severity) -> None:
    (found,) = check_graph([revision_script("x" * 33)], backends=backends)
    assert (found.rule, found.severity) == ("id-too-long", expected)


def test_file_names_need_no_id_if_no_file_name_has_one() -> None:
    files = [revision_script("a1", file="one.py"), revision_script("b2", "a1", file="two.py")]
    assert found_rules(*files) == []


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
def test_branches_that_change_the_same_thing_are_reported_where_they_join(left: str, right: str, what: str) -> None:
    branches = [
        revision_script("001", upgrade="print()"),
        revision_script("002", "001", upgrade=left),
        revision_script("003", "001", upgrade=right),
    ]
    (found,) = check_graph([*branches, revision_script("004", "002", "003", upgrade="pass")])
    assert (found.rule, found.revision, found.object) == ("branches-collide", "004", what)
    assert {item.rule for item in check_graph(branches)} == {"several-heads", "branches-collide"}


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
def test_branches_that_change_different_things_are_not_reported(left: str, right: str) -> None:
    files = [
        revision_script("001", upgrade="print()"),
        revision_script("002", "001", upgrade=left),
        revision_script("003", "001", upgrade=right),
        revision_script("004", "002", "003", upgrade="pass"),
    ]
    assert found_rules(*files) == []


def test_what_was_changed_before_the_branches_parted_is_no_collision() -> None:
    files = [
        revision_script("001", upgrade='op.create_table("a")'),
        revision_script("002", "001", upgrade='op.add_column("a", sa.Column("b"))'),
        revision_script("003", "001", upgrade='op.create_table("c")'),
        revision_script("004", "002", "003", upgrade="pass"),
    ]
    assert found_rules(*files) == []


def test_a_python_warning_is_no_failure() -> None:
    assert found_rules(revision_script("001", upgrade='op.execute("\\:x")')) == []


def test_our_own_history_is_clean() -> None:
    assert list(check_graph(read_scripts(Project.read(ROOT / "alembic.ini")))) == []


def test_neither_graph_nor_integrity_nor_source_loads_sqlalchemy(small_project: SmallProject) -> None:
    small_project.write_table_revisions("a", "b")
    code = f"""
import sys
from pathlib import Path
from dormatory.checks.graph import check_graph
from dormatory.checks.integrity import check_integrity
from dormatory.checks.source import ApplicationModules, check_source
from dormatory.project.project import Project
from dormatory.project.revision_files import read_scripts
from dormatory.project.checksums import read_checksums
project = Project.read(Path({str(small_project.root / "alembic.ini")!r}))
files = read_scripts(project)
print(*check_graph(files), *check_integrity(files, read_checksums(project)))
print(*check_source(files, ApplicationModules.of(project)))
print({{"sqlalchemy", "alembic"}} & sys.modules.keys())
"""
    ended = small_project.run_code(code)
    assert (ended.out, ended.err) == ("\n\nset()\n", "")


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
    def by_path(files: dict[str, bytes]) -> dict[Path, bytes]:
        return {Path(name): source for name, source in files.items()}

    assert merge_sources(by_path(before), by_path(ours), by_path(theirs)) == by_path(expected)
