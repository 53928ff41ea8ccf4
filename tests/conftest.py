"""Fixtures of many test files: a PostgreSQL server, a small Alembic project, and commands that run on it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from invoke.program import Program

from dormatory import __main__ as command
from dormatory.backends.database_url import DatabaseURL
from dormatory.backends.postgresql.server import throwaway
from dormatory.project.checksum_update import write_checksums
from dormatory.project.project import Project
from dormatory.runtime import scratch
from dormatory.system import process

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent
os.environ.pop("COLUMNS", None)  # readline sets it in workers of pytest; it would break lines of what is compared

with contextlib.suppress(ModuleNotFoundError):  # the matrix of migrations runs without it
    from hypothesis import HealthCheck, settings

    # On a busy machine a slow draw says nothing about the test.
    settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("shared machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose the server on which the migrations are replayed."""
    group = parser.getgroup("migrations")
    group.addoption("--backend", action="append", help="replay on this backend only: sqlite or postgresql")
    group.addoption("--server-major", help="fail unless the server is of this major version")


def pytest_configure() -> None:
    """Receive Ctrl-C, here and in child processes: a shell makes its background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the seconds of an earlier replay, the property `seconds`, as the duration of the test that checks it."""
    report = yield
    if report.when == "call":
        replay_seconds = [float(str(value)) for name, value in item.user_properties if name == "seconds"]
        report.duration = sum(replay_seconds) if replay_seconds else report.duration
    return report


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[throwaway.Server]:
    """One throwaway PostgreSQL for each session, or worker of pytest-xdist; without binaries the test fails.

    SIGTERM ends the session like Ctrl-C: pytest would report any other exception as a failed test.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with throwaway.server() as server:
            yield server
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code of a command, its results (standard output) and its messages (standard error)."""

    code: int
    out: str
    err: str


class RunningCommand(subprocess.Popen[str]):
    """A running command, which is stopped at the end of the block."""

    def __exit__(self, *raised: object) -> None:
        for number in (signal.SIGINT, signal.SIGKILL):  # SIGINT lets it stop its own child processes
            if self.poll() is None:
                os.killpg(self.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.wait(30)
        super().__exit__(*raised)  # type: ignore[arg-type]


class SmallProject:
    """A new Alembic project, and commands that run on it without any environment variable of ours."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.versions = root / "scripts" / "versions"
        self.versions.mkdir(parents=True)
        inherited = ("PG", "DATABASE_URL", "ALEMBIC_", "DORMATORY_", "INVOKE_", "COVERAGE")
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith(inherited)}
        self.environ |= {"ALEMBIC_CONFIG": str(root / "alembic.ini"), "PYTHONPATH": str(REPOSITORY)}
        template = REPOSITORY / "dormatory" / "project" / "templates" / "script.py.mako"
        (root / "scripts" / "script.py.mako").write_text(template.read_text())
        self.write_ini("script_location = %(here)s/scripts", "revision_environment = true")
        self.write_env("import sqlalchemy as sa", "environment.run(sa.MetaData())")

    @property
    def project(self) -> Project:
        """The project as the workflow reads it."""
        return Project.read(self.root / "alembic.ini")

    def write_ini(self, *lines: str) -> None:
        """Write alembic.ini."""
        (self.root / "alembic.ini").write_text("\n".join(("[alembic]", *lines, "")))

    def write_env(self, *lines: str) -> None:
        """Write env.py."""
        (self.root / "scripts" / "env.py").write_text("\n".join(("from dormatory import environment", *lines, "")))

    def write_revision(
        self, name: str, upgrade: str = "pass", downgrade: str = "pass", *, after: object = "", extra: str = ""
    ) -> Path:
        """Write a revision; without `after`, its parent is the number before its own."""
        parent = after if after != "" else (None if name == "001" else f"{int(name) - 1:03d}")
        head = f"revision = {name!r}\ndown_revision = {parent!r}\n{extra}\n"
        body = [
            f"def {function}():\n{textwrap.indent(textwrap.dedent(code).strip(), '    ')}\n"
            for function, code in (("upgrade", upgrade), ("downgrade", downgrade))
        ]
        file = self.versions / f"{name}_x.py"
        imports = "import sqlalchemy as sa\nfrom alembic import op\n"
        file.write_text("\n".join((f'"""Do step {name}."""\n', imports, head, *body)))
        return file

    def write_table_revisions(self, *names: str) -> None:
        """Write revisions 001, 002, ... that create one table each."""
        for number, name in enumerate(names, start=1):
            create = f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))'
            self.write_revision(f"{number:03d}", create, f'op.drop_table("{name}")')

    def upgrade(self, url: str, to: str = "heads") -> None:
        """Upgrade a database in this process: faster, for tests of something else than the command."""
        scratch.upgrade(self.project, self.project.target({"DATABASE_URL": url}), to)

    def start(self, *arguments: str, url: object = None, **environ: str) -> RunningCommand:
        """Start `python -m` with these arguments, in the repository, as a process group of its own."""
        return RunningCommand(
            [sys.executable, "-m", *arguments], cwd=REPOSITORY, env=self.command_environment(url, environ), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str, url: object = None, **environ: str) -> CommandResult:
        """Run `python -m` with these arguments to its end, at most two minutes."""
        with self.start(*arguments, url=url, **environ) as child:
            out, err = child.communicate(timeout=120)
            return CommandResult(child.returncode, out, err)

    def run_code(self, code: str, *arguments: str, url: object = None) -> CommandResult:
        """Run Python code in a new interpreter."""
        command = [sys.executable, "-c", code, *arguments]
        environ = self.command_environment(url, {})
        ended = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False)
        return CommandResult(ended.returncode, ended.stdout, ended.stderr)

    def inv(self, *arguments: str, url: object = None, **environ: str) -> CommandResult:
        """Run a task in a new process, as a shell does; the fixture `inv` is faster."""
        return self.run("invoke", *arguments, url=url, **environ)

    def alembic(self, *arguments: str, url: object = None, **environ: str) -> CommandResult:
        """Run plain Alembic on this project."""
        return self.run("alembic", "-c", str(self.root / "alembic.ini"), *arguments, url=url, **environ)

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git in this project under a made-up identity, and return its output."""
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=check, capture_output=True, text=True).stdout

    def commit(self) -> None:
        """Commit all files of this project."""
        self.git("add", "-A")
        self.git("commit", "-qm", "more")

    def command_environment(self, url: object, environ: dict[str, str]) -> dict[str, str]:
        """Return the environment variables for a command on a database of this project."""
        text = None if url is None else url if isinstance(url, str) else self._url_text(url)
        return {**self.environ, **({} if text is None else {"DATABASE_URL": text}), **environ}

    @staticmethod
    def _url_text(url: object) -> str:
        return url.render() if isinstance(url, DatabaseURL) else str(url)


@pytest.fixture
def small_project(tmp_path: Path) -> SmallProject:
    """A project without revisions."""
    home = tmp_path / "project"
    home.mkdir()
    return SmallProject(home)


@pytest.fixture
def published(small_project: SmallProject) -> SmallProject:
    """A project with two revisions and their checksums on its main branch."""
    small_project.write_table_revisions("a", "b")
    small_project.git("init", "-q")
    write_checksums(small_project.project)
    small_project.commit()
    return small_project


@contextlib.contextmanager
def on_warning(action: Callable[[], object]) -> Iterator[None]:
    """Call `action` when the workflow warns of something in the block, before it goes on."""

    class Handler(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            action()

    log, handler = logging.getLogger("dormatory"), Handler(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class Inv(Protocol):
    """Runs a task."""

    def __call__(self, *arguments: str, url: object = None, **environ: str) -> CommandResult:
        """Run `inv` with these arguments to its end."""


@pytest.fixture
def inv(small_project: SmallProject, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inv:
    """Run a task in this process, and also its child, `python -m dormatory`."""

    def run_child(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> int:
        assert arguments[:3] == [sys.executable, "-m", "dormatory"]
        with monkeypatch.context() as patch, contextlib.chdir(cwd):
            set_environment(patch, env)
            return command.main(list(arguments[3:]))

    def run(*arguments: str, url: object = None, **environ: str) -> CommandResult:
        set_environment(monkeypatch, small_project.command_environment(url, environ))
        capfd.readouterr()
        code: object = 0
        try:
            Program().run(["inv", "--search-root", str(REPOSITORY), *arguments])
        except SystemExit as ended:
            code = ended.code
        assert isinstance(code, int)
        return CommandResult(code, *capfd.readouterr())

    monkeypatch.setattr(process, "run_in_foreground", run_child)
    return run


def set_environment(patch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Give this process exactly these environment variables."""
    for name in os.environ.keys() - environment.keys():
        patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)
