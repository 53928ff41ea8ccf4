"""A command that destroys makes a backup first, or does nothing; db.undo restores it, and a second one undoes that."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from dormatory.backends.postgresql import new_database
from dormatory.backends.registry import backend_for
from dormatory.errors import DatabaseFailedError
from dormatory.runtime.progress import ignore_progress
from dormatory.safety import backups, safeguard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.backends.parts import Replacement
    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import CommandResult, Inv, SmallProject

ROWS = [(1, "é🐘"), (2, None), (3, "")]
DESTRUCTIVE_COMMANDS = {
    "reset": ("db.reset",),
    "downgrade": ("db.downgrade",),
    "restore": ("db.restore", "{file}"),
    "undo": ("db.undo",),
}


class Database:
    """A database of a small project, at its second revision, with rows in both tables."""

    def __init__(self, project: SmallProject, url: str, inv: Inv) -> None:
        self.project, self.url, self._inv = project, url, inv
        self.target = project.project.target({"DATABASE_URL": url})

    def inv(self, *arguments: str, **environ: str) -> CommandResult:
        return self._inv(*arguments, url=self.url, **environ)

    def execute(self, *statements: str) -> None:
        with (
            backend_for(self.target).driver_connection(self.target, writing=True) as driver,
            closing(driver.cursor()) as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            driver.commit()

    def rows(self, table: str = "word") -> list[tuple[Any, ...]]:
        with (
            backend_for(self.target).driver_connection(self.target, writing=False) as driver,
            closing(driver.cursor()) as cursor,
        ):
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
            return [tuple(row) for row in cursor.fetchall()]

    def fill(self) -> None:
        self.execute("INSERT INTO a VALUES (7)", "INSERT INTO word VALUES (1, 'é🐘'), (2, NULL), (3, '')")

    def backup_files(self) -> list[Path]:
        return [backup.file for backup in backups.existing_backups(self.project.project)]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, small_project: SmallProject, inv: Inv) -> Iterator[Database]:
    """A development database with tables and rows."""
    write_history(small_project)
    if request.param == "sqlite":
        url = f"sqlite:///{small_project.root}/x.db"
    else:
        server: Server = request.getfixturevalue("postgres_server")
        url = server.database(f"undo_{os.urandom(4).hex()}").url.render()
    found = Database(small_project, url, inv)
    backend_for(found.target).create(found.target)
    small_project.upgrade(url)
    found.fill()
    yield found
    backend_for(found.target).drop(found.target)


@pytest.fixture
def unmarked(small_project: SmallProject, inv: Inv, postgres_server: Server) -> Iterator[Database]:
    """The same, not marked as a development database."""
    write_history(small_project)
    found = Database(small_project, postgres_server.create_database().url.render(), inv)
    small_project.upgrade(found.url)
    found.fill()
    yield found
    backend_for(found.target).drop(found.target)


def write_history(project: SmallProject) -> None:
    project.write_table_revisions("a")
    columns = 'sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.String(9))'
    project.write_revision("002", f'op.create_table("word", {columns})', 'op.drop_table("word")')


def backup_line(database: Database) -> str:
    return f"backup of {database.target}: {database.backup_files()[0]}"


class TestUndo:
    def test_a_reset_is_undone_and_done_again(self, database: Database) -> None:
        reset = database.inv("db.reset")
        assert (reset.code, reset.out, database.rows()) == (0, f"{database.target} is at 002\n", [])
        assert reset.err.splitlines()[0].startswith(f"destroying {database.target}: development database on ")
        assert "3 tables" in reset.err.splitlines()[0]
        assert reset.err.splitlines()[1] == backup_line(database)
        backup = database.backup_files()[0]
        undo = database.inv("db.undo")
        assert (undo.code, database.rows(), database.rows("a")) == (0, ROWS, [(7,)])
        assert undo.out == f"{database.target} restored from {backup}\n{database.target} is at 002\n"
        assert undo.err.splitlines()[0].startswith(f"replacing {database.target}: development database on ")
        assert undo.err.splitlines()[1] == backup_line(database)
        assert (database.inv("db.undo").code, database.rows()) == (0, [])
        assert backend_for(database.target).summary(database.target).environment == "development"

    def test_a_downgrade_is_undone(self, database: Database) -> None:
        downgrade = database.inv("db.downgrade")
        assert (downgrade.code, downgrade.out) == (0, f"{database.target} is at 001\n")
        lines = downgrade.err.splitlines()
        assert lines[0] == f"downgrade {database.target}: 1 revision, 002"
        assert lines[1].startswith(f"downgrading {database.target}: development database on ")
        assert lines[1].endswith("0 open sessions")
        assert lines[2] == backup_line(database)
        assert lines[3].startswith("  - 002  Do step 002.")
        assert ".002." in database.backup_files()[0].name
        undo = database.inv("db.undo")
        assert undo.out.splitlines()[1] == f"{database.target} is at 002"
        assert (database.rows(), database.rows("a")) == (ROWS, [(7,)])

    def test_a_downgrade_of_plain_alembic_is_undone_too(self, database: Database) -> None:
        plain = database.project.alembic("downgrade", "base", url=database.url)
        assert plain.code == 0
        assert plain.err.count("downgrading ") == plain.err.count("backup of ") == len(database.backup_files()) == 1
        assert backup_line(database) in plain.err.splitlines()
        assert "0 open sessions" in plain.err
        assert database.inv("db.undo").code == 0
        assert (database.rows(), database.rows("a")) == (ROWS, [(7,)])

    def test_any_backup_is_restored_by_its_name(self, database: Database) -> None:
        backup = database.inv("db.backup")
        assert (backup.code, backup.out, backup.err) == (0, f"{database.backup_files()[0]}\n", "")
        database.execute("DELETE FROM word WHERE id > 1")
        assert database.inv("db.backup").code == 0
        first = database.backup_files()[-1]
        restore = database.inv("db.restore", first.name)
        assert restore.out.splitlines()[0] == f"{database.target} restored from {first}"
        assert (database.rows(), len(database.backup_files())) == (ROWS, 3)
        listed = database.inv("db.backups")
        assert [line.split()[-1] for line in listed.out.splitlines()] == list(map(str, database.backup_files()))

    def test_without_a_backup_there_is_no_undo(self, database: Database) -> None:
        undo = database.inv("db.undo")
        assert (undo.code, undo.out) == (2, "")
        assert undo.err.startswith(f"error: there is no backup of {database.target} (")
        restore = database.inv("db.restore", "nothing.dump")
        assert (restore.code, restore.out, database.backup_files()) == (2, "", [])
        assert restore.err.endswith("(there is no such file); list what can be with: inv db.backups\n")

    def test_an_empty_database_needs_no_backup(self, database: Database) -> None:
        assert database.inv("db.downgrade", "--to=base").code == 0
        database.execute("DROP TABLE alembic_version")
        reset = database.inv("db.reset")
        assert (reset.code, "backup of" in reset.err, len(database.backup_files())) == (0, False, 1)

    @pytest.mark.parametrize("is_replaced", [False, True])
    def test_an_interrupted_replacement_says_whether_it_has_happened(
        self, database: Database, *, is_replaced: bool
    ) -> None:
        def act(replacement: Replacement) -> None:
            if is_replaced:
                replacement.clear()
            raise KeyboardInterrupt

        target, project = database.target, database.project.project
        with pytest.raises(KeyboardInterrupt) as raised:
            safeguard.replace("reset", project, target, ignore_progress, act, confirmed="")
        if is_replaced:
            (file,) = database.backup_files()
            old = f"the backup of the old one is {file}"
            expected = f"{target} was replaced, {old}; put that back with: inv db.undo"
        else:
            expected = f"{target} is as it was; run the command again"
            assert database.rows() == ROWS
        assert raised.value.__notes__[0] == expected


class TestUnfinished:
    """A backup made for a replacement counts, and removes older ones, only once something was replaced."""

    def test_refused_undos_leave_the_backup_that_matters(self, database: Database) -> None:
        with (database.project.root / "alembic.ini").open("a") as settings:
            settings.write("[dormatory]\nbackups = 2\n")
        assert database.inv("db.backup").code == 0
        (file,) = database.backup_files()
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        database.execute("DELETE FROM word")
        for _ in range(3):
            assert database.inv("db.undo").code in {2, 3}
            assert database.backup_files() == [file]
        file.write_bytes(whole)
        assert (database.inv("db.undo").code, database.rows()) == (0, ROWS)
        assert (database.inv("db.undo").code, database.rows()) == (0, [])

    def test_an_undo_that_was_killed_before_it_replaced_anything_does_not_count(self, database: Database) -> None:
        assert database.inv("db.backup").code == 0
        database.execute("DELETE FROM word")
        with killed_after_backup(database):
            assert database.inv("db.backups").out.count(" (its command changed nothing, or was killed)\n") == 1
            undo = database.inv("db.undo")
        assert (undo.code, database.rows()) == (0, ROWS)

    def test_a_downgrade_that_fails_and_changes_nothing_does_not_count(self, database: Database) -> None:
        with (database.project.root / "alembic.ini").open("a") as settings:
            settings.write("[dormatory]\nbackups = 1\n")
        assert database.inv("db.backup").code == 0
        database.execute("DELETE FROM word")
        (file,) = database.backup_files()
        database.project.write_revision("002", downgrade="op.execute('SELECT nothing')")
        for _ in range(2):
            assert database.inv("db.downgrade").code == 3
            assert [found for found in database.backup_files() if found == file]
        assert len(database.backup_files()) == 2
        assert (database.inv("db.undo").code, database.rows()) == (0, ROWS)

    def test_a_downgrade_that_fails_and_keeps_something_counts(self, database: Database) -> None:
        kept = "with op.get_context().autocommit_block():\n    op.execute('DELETE FROM word')"
        database.project.write_revision("002", downgrade=f"{kept}\nop.execute('SELECT nothing')")
        assert database.inv("db.downgrade").code == 3
        assert database.rows() == []
        assert (database.inv("db.undo").code, database.rows()) == (0, ROWS)

    def test_one_that_was_killed_behind_the_replacement_counts(self, database: Database) -> None:
        assert database.inv("db.backup").code == 0
        (first,) = database.backup_files()
        database.execute("DELETE FROM word WHERE id > 1")
        with killed_after_backup(database):
            with backend_for(database.target).backup.replacement(database.target) as replacement:
                replacement.restore(first)
            assert database.rows() == ROWS
            undo = database.inv("db.undo")
        assert (undo.code, database.rows()) == (0, ROWS[:1])

    def test_a_reset_whose_upgrade_fails_says_how_to_go_back(self, database: Database) -> None:
        database.project.write_revision("003", "raise ValueError('not on this machine')")
        reset = database.inv("db.reset")
        assert (reset.code, reset.err.splitlines()[-1]) == (
            3,
            (
                f"{database.target} was emptied before that; "
                f"to put its backup {database.backup_files()[0]} back: inv db.undo"
            ),
        )
        assert (database.inv("db.undo").code, database.rows()) == (0, ROWS)

    def test_a_failure_behind_the_replacement_names_the_backup(
        self, unmarked: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        confirm = f"--confirm={unmarked.target.database}"
        with monkeypatch.context() as patch:
            patch.setattr(new_database.NewDatabase, "_drop_replaced", raise_lost_connection)
            reset = unmarked.inv("db.reset", confirm)
        assert (reset.code, reset.err.splitlines()[-1]) == (
            3,
            (
                f"error: {unmarked.target} is no longer what it was (it was being replaced when something failed: "
                f"{unmarked.target} failed, the server closed the connection); "
                f"put its backup {unmarked.backup_files()[0]} back: inv db.undo"
            ),
        )
        assert (unmarked.inv("db.undo", confirm).code, unmarked.rows()) == (0, ROWS)

    def test_an_old_database_that_cannot_be_dropped_is_named_and_no_failure(
        self, unmarked: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        confirm = f"--confirm={unmarked.target.database}"
        assert unmarked.inv("db.backup").code == 0
        unmarked.execute("DELETE FROM word")
        drop, dropped = new_database.NewDatabase._drop, list[str]()

        def drop_before_creation(it: new_database.NewDatabase) -> None:
            dropped.append(it.name)
            if len(dropped) > 1:
                message = "database is being accessed by other users"
                raise psycopg2.errors.ObjectInUse(message)
            drop(it)

        with monkeypatch.context() as patch:
            patch.setattr(new_database.NewDatabase, "_drop", drop_before_creation)
            undo = unmarked.inv("db.undo", confirm)
        assert (undo.code, unmarked.rows()) == (0, ROWS)
        (warning,) = caplog.messages
        assert warning.startswith(f"{unmarked.target} was replaced; the old one is left as dormatory_")
        left = warning.partition(" left as ")[2].split()[0]
        left_over = unmarked.target.with_database(left)
        assert backend_for(left_over).exists(left_over)
        assert unmarked.inv("db.undo", confirm).code == 0
        assert not backend_for(left_over).exists(left_over)


@contextmanager
def killed_after_backup(database: Database) -> Iterator[None]:
    """Be, within the block, after a command that was killed behind its backup: nothing of it was cleared up."""
    with ExitStack() as killed:
        killed.enter_context(backups.backup_before_replacement(database.project.project, database.target))
        yield


def raise_lost_connection(database: new_database.NewDatabase) -> None:
    why = "the server closed the connection"
    raise DatabaseFailedError(f"{database.target} failed", why=why, fix="try again")


class TestCreateFromDump:
    def test_it_can_be_repeated_and_keeps_the_rows(self, database: Database) -> None:
        dump = database.project.root / "scripts" / "schema" / f"{database.target.backend_name}.sql"
        dump.parent.mkdir()
        dump.write_text(database.inv("db.schema-dump", "--live").out)
        again = database.inv("db.create", "--from-dump")
        assert (again.code, again.out.splitlines()[1], database.rows()) == (
            0,
            f"{database.target} filled from the schema file",
            ROWS,
        )
        database.execute("CREATE TABLE more (id int)")
        other = database.inv("db.create", "--from-dump")
        assert (other.code, database.rows()) == (2, ROWS)
        assert other.err.endswith(
            "name a new database in DATABASE_URL, or bring this one to head with: inv db.upgrade\n"
        )


class TestUpgrade:
    def test_it_makes_a_backup_only_with_the_option_and_pending_revisions(self, database: Database) -> None:
        assert database.inv("db.upgrade", "--backup").code == 0
        assert database.backup_files() == []
        database.project.write_revision("003", "op.drop_table('word')")
        upgrade = database.inv("db.upgrade", "--backup")
        assert (upgrade.code, upgrade.err.splitlines()[1]) == (0, backup_line(database))
        assert ".002." in database.backup_files()[0].name
        assert database.inv("db.undo").out.splitlines()[1] == f"{database.target} is at 002"
        assert database.rows() == ROWS
        assert (database.inv("db.upgrade").code, len(database.backup_files())) == (0, 2)


class TestFailure:
    """Without a backup nothing is destroyed."""

    @pytest.mark.parametrize("action", DESTRUCTIVE_COMMANDS)
    def test_a_backup_that_cannot_be_made_stops_it(self, database: Database, action: str) -> None:
        assert database.inv("db.backup").code == 0
        file = database.backup_files()[0]
        database.execute("DELETE FROM word WHERE id = 1")
        home = file.parent.rename(database.project.root / "moved")
        file.parent.write_text("where the directory should be")
        copy = home / file.name
        arguments = [argument.format(file=copy) for argument in DESTRUCTIVE_COMMANDS[action]]
        ended = database.inv(*arguments)
        assert (ended.out, database.rows(), copy.exists()) == ("", ROWS[1:], True)
        # Without the directory, undo finds no backup to restore.
        assert ended.code == (2 if action == "undo" else 3)
        if action != "undo":
            assert ended.err.splitlines()[-1] == (
                f"error: {database.target} was not backed up ({file.parent}: File exists); nothing was changed; "
                "check owner, mode and free space there"
            )

    def test_it_stops_plain_alembic(self, database: Database) -> None:
        (database.project.root / ".dormatory").write_text("where the directory should be")
        plain = database.project.alembic("downgrade", "base", url=database.url)
        assert (plain.code, database.rows()) == (255, ROWS)
        assert "was not backed up" in plain.out

    def test_a_missing_pg_dump_stops_it(
        self, unmarked: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("dormatory.backends.programs._client_places", lambda: iter([("nowhere", tmp_path)]))
            ended = unmarked.inv("db.downgrade", f"--confirm={unmarked.target.database}")
        assert (ended.code, unmarked.rows()) == (3, ROWS)
        assert "pg_dump was not found (looked in nowhere)" in ended.err


class TestProduction:
    """A database that is not marked for development needs its name in the call, before anything is changed."""

    @pytest.mark.parametrize("action", ["restore", "undo"])
    def test_it_is_not_replaced_unless_it_is_named(self, unmarked: Database, action: str) -> None:
        assert unmarked.inv("db.backup").code == 0
        unmarked.execute("DELETE FROM word")
        arguments = [argument.format(file=unmarked.backup_files()[0]) for argument in DESTRUCTIVE_COMMANDS[action]]
        name, count = unmarked.target.database, len(unmarked.backup_files())
        for more in ((), ("--confirm=another",)):
            refused = unmarked.inv(*arguments, *more, CONFIRM=name)
            assert (refused.code, refused.out) == (2, "")
            assert refused.err.startswith(f"error: {action} refused on {unmarked.target} (it counts as production")
        assert (unmarked.rows(), len(unmarked.backup_files())) == ([], count)
        confirmed = unmarked.inv(*arguments, f"--confirm={name}")
        assert (confirmed.code, unmarked.rows()) == (0, ROWS)
        assert confirmed.err.startswith(f"replacing {unmarked.target}: production database on PostgreSQL ")
        assert backend_for(unmarked.target).summary(unmarked.target).environment == "production"

    def test_it_is_not_filled_from_a_dump_unless_it_is_named(
        self, small_project: SmallProject, inv: Inv, postgres_server: Server
    ) -> None:
        empty = Database(small_project, postgres_server.create_database().url.render(), inv)
        small_project.write_table_revisions("a")
        dump = small_project.root / "scripts" / "schema" / "postgresql.sql"
        dump.parent.mkdir()
        dump.write_text(inv("db.schema-dump", "--live", url=empty.url).out)
        refused = empty.inv("db.create", "--from-dump")
        name = empty.target.database
        confirmed = empty.inv("db.create", "--from-dump", f"--confirm={name}")
        backend_for(empty.target).drop(empty.target)
        assert (refused.code, refused.out) == (2, f"{empty.target} exists\n")
        assert refused.err.startswith(f"error: create --from-dump refused on {empty.target} (it counts as production)")
        assert (confirmed.code, confirmed.out.splitlines()[1]) == (0, f"{empty.target} filled from the schema file")
        assert confirmed.err.startswith(f"filling {empty.target}: production database on PostgreSQL ")

    def test_open_sessions_are_counted_before_a_downgrade(self, unmarked: Database) -> None:
        url = unmarked.target.with_parts(drivername="postgresql").url
        with closing(psycopg2.connect(url.render())):
            name = unmarked.target.database
            by_task = unmarked.inv("db.downgrade", f"--confirm={name}")
            plain = unmarked.project.alembic("-x", f"confirm={name}", "downgrade", "base", url=unmarked.url)
        for ended in (by_task, plain):
            assert ended.code == 0
            assert ", 1 open session\n" in ended.err


class TestExternalEnv:
    """A project with an env.py of its own."""

    @pytest.fixture
    def external_project(self, small_project: SmallProject) -> SmallProject:
        write_history(small_project)
        (small_project.root / "scripts" / "env.py").write_text(
            "import os\nimport sqlalchemy as sa\nfrom alembic import context\n"
            "with sa.create_engine(os.environ['DATABASE_URL'], poolclass=sa.NullPool).connect() as connection:\n"
            "    context.configure(connection=connection, target_metadata=sa.MetaData())\n"
            "    with context.begin_transaction():\n        context.run_migrations()\n"
            "    connection.commit()\n"
        )
        return small_project

    def test_its_downgrade_is_undone(self, external_project: SmallProject, inv: Inv) -> None:
        url = f"sqlite:///{external_project.root}/x.db"
        database = Database(external_project, url, inv)
        assert inv("db.upgrade", url=url).code == 0
        database.fill()
        downgrade = inv("db.downgrade", "--to=base", url=url)
        assert (downgrade.code, "downgrading " in downgrade.err) == (0, True)
        assert backup_line(database) in downgrade.err.splitlines()
        assert inv("db.undo", url=url).out.splitlines()[1] == f"{database.target} is at 002"
        assert database.rows() == ROWS
        assert [file.name.split(".")[3] for file in database.backup_files()] == ["base", "002"]
