"""What was renamed in the models keeps its name, its rows and its values in both directions of a new revision."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dormatory.commands.revision import write_revision
from tests.conftest import SmallProject

if TYPE_CHECKING:
    from dormatory.authoring.renames import ProbableRename
    from tests.conftest import Inv

UNREACHABLE_URL = "postgresql://u:canary@no.such.host.invalid/x"
MODELS = """
import sqlalchemy as sa
names = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s", "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=names)
sa.Table(
    "person", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_name", sa.String(50), nullable=False, unique=True),
    sa.Column("created_by", sa.String(100)),
    sa.Column("boss", sa.Integer, sa.ForeignKey("person.id"), index=True),
    sa.Column("age", sa.Integer, sa.CheckConstraint("age > 0", name="age_positive"), nullable=False),
)
sa.Table(
    "pet", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner", sa.Integer, sa.ForeignKey("person.id"), index=True, nullable=False),
)
"""
FILL = """op.execute("INSERT INTO person VALUES (1, 'ada', 'kim', NULL, 30), (2, 'lee', 'ada', 1, 40)")"""


@pytest.fixture(scope="module")
def first_revision(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the text of the revision that creates the models, with rows in them."""
    home = tmp_path_factory.mktemp("first")
    project = SmallProject(home)
    write_models(project, MODELS)
    file = write_revision(project.project, "Create the tables", empty=False)
    assert file is not None
    mark = "    # ### end Alembic commands ###\n"
    return file.read_text().replace(mark, f"    {FILL}\n", 1)


@pytest.fixture
def project(small_project: SmallProject, first_revision: str) -> SmallProject:
    """A project in a git repository, whose history creates the models."""
    (small_project.versions / "001_create_the_tables.py").write_text(first_revision)
    write_models(small_project, MODELS)
    small_project.git("init", "-q")
    small_project.commit()
    return small_project


def write_models(project: SmallProject, text: str) -> None:
    project.write_env(text, "environment.run(metadata)")


def written(project: SmallProject) -> str:
    return next(project.versions.glob("002*")).read_text()


def column_values(project: SmallProject, query: str, *, to: str) -> list[object]:
    """Return what a query finds after the move to a revision."""
    file = project.root / "rows.db"
    url = f"sqlite:///{file}"
    ended = project.inv("db.upgrade" if to == "head" else "db.downgrade", f"--to={to}", url=url)
    assert ended.code == 0, ended
    with closing(sqlite3.connect(file)) as connection:
        return [value for (value,) in connection.execute(query)]


@pytest.mark.parametrize(
    ("changes", "operation", "query"),
    [
        ({'"user_name"': '"username"'}, 'op.alter_column("person", "user_name", new_column_name="username")',
         "SELECT username FROM person ORDER BY id"),
        ({'"person': '"member'}, 'op.rename_table("person", "member")', "SELECT user_name FROM member ORDER BY id"),
        ({'"person': '"member', '"user_name"': '"username"'},
         'op.alter_column("member", "user_name", new_column_name="username")',
         "SELECT username FROM member ORDER BY id"),
    ],
    ids=["column", "table", "both"],
)  # fmt: skip
def test_what_is_surely_renamed_keeps_its_values(
    project: SmallProject, inv: Inv, changes: dict[str, str], operation: str, query: str
) -> None:
    models = MODELS
    for old, new in changes.items():
        models = models.replace(old, new)
    write_models(project, models)
    ended = inv("db.revision", "--message", "Name it better", url=UNREACHABLE_URL)
    assert ended.code == 0, ended.out
    assert "renamed-in-use" in ended.out
    text = written(project)
    assert operation in text
    assert "# Renamed, as it seems: " in text
    assert "\nlossy = " not in text
    assert not {"drop_table", "drop_column", "add_column"} & set(text.replace("(", " ").replace(".", " ").split())
    assert "CREATE INDEX CONCURRENTLY" not in text, "the indexes are renamed"
    assert column_values(project, query, to="head") == ["ada", "lee"]
    assert column_values(project, "SELECT user_name FROM person ORDER BY id", to="001") == ["ada", "lee"]


def with_open_choice(project: SmallProject) -> None:
    write_models(project, MODELS.replace('"created_by"', '"author"'))


def test_what_may_be_new_is_a_choice_that_the_check_names(project: SmallProject, inv: Inv) -> None:
    with_open_choice(project)
    ended = inv("db.revision", "--message", "Name the author", url=UNREACHABLE_URL)
    assert ended.code == 1, ended.out
    assert "decide here whether column person.created_by was renamed to author" in ended.out
    assert "no way back" not in ended.out
    file = next(project.versions.glob("002*"))
    line = next(number for number, it in enumerate(file.read_text().splitlines(), 1) if "raise NotImpl" in it)
    assert f"  :{line}  sqlite, postgresql  upgrade-fails\n" in ended.out
    left = []
    is_inside = False
    for text in file.read_text().splitlines(keepends=True):
        is_inside = is_inside or "raise " in text
        if not is_inside:
            left.append(text)
        is_inside = is_inside and text.strip() != ")"
    file.write_text("".join(left))
    values = column_values(project, "SELECT author FROM person ORDER BY id", to="head")
    assert values == ["kim", "ada"]
    assert column_values(project, "SELECT created_by FROM person ORDER BY id", to="001") == ["kim", "ada"]


@pytest.mark.parametrize(("answer", "call"), [(True, "new_column_name"), (False, "drop_column")])
def test_an_answer_decides(project: SmallProject, answer: bool, call: str) -> None:  # noqa: FBT001
    with_open_choice(project)
    questions = list[str]()

    def ask(rename: ProbableRename) -> bool:
        questions.append(f"{rename.subject} -> {rename.new_name}")
        return answer

    assert write_revision(project.project, "Name the author", empty=False, ask=ask)
    assert questions == ["column person.created_by -> author"]
    text = written(project)
    assert (call in text, "raise " in text, '\nlossy = "person.created_by"\n' in text) == (True, False, not answer)
