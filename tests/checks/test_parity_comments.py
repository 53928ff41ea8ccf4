"""What a `# parity:` comment in a revision is about, read without importing the revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from dormatory.checks.parity_comments import ParityComment, parity_comments
from dormatory.project.history import History
from dormatory.project.revision_files import read_scripts

if TYPE_CHECKING:
    from tests.conftest import SmallProject


class Case(NamedTuple):
    """The body of an upgrade, and the names its comment is about."""

    name: str
    body: str
    names: tuple[str, ...]


CASES = [
    Case("written", "# parity: ix_a: no GIN\npass", ("ix_a",)),
    Case(
        "several written",
        "# parity: docs.tags type, docs.tags default: no arrays\npass",
        ("docs.tags type", "docs.tags default"),
    ),
    Case("written over two lines", "# parity: ix_a,\n# ix_b: no GIN\npass", ("ix_a", "ix_b")),
    Case("written in capitals", '# parity: "Docs"."Tags": no arrays\npass', ("docs.tags",)),
    Case("index", '# parity: no GIN\nop.create_index("ix_a", "docs", ["tags"])', ("ix_a",)),
    Case("index on the same line", 'op.create_index("ix_a", "docs", ["tags"])  # parity: no GIN', ("ix_a",)),
    Case("index after its last line", 'op.create_index(\n    "ix_a", "docs", ["tags"]\n)  # parity: no GIN', ("ix_a",)),
    Case(
        "index inside a condition",
        '# parity: no GIN\nif op.get_bind():\n    op.create_index(op.f("ix_a"), "docs", [])',
        ("ix_a",),
    ),
    Case(
        "index by keyword", '# parity: no GIN\nop.create_index(index_name=INDEX, table_name="docs")', ("ix_constant",)
    ),
    Case("constraint", '# parity: no regex\nop.create_check_constraint("ck_a", "docs", "a ~ b")', ("ck_a",)),
    Case(
        "constraint in a batch",
        '# parity: no regex\nwith op.batch_alter_table("docs") as b:\n    b.drop_constraint("ck_a")',
        ("ck_a",),
    ),
    Case("column altered", '# parity: no arrays\nop.alter_column("docs", "tags", type_=sa.JSON())', ("docs.tags",)),
    Case(
        "column in a batch",
        'with op.batch_alter_table("docs") as b:\n    # parity: no arrays\n    b.drop_column("tags")',
        ("docs.tags",),
    ),
    Case("column added", '# parity: no arrays\nop.add_column("docs", sa.Column("tags", sa.JSON()))', ("docs.tags",)),
    Case(
        "column of a new table",
        'op.create_table(\n    "docs",\n    # parity: no arrays\n    sa.Column("tags", sa.JSON()),\n)',
        ("docs.tags",),
    ),
    Case(
        "table and nothing in it", '# parity: no FTS\nop.create_table("docs", sa.Column("tags", sa.JSON()))', ("docs",)
    ),
    Case(
        "index in SQL",
        '# parity: no GIN\nop.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS app.ix_a ON docs (a)")',
        ("ix_a",),
    ),
    Case("column in SQL", '# parity: no arrays\nop.execute("ALTER TABLE docs ADD COLUMN tags text[]")', ("docs.tags",)),
    Case("nothing with a name", "# parity: no uuid\nconvert('uuid')", ()),
    Case("nothing below", "pass\n# parity: no uuid", ()),
]


def comments_in(project: SmallProject) -> tuple[ParityComment, ...]:
    return parity_comments(read_scripts(project.project), History.read(project.project))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_comment_is_about_what_it_names_or_about_its_statement(small_project: SmallProject, case: Case) -> None:
    small_project.write_revision("001", case.body, extra='INDEX = "ix_constant"')

    (found,) = comments_in(small_project)

    assert found.names == case.names


def test_a_comment_has_its_reason_and_its_line(small_project: SmallProject) -> None:
    file = small_project.write_revision("001", "# parity: ix_a: no GIN,\n# and no need\n#\n# Another matter.\npass")

    (found,) = comments_in(small_project)

    assert (found.reason, found.is_explicit) == ("no GIN, and no need", True)
    assert (found.revision, found.location.path) == ("001", str(file))
    assert file.read_text().splitlines()[found.location.line - 1].strip() == "# parity: ix_a: no GIN,"


def test_two_comments_may_precede_one_statement(small_project: SmallProject) -> None:
    small_project.write_revision(
        "001", '# parity: no GIN\n# parity: docs.b: no b\nop.create_index("ix_a", "docs", ["a"])'
    )

    found = comments_in(small_project)

    assert [declaration.names for declaration in found] == [("ix_a",), ("docs.b",)]


def test_only_comments_declare(small_project: SmallProject) -> None:
    small_project.write_revision("001", 'op.execute("SELECT 1 -- # parity: ix_a: no GIN")\n# On parity: nothing.')

    assert comments_in(small_project) == ()
