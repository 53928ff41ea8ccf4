"""The next revision: its number and title, generated from a scratch database, and the preview of its SQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.project.history import History
from tests.conftest import CommandResult

if TYPE_CHECKING:
    from tests.conftest import Inv, SmallProject

MODELS = (
    "import sqlalchemy as sa",
    "metadata = sa.MetaData()",
    "sa.Table('a', metadata, sa.Column('id', sa.Integer, primary_key=True))",
)
WITH_B = "sa.Table('b', metadata, sa.Column('on', sa.Boolean, server_default=sa.false(), nullable=False))"
PLAIN_ENV = """
import os
from alembic import context

with sa.create_engine(os.environ["DATABASE_URL"], poolclass=sa.NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
# Five commands in processes that are forked from one that has loaded all modules: they begin at the same moment.
FIVE_REVISIONS = """
import os, time
from pathlib import Path
from dormatory.commands.revision import write_revision
from dormatory.project.project import Project
project, start, children = Project.read(Path(os.environ["ALEMBIC_CONFIG"])), time.time() + 0.5, []
for number in range(5):
    pid = os.fork()
    if not pid:
        time.sleep(max(0.0, start - time.time()))
        write_revision(project, f"Write number {number}", empty=True)
        os._exit(0)
    children.append(pid)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
"""
UNREACHABLE_URL = "postgresql://u:canary@no.such.host.invalid/x"


@pytest.fixture
def changed_project(small_project: SmallProject) -> SmallProject:
    """A project whose models have a table that the history lacks."""
    small_project.write_table_revisions("a")
    small_project.write_env(*MODELS, WITH_B, "environment.run(metadata)")
    return small_project


def revision_file_names(project: SmallProject) -> list[str]:
    return sorted(path.name for path in project.versions.glob("*.py"))


class TestTask:
    """inv db.revision and inv db.create --message."""

    def test_the_next_revision_is_written_and_shown_without_any_database(
        self, inv: Inv, changed_project: SmallProject
    ) -> None:
        ended = inv("db.revision", "--message", "Add table b", url=UNREACHABLE_URL)
        (file,) = (path for path in changed_project.versions.glob("002*.py"))
        assert (ended.code, ended.out.splitlines()[0]) == (0, str(file)), ended
        shown = ended.out
        assert "-- sqlite" in shown
        assert "-- postgresql" in shown
        assert shown.count("CREATE TABLE b") == 2
        assert "alembic_version" not in shown
        written = file.read_text()
        assert written.startswith('"""Add table b.\n')
        assert 'revision: str = "002"' in written.replace("'", '"')
        assert 'sa.text("0")' not in written.replace("'", '"'), "generated against PostgreSQL, not in SQLite's form"
        assert "import dormatory" not in written

    def test_the_developers_database_is_not_touched(self, inv: Inv, changed_project: SmallProject) -> None:
        database = changed_project.root / "dev.db"
        url = f"sqlite:///{database}"
        ended = inv("db.create", "--message", "Add table b", url=url)
        assert (ended.code, ended.out.splitlines()[0]) == (0, f"{url} created")
        assert database.read_bytes() == b""
        assert revision_file_names(changed_project) == ["001_x.py", "002_add_table_b.py"]

    @pytest.mark.parametrize("message", ["", "   ", "table"], ids=["empty", "blank", "one-word"])
    def test_a_message_that_is_too_short_is_refused(
        self, inv: Inv, changed_project: SmallProject, message: str
    ) -> None:
        what = f"the message {message!r} says too little" if message.strip() else "the message is empty"
        expected = (
            f"error: {what} (it becomes the revision's title and file name); "
            'say what it does in a few words: --message "Add user table"\n'
        )
        assert inv("db.revision", f"--message={message}", url=UNREACHABLE_URL) == CommandResult(2, "", expected)
        assert revision_file_names(changed_project) == ["001_x.py"]

    def test_without_a_change_nothing_is_written_unless_asked_for(self, inv: Inv, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        small_project.write_env(*MODELS, "environment.run(metadata)")
        ended = inv("db.revision", "--message", "Nothing to do", url=UNREACHABLE_URL)
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == "no change found: the models match the history, nothing written\n"
        assert revision_file_names(small_project) == ["001_x.py"]
        forced = inv("db.revision", "--message", "Nothing to do", "--empty", url=UNREACHABLE_URL)
        assert forced.code == 0
        assert revision_file_names(small_project) == ["001_x.py", "002_nothing_to_do.py"]

    def test_the_older_command_writes_an_empty_revision_to_be_filled(
        self, inv: Inv, small_project: SmallProject
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_env(*MODELS, "environment.run(metadata)")
        ended = inv("db.create", "--message", "Migrate user data", url=f"sqlite:///{small_project.root}/x.db")
        assert (ended.code, Path(ended.out.splitlines()[-1]).name) == (0, "002_migrate_user_data.py")
        assert ended.err.splitlines() == [
            "no change found: this revision is empty, to be filled by hand",
            "next: fill it, then inv db.check",
        ]

    def test_revisions_written_at_once_get_different_numbers_and_one_line(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        small_project.write_env(*MODELS, "environment.run(metadata)")
        ended = small_project.run_code(FIVE_REVISIONS)
        assert (ended.code, ended.out.splitlines()[-1]) == (0, str([0] * 5)), ended.err
        history = History.read(small_project.project)
        assert [revision.id for revision in history.revisions] == ["001", "002", "003", "004", "005", "006"]
        assert history.heads == ("006",)

    def test_a_revision_on_two_heads_is_refused(self, inv: Inv, changed_project: SmallProject) -> None:
        changed_project.write_revision("002", after="001")
        changed_project.write_revision("003", after="001")
        ended = inv("db.revision", "--message", "Add table b", "--empty", url=UNREACHABLE_URL)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("error: the history has 2 heads: 002, 003 (")
        assert len(revision_file_names(changed_project)) == 3


class TestProof:
    """What is written is played before it is reported."""

    @pytest.mark.parametrize(("options", "code"), [((), 1), (("--no-proof",), 0)], ids=["proof", "no-proof"])
    def test_an_upgrade_that_fails_is_named_and_the_file_is_kept(
        self, inv: Inv, small_project: SmallProject, options: tuple[str, ...], code: int
    ) -> None:
        small_project.write_table_revisions("a")
        models = "\n".join(MODELS).replace("sa.Integer", "sa.JSON")
        small_project.write_env(models, "environment.run(metadata)")
        ended = inv("db.revision", "--message", "Change the key", *options, url=UNREACHABLE_URL)
        assert (ended.code, "upgrade-fails\n" in ended.out) == (code, bool(code)), ended
        assert revision_file_names(small_project) == ["001_x.py", "002_change_the_key.py"]

    def test_types_of_enumerations_come_and_go_with_their_columns(self, inv: Inv, small_project: SmallProject) -> None:
        create = "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True))"
        kind = """sa.Column('kind', sa.Enum('x', "it's", name='{}'))"""
        small_project.write_revision("001", create, "op.drop_table('a')")
        create = f"op.create_table('old', {kind.format('old_kind')})"
        drop = "op.drop_table('old')\nif op.get_bind().dialect.name == 'postgresql': op.execute('DROP TYPE old_kind')"
        small_project.write_revision("002", create, drop)
        column = f"metadata.tables['a'].append_column({kind.format('Kind')})"
        table = f"sa.Table('b', metadata, {kind.format('b_kind')})"
        small_project.write_env(*MODELS, column, table, "environment.run(metadata)")
        ended = inv("db.revision", "--message", "Give them kinds", url=UNREACHABLE_URL)
        assert "  ✗ " not in ended.out, ended.out
        assert "CREATE TYPE \"Kind\" AS ENUM ('x', 'it''s');" in ended.out
        assert "DROP TYPE old_kind;" in ended.out
        written = next(small_project.versions.glob("003*")).read_text()
        assert (written.count("CREATE TYPE"), written.count("DROP TYPE")) == (1, 3)

    def test_a_table_comes_back_without_the_names_that_a_server_gave(
        self, inv: Inv, small_project: SmallProject
    ) -> None:
        create = "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True))"
        word = "sa.Column('word', sa.String(9), unique=True)"
        key = "sa.Column('a_id', sa.Integer, sa.ForeignKey('a.id'))"
        named = "sa.UniqueConstraint('word', 'a_id', name='uq_old')"
        table = f"op.create_table('old', sa.Column('id', sa.Integer, primary_key=True), {word}, {key}, {named})"
        small_project.write_revision("001", f"{create}\n{table}", "op.drop_table('old')\nop.drop_table('a')")
        small_project.write_env(*MODELS, "environment.run(metadata)")
        ended = inv("db.revision", "--message", "Drop the old", url=UNREACHABLE_URL)
        assert "  ✗ " not in ended.out, ended.out
        written = next(small_project.versions.glob("002*")).read_text()
        assert '\nlossy = "table old"\n' in written
        assert "  ! " not in ended.out, ended.out
        assert ("old_pkey" in written, "_fkey" in written, "uq_old" in written) == (False, False, True)

    def test_what_autogenerate_does_not_see_is_written_for_each_backend(
        self, inv: Inv, small_project: SmallProject
    ) -> None:
        small_project.write_table_revisions("a")
        check = "metadata.tables['a'].append_constraint(sa.CheckConstraint('id > -7', name='ck_a'))"
        small_project.write_env(*MODELS, check, "environment.run(metadata)")
        ended = inv("db.revision", "--message", "Add the check", url=UNREACHABLE_URL)
        assert ended.code == 0, ended
        written = (small_project.versions / "002_add_the_check.py").read_text()
        assert 'batch_op.create_check_constraint("ck_a", "id > -7")' in written.replace('batch_op.f("ck_a")', '"ck_a"')
        assert "ALTER TABLE a ADD CONSTRAINT ck_a CHECK (id > '-7'::integer) NOT VALID" in written

    def test_a_project_with_an_env_of_its_own_sees_the_sql_and_gets_no_empty_file(
        self, inv: Inv, small_project: SmallProject
    ) -> None:
        (small_project.root / "scripts" / "env.py").write_text("\n".join((*MODELS, PLAIN_ENV)))
        first = inv("db.revision", "--message", "Add the table")
        assert first.code == 0, first
        assert "-- sqlite\nCREATE TABLE a (" in first.out
        assert "-- postgresql\nCREATE TABLE a (" in first.out
        again = inv("db.revision", "--message", "Add nothing")
        assert (again.code, again.out) == (0, "")
        assert "the models match the history" in again.err
        assert len(revision_file_names(small_project)) == 1


class TestPlainAlembic:
    """`alembic revision` numbers in the same way."""

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            (("-m", "Add something new"), "002_add_something_new.py"),
            (("--autogenerate", "-m", "Add table b"), "002_add_table_b.py"),
            (("--rev-id", "special", "-m", "Add something new"), "special_add_something_new.py"),
        ],
        ids=["plain", "autogenerate", "rev-id"],
    )
    def test_the_file_has_the_next_number(
        self, changed_project: SmallProject, arguments: tuple[str, ...], name: str
    ) -> None:
        url = f"sqlite:///{changed_project.root}/x.db"
        if "--autogenerate" in arguments:
            changed_project.upgrade(url)
        ended = changed_project.alembic("revision", *arguments, url=url)
        assert ended.code == 0, ended
        assert revision_file_names(changed_project) == ["001_x.py", name]
        if "--autogenerate" not in arguments:
            assert not (changed_project.root / "x.db").exists()

    @pytest.mark.parametrize(("head", "code"), [((), 255), (("--head", "001", "--splice"), 0)], ids=["head", "chosen"])
    def test_two_at_once_do_not_build_on_the_same_revision(
        self, changed_project: SmallProject, head: tuple[str, ...], code: int
    ) -> None:
        other = changed_project.write_revision("002", "pass")
        text = other.read_text()
        other.unlink()
        changed_project.write_env(
            "from pathlib import Path",
            "from alembic import context",
            "context.script.get_heads()  # Alembic reads the files once",
            f"Path({str(other)!r}).write_text({text!r})",
            *MODELS,
            "environment.run(metadata)",
        )
        ended = changed_project.alembic("revision", "-m", "Add something new", *head, url=UNREACHABLE_URL)
        assert ended.code == code, ended
        assert ("another command has written 002 meanwhile" in ended.out) == bool(code)
        written = [] if code else ["003_add_something_new.py"]
        assert revision_file_names(changed_project) == ["001_x.py", other.name, *written]

    @pytest.mark.parametrize("arguments", [("-m", "one"), ()], ids=["one-word", "no-message"])
    def test_a_message_that_is_too_short_is_refused(
        self, changed_project: SmallProject, arguments: tuple[str, ...]
    ) -> None:
        ended = changed_project.alembic("revision", *arguments, url=UNREACHABLE_URL)
        assert (ended.code, ended.err) == (255, "")
        assert "it becomes the revision's title and file name" in ended.out
        assert revision_file_names(changed_project) == ["001_x.py"]

    def test_a_database_with_pending_revisions_is_not_compared(self, changed_project: SmallProject) -> None:
        url = f"sqlite:///{changed_project.root}/x.db"
        changed_project.upgrade(url)
        changed_project.write_table_revisions("a", "c")
        ended = changed_project.alembic("revision", "--autogenerate", "-m", "Add table b", url=url)
        assert (ended.code, ended.err) == (255, "")
        assert ended.out.strip() == (
            "FAILED: the database is not at head (Alembic compares the models with it as it stands); "
            "run inv db.upgrade first, or inv db.revision, which compares with a scratch database"
        )

    def test_no_change_is_reported_and_nothing_is_written(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        small_project.write_env(*MODELS, "environment.run(metadata)")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url)
        ended = small_project.alembic("revision", "--autogenerate", "-m", "Add nothing new", url=url)
        assert (ended.code, "no change found" in ended.err) == (0, True)
        assert revision_file_names(small_project) == ["001_x.py"]


def test_numbering_leaves_other_files_alone(changed_project: SmallProject, tmp_path: Path) -> None:
    (changed_project.versions / "999_notes.txt").write_text("not a revision")
    assert tmp_path.exists()
    assert changed_project.alembic("revision", "-m", "Add something new", url=UNREACHABLE_URL).code == 0
    assert "002_add_something_new.py" in revision_file_names(changed_project)


@pytest.mark.parametrize(("metadata", "why"), [("None", "no target_metadata"), ("sa.MetaData()", "have no table")])
def test_a_first_revision_without_models_says_what_is_missing(
    inv: Inv, small_project: SmallProject, metadata: str, why: str
) -> None:
    small_project.write_env("import sqlalchemy as sa", f"environment.run({metadata})")
    refused = inv("db.revision", "--message", "Create the tables")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: there are no models to write a revision from (")
    assert why in refused.err
    assert not list(small_project.versions.glob("*.py"))
