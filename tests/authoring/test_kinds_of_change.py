"""Each kind of change of the models, written both ways as revisions that prove themselves on each backend."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.registry import backend_for
from dormatory.commands.revision import write_revision
from dormatory.runtime import scratch
from dormatory.runtime.model_schema import compare_with_models
from dormatory.runtime.runner import Runner
from dormatory.schema.diff import diff
from tests.conftest import SmallProject
from tests.scratch import scratch_maker

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project

MODELS = """
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
metadata = sa.MetaData(naming_convention={
    "pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
})
person = sa.Table(
    "person", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("email", sa.String(120)),
    sa.Column("age", sa.Integer),
    sa.Column("score", sa.Numeric(8, 2), server_default=sa.text("0")),
    sa.Column("joined", sa.DateTime),
    sa.CheckConstraint("name <> ''", name="name_given"),
    # person
)
sa.Index("ix_person_lower_name", sa.func.lower(person.c.name))
pet = sa.Table(
    "pet", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner", sa.ForeignKey("person.id"), nullable=False),
    sa.Column("kind", sa.Enum("cat", "dog", name="pet_kind", create_constraint=True), nullable=False,
              server_default="dog"),
    sa.Column("label", sa.String(40)),
    sa.UniqueConstraint("owner", "label"),
    sa.Index("ix_pet_label", "label"),
    # pet
)
# more
"""
# What is replaced in the models, and by what.
KINDS: dict[str, tuple[str, str]] = {
    "column": ("# person", 'sa.Column("note", sa.Text),'),
    "column with default": ("# person", 'sa.Column("level", sa.Integer, server_default=sa.text("1"), nullable=False),'),
    "boolean column": ("# person", 'sa.Column("active", sa.Boolean, server_default=sa.true(), nullable=False),'),
    "boolean column with CHECK": (
        "# person",
        'sa.Column("active", sa.Boolean(create_constraint=True, name="active_flag"), server_default=sa.false()),',
    ),
    "table": (
        "# more",
        """sa.Table(
            "tag", metadata, sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("pet", sa.ForeignKey("pet.id", ondelete="CASCADE"), index=True, nullable=False),
            sa.Column("word", sa.String(20), sa.CheckConstraint("word <> ''", name="word_given")),
        )""",
    ),
    "table with enumeration": (
        "# more",
        """sa.Table(
            "visit", metadata, sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("reason", sa.Enum("ill", "shot", name="visit_reason"), nullable=False),
        )""",
    ),
    "enumeration column": ("# pet", 'sa.Column("size", sa.Enum("small", "big", name="pet_size")),'),
    "enumeration value added": ('"cat", "dog"', '"cat", "dog", "bird"'),
    "enumeration values added and renamed": ('"cat", "dog"', '"CAT", "dog", "bird", "fish"'),
    "CHECK": ("# person", 'sa.CheckConstraint("age >= 0", name="age_positive"),'),
    "CHECK changed": ("name <> ''", "length(name) > 0"),
    "computed column": ("# person", 'sa.Column("next_age", sa.Integer, sa.Computed("age + 1", persisted=True)),'),
    "index": ("# person", 'sa.Index(None, "joined"),'),
    "partial index": (
        "# more",
        """old = person.c.age > 90
sa.Index("ix_person_old", person.c.joined, sqlite_where=old, postgresql_where=old)""",
    ),
    "descending index": ("# more", 'sa.Index("ix_person_recent", person.c.joined.desc())'),
    "index unique": ('sa.Index("ix_pet_label", "label")', 'sa.Index("ix_pet_label", "label", unique=True)'),
    "index renamed": ('"ix_pet_label"', '"ix_pet_by_label"'),
    "index with INCLUDE": ('"ix_pet_label", "label"', '"ix_pet_label", "label", postgresql_include=["kind"]'),
    "expression index changed": ("sa.func.lower(person.c.name)", "sa.func.upper(person.c.name)"),
    "unique constraint": ("# person", 'sa.UniqueConstraint("email"),'),
    "unique constraint renamed": (
        'sa.UniqueConstraint("owner", "label")',
        'sa.UniqueConstraint("owner", "label", name="uq_pet_label")',
    ),
    "foreign key": ("# pet", 'sa.Column("vet", sa.Integer, sa.ForeignKey("person.id")),'),
    "foreign key, ON DELETE": ('sa.ForeignKey("person.id")', 'sa.ForeignKey("person.id", ondelete="CASCADE")'),
    "foreign key, deferrable": (
        'sa.ForeignKey("person.id")',
        'sa.ForeignKey("person.id", deferrable=True, initially="DEFERRED")',
    ),
    "foreign key to itself": ("# person", 'sa.Column("boss", sa.ForeignKey("person.id")),'),
    "mutual foreign keys": (
        "# person",
        'sa.Column("pet", sa.ForeignKey("pet.id", use_alter=True, name="fk_person_favourite")),',
    ),
    "server default": ('sa.text("0")', 'sa.text("10")'),
    "server default with signs": ("sa.String(120)", 'sa.String(120), server_default="it\'s: 5%"'),
    "type widened": ('"age", sa.Integer', '"age", sa.BigInteger'),
    "text longer": ("sa.String(120)", "sa.String(200)"),
    "comments": ("# more", 'person.comment, person.c.email.comment = "who it is", "where to write to"'),
    "identity": ("# more", 'sa.Table("run", metadata, sa.Column("id", sa.Integer, sa.Identity(), primary_key=True))'),
    "NULLS NOT DISTINCT": (
        'sa.UniqueConstraint("owner", "label")',
        'sa.UniqueConstraint("owner", "label", postgresql_nulls_not_distinct=True)',
    ),
}
# A name that only a naming convention gives is nobody's choice: the one that the history has stays. What narrows a
# type or a list asks what becomes of values that do not fit.
ONE_WAY = frozenset(
    {
        "enumeration value added",
        "enumeration values added and renamed",
        "unique constraint renamed",
        "type widened",
        "text longer",
    }
)


@pytest.fixture(scope="module")
def first_revision(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of the revision that creates the tables of MODELS."""
    first = SmallProject(tmp_path_factory.mktemp("first"))
    first.write_env(MODELS, "environment.run(metadata)")
    file = write_revision(first.project, "Create the tables", empty=False)
    assert file
    return file.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_the_models_and_its_opposite_are_written_right(
    small_project: SmallProject, request: pytest.FixtureRequest, first_revision: str, kind: str
) -> None:
    (small_project.versions / "001_create_the_tables.py").write_text(first_revision)
    old, new = KINDS[kind]
    changed = MODELS.replace(old, new)
    assert changed != MODELS
    for title, models in (("Change the models", changed), ("Change them back", MODELS)):
        small_project.write_env(models, "environment.run(metadata)")
        write_proven(small_project.project, title, request)
        if kind in ONE_WAY:
            break


def write_proven(project: Project, title: str, request: pytest.FixtureRequest) -> None:
    """Write a revision, play it both ways on each backend, and compare the structure with the models."""
    file = write_revision(project, title, empty=False)
    assert file is not None, "nothing was written"
    for backend in BACKEND_NAMES:
        maker = scratch_maker(backend, request)
        with scratch.at_revision(project, maker, "heads") as target:
            comparison = compare_with_models(project, maker, target, ["alembic_version"])
            assert comparison.modelled is not None
            left = diff(comparison.migrated, comparison.modelled)
            assert [str(it) for it in left if not it.is_minor] == [], f"{backend}\n{file.read_text()}"
            _downgrade(project, target)
            with scratch.at_revision(project, maker, f"{int(file.name[:3]) - 1:03d}") as other:
                before, after = (scratch.read_schema(it, "alembic_version") for it in (other, target))
            left = diff(before, after)
            assert [str(it) for it in left if not it.is_minor] == [], f"{backend}, downgrade\n{file.read_text()}"


def _downgrade(project: Project, target: Target) -> None:
    with backend_for(target).engine(target, writing=True).connect() as connection:
        Runner(project, target=target, connection=connection).downgrade("-1")
        connection.commit()


@pytest.mark.parametrize(
    "column",
    [
        'sa.Column("next_age", sa.Integer, sa.Computed("age + 1", persisted=True)),',
        'sa.Column("seen", sa.DateTime, server_default=sa.func.now()),',
    ],
    ids=["stored", "now"],
)
def test_what_sqlite_takes_only_while_a_table_is_empty_is_written_for_tables_with_rows(
    small_project: SmallProject, first_revision: str, column: str
) -> None:
    (small_project.versions / "001_create_the_tables.py").write_text(first_revision)
    small_project.write_env(MODELS.replace("# person", column), "environment.run(metadata)")
    assert write_revision(small_project.project, "Add the column", empty=False)
    url = f"sqlite:///{small_project.root}/x.db"
    small_project.upgrade(url, "001")
    with closing(sqlite3.connect(small_project.root / "x.db")) as connection, connection:
        connection.execute("INSERT INTO person (name, age) VALUES ('Ada', 36)")

    small_project.upgrade(url)

    with closing(sqlite3.connect(small_project.root / "x.db")) as connection:
        assert connection.execute("SELECT name FROM person").fetchall() == [("Ada",)]
