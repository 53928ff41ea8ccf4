"""A password is in no output, no error and no argument list, in any encoding, whatever goes wrong."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from psycopg2 import sql
from sqlalchemy.engine import URL

from dormatory.backends.postgresql.server import postmaster
from dormatory.backends.registry import backend_for
from tests.commands.test_signals import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.throwaway import Server
    from tests.conftest import CommandResult, Inv, SmallProject

pytestmark = pytest.mark.once

CANARY = "ca%na@ry:7/x'y zü#?&=\\\"$!"
WRONG = "wrong%na@ry:7/x'y zü"
PRINTABLE = "".join(map(chr, range(32, 127)))


COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "user-info": (
        ("-e", "db.create"), ("-d", "db.upgrade", "--verbose"), ("--dry", "db.status"),
        ("current", "--verbose"), ("downgrade", "-1"), ("-e", "db.rehearse"), ("-e", "db.undo"),
        ("-d", "db.check", "--live"), ("-e", "db.check", "--format=json", "--output={root}/report.json"),
        ("-d", "db.round-trip"), ("-e", "db.shell"), ("db.downgrade",), ("db.heads",), ("db.show", "001"),
    ),
    "query": (
        ("-d", "db.create"), ("-e", "db.reset"), ("db.status", "--json"), ("db.upgrade", "--sql"),
        ("upgrade", "head", "--sql"), ("-d", "db.backup"), ("-e", "db.undo"), ("-e", "db.backups"),
        ("-d", "db.stamp"), ("-e", "db.current"), ("-d", "db.schema-dump", "--live"), ("-d", "db.schema-dump"),
        ("-d", "db.revision", "--message=Add something new", "--empty"), ("-e", "db.history"), ("db.sum",),
    ),
}  # fmt: skip


def encoded_forms(secret: str) -> set[str]:
    """Return every form in which a secret may be written."""
    return {
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1],
        secret.replace("'", "''"), secret.replace("%", "%%"), secret.encode("unicode_escape").decode(),
        URL.create("x", "u", secret, "h").render_as_string(hide_password=False)[6:-2],
    }  # fmt: skip


def assert_no_secret(text: str, *secrets: str) -> None:
    for secret in secrets:
        assert not [form for form in encoded_forms(secret) if form in text], text


class PasswordUser:
    """A user of the throwaway server that needs a password, and URLs of databases for it."""

    def __init__(self, server: Server, user: str, password: str) -> None:
        self.server, self.user, self.password = server, user, password

    def url(self, name: str = "postgres", *, password: str | None = None) -> str:
        """Return a URL with the password in its user-info."""
        url = self.server.database(name).url.set(username=self.user, password=password or self.password)
        return url.set(drivername="postgresql").render()

    def query_url(self, name: str) -> str:
        """Return a URL with the password among its options."""
        host = quote(str(self.server.socket_directory), safe="")
        return f"postgresql://{self.user}@/{name}?host={host}&password={quote(self.password, safe='')}"


@pytest.fixture
def scram(postgres_server: Server) -> Iterator[dict[str, PasswordUser]]:
    """Users that need a password on a server that trusts all other users."""
    users = {"canary": CANARY, "printable": PRINTABLE}
    access = postgres_server.socket_directory / postmaster.DATA_DIRECTORY / "pg_hba.conf"
    before = access.read_text()
    with contextlib.closing(postmaster.connect(postgres_server.socket_directory)) as connection:
        with connection.cursor() as cursor:
            for user, password in users.items():
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,))
                if cursor.fetchone() is None:
                    role = sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}")
                    cursor.execute(role.format(sql.Identifier(user), sql.Literal(password)))
        access.write_text("".join(f"local all {user} scram-sha-256\n" for user in users) + before)
        reload_configuration(postgres_server)
        try:
            yield {user: PasswordUser(postgres_server, user, password) for user, password in users.items()}
        finally:
            access.write_text(before)
            reload_configuration(postgres_server)


def reload_configuration(server: Server) -> None:
    """Let a server read its files again, until new sessions have what it has read."""
    before = load_time(server, "pg_reload_conf()")
    wait_until(lambda: load_time(server) != before)


def load_time(server: Server, *calls: str) -> object:
    """Return when the server read its files, as a new session knows it, before it makes the calls."""
    with contextlib.closing(postmaster.connect(server.socket_directory)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(('pg_conf_load_time()', *calls))}")
        (found,) = cursor.fetchall()
        return found[0]


class ArgumentListRecorder(threading.Thread):
    """Collects the argument lists of all processes that start while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self._earlier = self._processes()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(0.01):
            for entry in self._processes() - self._earlier:
                with contextlib.suppress(OSError):
                    self.seen.add(Path(entry, "cmdline").read_bytes())

    def stop(self) -> str:
        self._stopped.set()
        self.join()
        return "\n".join(line.replace(b"\0", b" ").decode(errors="replace") for line in self.seen)

    @staticmethod
    def _processes() -> set[str]:
        with os.scandir("/proc") as entries:  # a hundred times a second; Path.glob costs seven times as much
            return {entry.path for entry in entries}


@pytest.fixture
def arguments() -> Iterator[ArgumentListRecorder]:
    """The argument lists of all processes since the start of the test."""
    if not Path("/proc/self/cmdline").exists():
        pytest.fail("argument lists can be read on Linux only; run this test there")
    recorder = ArgumentListRecorder()
    recorder.start()
    yield recorder
    recorder.stop()


def all_output(ended: CommandResult) -> str:
    return ended.out + ended.err


class TestPassword:
    @pytest.mark.parametrize("place", ["user-info", "query"])
    def test_successful_commands_show_no_password(
        self, small_project: SmallProject, scram: dict[str, PasswordUser], arguments: ArgumentListRecorder, place: str
    ) -> None:
        small_project.write_table_revisions("a", "b")
        canary = scram["canary"]
        name = f"day_{place.replace('-', '_')}"
        url = canary.url(name) if place == "user-info" else canary.query_url(name)
        shown = ""
        for command in COMMANDS[place]:
            task = any(word.startswith("db.") for word in command)
            words = [word.format(root=small_project.root) for word in command]
            ended = (small_project.inv if task else small_project.alembic)(*words, url=url)
            assert ended.code == ("db.check" in command and "--live" not in command), ended  # db.check has findings
            shown += all_output(ended)
        backup = next(path for path in small_project.root.rglob("*.dump"))
        ended = small_project.inv("-e", "db.restore", backup.name, url=url)
        assert ended.code == 0, ended
        shown += all_output(ended)
        target = small_project.project.target({"DATABASE_URL": url})
        backend_for(target).drop(target)
        assert_no_secret(shown, CANARY)
        assert "***" in shown
        lists = arguments.stop()
        assert_no_secret(lists, CANARY)
        assert "-m dormatory upgrade" in lists
        assert "pg_dump --format=custom" in lists
        assert "pg_restore --no-password" in lists
        assert (small_project.root / "report.json").is_file() == (place == "user-info")
        files = [path for path in small_project.root.rglob("*") if path.is_file()]
        assert_no_secret("\n".join(path.name for path in files), CANARY)
        for path in files:
            assert_no_secret(path.read_text(errors="replace"), CANARY)

    def test_failing_commands_show_no_password(
        self, small_project: SmallProject, scram: dict[str, PasswordUser]
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", "raise ValueError(op.get_bind().engine.url.render_as_string(False))")
        canary = scram["canary"]
        name = "failing"
        target = small_project.project.target({"DATABASE_URL": canary.url(name)})
        backend_for(target).create(target)
        for option, url in (("-e", canary.url(name)), ("-d", canary.query_url(name))):
            ended = small_project.inv(option, "db.upgrade", url=url)
            assert ended.code == 3
            assert "the revision failed at scripts/versions/002_x.py:11" in ended.err
            assert_no_secret(all_output(ended), CANARY)
        assert_no_secret(all_output(small_project.alembic("upgrade", "head", url=url)), CANARY)
        backend_for(target).drop(target)

    def test_a_wrong_password_is_one_line_without_it(
        self, inv: Inv, small_project: SmallProject, scram: dict[str, PasswordUser]
    ) -> None:
        small_project.write_table_revisions("a")
        url = scram["canary"].url(password=WRONG)
        target = small_project.project.target({"DATABASE_URL": url})
        expected = f"cannot reach {target} (the server refused the password); correct the password in DATABASE_URL\n"
        for task in ("db.status", "db.upgrade", "db.create", "db.reset"):
            ended = inv(task, url=url)
            assert (ended.code, ended.out, ended.err) == (3, "", f"error: {expected}")
        plain = small_project.alembic("upgrade", "head", url=url)
        assert (plain.code, plain.err) == (255, "")
        assert plain.out.strip() == f"FAILED: {expected}".strip()
        assert "***" in expected
        assert_no_secret(expected, WRONG)

    def test_a_missing_password_is_requested_in_the_message(
        self, small_project: SmallProject, scram: dict[str, PasswordUser]
    ) -> None:
        small_project.write_table_revisions("a")
        url = f"postgresql://canary@/postgres?host={scram['canary'].server.socket_directory}"
        ended = small_project.run("dormatory", "upgrade", url=url, PGPASSFILE="/nonexistent")
        assert (ended.code, ended.out) == (3, "")
        assert ended.err == (
            f"error: cannot reach {url} (the server wants a password); put one into DATABASE_URL or ~/.pgpass\n"
        )


def test_a_password_of_every_printable_character_works_everywhere(
    inv: Inv, small_project: SmallProject, scram: dict[str, PasswordUser]
) -> None:
    small_project.write_table_revisions("a", "b")
    user = scram["printable"]
    url = user.url("printable")
    for command in (["db.create"], ["db.upgrade", "--to=001"], ["db.status"], ["db.reset"]):
        ended = inv(*command, url=url)
        assert ended.code == 0, ended
        assert_no_secret(all_output(ended), PRINTABLE)
    for form in (url, user.query_url("printable")):
        assert inv("db.current", url=form).out == "002 (head)  Do step 002.\n"
    assert small_project.alembic("current", url=url).out == "002 (head)\n"
    target = small_project.project.target({"DATABASE_URL": url})
    backend_for(target).drop(target)


def test_a_failing_env_shows_no_password(small_project: SmallProject) -> None:
    small_project.write_env("import os", "raise LookupError(os.environ['DATABASE_URL'])")
    url = f"postgresql://u:{quote(CANARY, safe='')}@h/n"
    small_project.write_table_revisions("a")
    ended = small_project.run("dormatory", "stamp", url=url)
    assert ended.code == 3
    assert ended.err.startswith("error: env.py failed at scripts/env.py:3 (LookupError: postgresql://u:***@h/n); ")
