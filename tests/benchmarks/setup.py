"""Where the candidates run: on the same histories and the same server, each in its own process."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.system import process
from tests.benchmarks import synthetic
from tests.benchmarks.commands import ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dormatory.backends.postgresql.server.throwaway import Server

_MEMORY_DIRECTORY = Path("/dev/shm")  # noqa: S108  # a disk would slow them down, and not all of them equally
_TIMEOUT_SECONDS = 3600.0
# What pytest-alembic's manual requires of a project: an engine for each test, on an empty database.
_CONFTEST = """\
import itertools
import os

import pytest
import sqlalchemy as sa

SERVER = sa.make_url(os.environ["BENCHMARK_SERVER"])
NUMBERS = itertools.count()


@pytest.fixture
def alembic_engine(tmp_path):
    url = SERVER.set(database=str(tmp_path / "scratch.db"))
    if SERVER.get_backend_name() == "postgresql":
        url = SERVER.set(database=f"peer_{os.getpid()}_{next(NUMBERS)}")
        with sa.create_engine(SERVER, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {url.database} TEMPLATE template0 STRATEGY file_copy")
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()
"""


@dataclass(frozen=True, slots=True)
class BenchmarkSetup:
    """One backend, its running server if it has one, and a directory for the histories."""

    backend: str
    server: Server | None
    directory: Path

    def ours(self, revisions: int) -> dict[str, Any]:
        """Replay a history as we do; raises AssertionError if a revision or a route is not clean."""
        return self._replay(revisions, "ours")

    def inside(self, revisions: int) -> dict[str, Any]:
        """Replay it in a single process; `unwatched` is compared with this."""
        return self._replay(revisions, "inside")

    def unwatched(self, revisions: int) -> dict[str, Any]:
        """Replay it in a single process, without watching locks."""
        return self._replay(revisions, "unwatched")

    def stairway(self, revisions: int) -> dict[str, Any]:
        """Replay it as the tests of many projects do."""
        with self._empty_database() as url:
            return self._run_candidate(revisions, "stairway", url)

    def bare(self, revisions: int) -> dict[str, Any]:
        """Send only the statements that the same legs write; they are captured at the first call."""
        file = self.directory / f"{self.backend}_{revisions}.pickle"
        if not file.exists():
            with self._empty_database() as url:
                self._run_candidate(revisions, "capture", url, str(file))
        with self._empty_database() as url:
            return self._run_candidate(revisions, "bare", url, str(file))

    def pytest_alembic(self, revisions: int) -> dict[str, Any]:
        """Run the tests that pytest-alembic runs by default."""
        ini = self._history_ini(revisions)
        (ini.parent / "conftest.py").write_text(_CONFTEST)
        report = self.directory / "junit.xml"
        command = ["-m", "pytest", "--test-alembic", "--alembic-tests-path=conftest.py", "--rootdir=.", "conftest.py"]
        with self._empty_database() as url:
            options = [
                "-q",
                "-p",
                "no:cacheprovider",
                f"--basetemp={self.directory / 'pytest'}",
                f"--junitxml={report}",
            ]
            self._run_python([*command, *options], ini.parent, BENCHMARK_SERVER=url)
        suite = ET.parse(report).getroot()[0].attrib  # noqa: S314  # pytest wrote it
        if suite["tests"] != "4" or suite["skipped"] != "0":
            raise AssertionError(f"pytest-alembic did not run its four default tests: {suite}")
        return {"seconds": float(suite["time"])}

    def _replay(self, revisions: int, way: str) -> dict[str, Any]:
        where = [str(self.server.socket_directory), str(self.server.major_version)] if self.server else []
        result = self._run_candidate(revisions, way, self.backend, *where)
        if result["broken"] or result["steps"] != revisions:
            raise AssertionError(f"{revisions} revisions on {self.backend}: {result}")
        return result

    def _history_ini(self, revisions: int) -> Path:
        directory = self.directory / f"history_{revisions}"
        if not directory.exists():
            directory.mkdir()
            return synthetic.write_history(directory, revisions)
        return directory / "alembic.ini"

    def _run_candidate(self, revisions: int, way: str, *arguments: str) -> dict[str, Any]:
        ini = self._history_ini(revisions)
        output = self._run_python(["-m", "tests.benchmarks.candidates", way, str(ini), *arguments], ini.parent)
        result: dict[str, Any] = json.loads(output.splitlines()[-1])
        return result

    def _run_python(self, arguments: Sequence[str], directory: Path, **variables: str) -> str:
        env = {**clean_environment(), "PYTHONPATH": str(ROOT), **variables}
        return process.run_program(
            [sys.executable, *arguments], env=env, cwd=directory, timeout=_TIMEOUT_SECONDS
        ).stdout

    @contextmanager
    def _empty_database(self) -> Iterator[str]:
        """Provide the URL of an empty database."""
        scratch = throwaway.scratch_postgresql(self.server) if self.server else scratch_sqlite()
        with scratch as target:
            yield target.url.render()


@contextmanager
def open_setups() -> Iterator[tuple[BenchmarkSetup, ...]]:
    """Open one setup for each backend, in memory if the machine has a file system there."""
    if find_spec("pytest_alembic") is None:
        raise SystemExit(
            "pytest-alembic is not installed here: run nox -s bench, which installs it with a pytest it fits"
        )
    base = _MEMORY_DIRECTORY if os.access(_MEMORY_DIRECTORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as home, throwaway.server() as server:
        yield BenchmarkSetup("sqlite", None, Path(home)), BenchmarkSetup("postgresql", server, Path(home))


def measure(way: Callable[[int], dict[str, Any]], revisions: int, number: int) -> dict[str, Any]:
    """Run one candidate, and report its time on standard error."""
    result = way(revisions)
    backend = way.__self__.backend  # type: ignore[attr-defined]  # a method of a setup
    words = f"{backend}, round {number + 1}: {way.__name__}, {revisions} revisions: {result['seconds']:.2f} s\n"
    sys.stderr.write(words)
    return result
