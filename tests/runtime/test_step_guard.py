"""What a project's code does to the process ends with it: it fails at its line, or leaves no trace in a result."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from dormatory.recording.leg import Direction
from dormatory.replay.replay import replay_history
from dormatory.system import signals
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Inv, SmallProject

ENDS = {
    "sys.exit": ("__import__('sys').exit(0)", "it called sys.exit(0), which ends the process"),
    "os._exit": ("__import__('os')._exit(0)", "it called os._exit(0), which ends the process"),
    "exec": ("__import__('os').execlp('true', 'true')", "it called os.execv("),
    "SystemExit": ("raise SystemExit", "it called sys.exit(None)"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "it raised KeyboardInterrupt, which ends the process"),
    "BaseException": ("raise BaseException('why')", "it raised BaseException: why, which ends the process"),
    "no text": ("raise type('Mute', (Exception,), {'__str__': None})", "it raised Mute, which has no text"),
    "close": ("op.get_bind().close()", "it closes the connection"),
    "with": ("with op.get_bind(): pass", "it closes the connection"),
    "driver's close": ("op.get_bind().connection.dbapi_connection.close()", "it closes the connection"),
    "invalidate": ("op.get_bind().invalidate()", "it closes the connection"),
}
HARMLESS = (
    "print('FOREIGN')",
    "import os; os.write(1, b'FOREIGN')",
    "import os; os.system('echo FOREIGN')",
    "import sys; print('FOREIGN', file=sys.__stdout__)",
    "import atexit; atexit.register(print, 'FOREIGN')",
    "import atexit, os; atexit.register(os.write, 1, b'FOREIGN')",
    "import os; os.chdir('/')",
    "import os; os.close(1)",
    "import sys; sys.stdout.close()",
    "import io, sys; sys.stdout = io.StringIO()",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    """
    import os
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    """,
    """
    import os
    if os.fork() != 0:
        os.wait()
    """,
    "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    """
    import threading
    bind = op.get_bind()
    thread = threading.Thread(target=lambda: bind.exec_driver_sql('SELECT 1').all())
    thread.start()
    thread.join()
    """,
)


@pytest.fixture(autouse=True)
def handled_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let signals be handled as in a command, which can so tell them from what a revision raises itself."""
    monkeypatch.setattr(signals, "_raising_on", {signal.SIGINT})
    monkeypatch.setattr(signals, "_arrived", [])


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path}/x.db"
    new: str = request.getfixturevalue("postgres_server").create_database().url.render()
    return new


def place_of(code: str, file: Path) -> str:
    """Return the place of a line of code in a revision, as messages name it."""
    number = next(number for number, line in enumerate(file.read_text().splitlines(), 1) if line.strip() == code)
    return f"scripts/versions/{file.name}:{number}"


@pytest.mark.parametrize(("code", "why"), ENDS.values(), ids=ENDS)
def test_an_upgrade_that_ends_more_than_itself_fails_in_its_file(
    small_project: SmallProject, backend: str, request: pytest.FixtureRequest, code: str, why: str
) -> None:
    small_project.write_table_revisions("a")
    file = small_project.write_revision("002", code)
    failure = replay_history(small_project.project, scratch_maker(backend, request)).steps[-1].legs[-1].failure
    assert failure is not None
    assert why in failure.why
    assert f"{file.name}:" in failure.what


def test_a_downgrade_that_ends_more_than_itself_hides_no_other_revision(
    small_project: SmallProject, backend: str, request: pytest.FixtureRequest
) -> None:
    for number, (code, _) in enumerate(ENDS.values(), start=1):
        small_project.write_revision(f"{number:03d}", "pass", code)
    steps = replay_history(small_project.project, scratch_maker(backend, request)).steps
    found = [(step.legs[-1].direction, step.legs[-1].failure) for step in steps]
    for (direction, failure), (_, why) in zip(found, ENDS.values(), strict=True):
        assert direction is Direction.DOWNGRADE
        assert failure is not None
        assert why in failure.why


@pytest.mark.parametrize("code", [ENDS[name][0] for name in ("sys.exit", "os._exit", "exec", "KeyboardInterrupt")])
def test_a_command_says_at_which_line_a_revision_ends_it(
    small_project: SmallProject, inv: Inv, backend: str, url: str, code: str
) -> None:
    small_project.write_table_revisions("a")
    file = small_project.write_revision("002", "pass", code)
    assert inv("db.upgrade", url=url).code == 0
    confirm = [] if backend == "sqlite" else [f"--confirm={url.rpartition('/')[2].partition('?')[0]}"]
    ended = inv("db.downgrade", *confirm, url=url)
    assert (ended.code, ended.out) == (3, "")
    assert f"error: the revision failed at {place_of(code, file)} (RuntimeError: it " in ended.err
    file = small_project.write_revision("003", code)
    ended = inv("db.upgrade", url=url)
    assert (ended.code, ended.out) == (3, "")
    assert f"error: the revision failed at {place_of(code, file)} (RuntimeError: it " in ended.err
    assert inv("db.current", url=url).out.startswith("002 ")


@pytest.mark.parametrize("code", ["__import__('sys').exit(0)", "__import__('os')._exit(0)", "undefined", "x ="])
def test_env_that_fails_or_ends_the_process_is_named(small_project: SmallProject, inv: Inv, code: str) -> None:
    small_project.write_table_revisions("a")
    small_project.write_env("import sqlalchemy as sa", code, "environment.run(sa.MetaData())")
    ended = inv("db.upgrade", url=f"sqlite:///{small_project.root}/x.db")
    assert (ended.code, ended.out) == (3, "")
    assert "error: env.py failed at scripts/env.py:3 (" in ended.err
    ended = inv("db.round-trip", "--backend=sqlite", "--format=json")
    assert ended.code == 1
    assert [finding["rule"] for finding in json.loads(ended.out)["findings"]] == ["environment-fails"]


@pytest.mark.parametrize("code", ["__import__('sys').exit(0)", "__import__('os')._exit(0)", "raise KeyboardInterrupt"])
def test_a_module_that_ends_the_process_cannot_be_imported(small_project: SmallProject, inv: Inv, code: str) -> None:
    file = small_project.write_revision("001", extra=code)
    ended = inv("db.upgrade", url=f"sqlite:///{small_project.root}/x.db")
    assert (ended.code, ended.out) == (2, "")
    assert f"error: {place_of(code, file)} cannot be imported (RuntimeError: it " in ended.err


def test_what_code_does_to_the_process_is_in_no_result(small_project: SmallProject, backend: str, url: str) -> None:
    for number, code in enumerate(HARMLESS, start=1):
        small_project.write_revision(f"{number:03d}", code, code)
    small_project.write_env("import sqlalchemy as sa", "print('FOREIGN')", "environment.run(sa.MetaData())")
    ended = small_project.inv("db.round-trip", f"--backend={backend}", "--format=json")
    assert ended.code == 0, ended
    assert json.loads(ended.out)["findings"] == []
    ended = small_project.inv("db.upgrade", url=url)
    assert ended.code == 0, ended
    assert "FOREIGN" in ended.err
    assert ended.out.endswith(f" is at {len(HARMLESS):03d}\n")
    assert ended.out.count("\n") == 1


def test_the_sql_of_an_upgrade_is_all_or_nothing(small_project: SmallProject, inv: Inv) -> None:
    small_project.write_revision("001", "print('FOREIGN'); op.execute('SELECT 1')")
    url = f"sqlite:///{small_project.root}/x.db"
    ended = inv("db.upgrade", "--sql", url=url)
    assert ended.code == 0
    assert "SELECT 1;" in ended.out
    assert "FOREIGN" not in ended.out
    code = "__import__('sys').exit(0)"
    file = small_project.write_revision("002", code)
    ended = inv("db.upgrade", "--sql", url=url)
    assert (ended.code, ended.out) == (3, "")
    assert f"{place_of(code, file)} (RuntimeError: it called sys.exit(0)" in ended.err


FATAL = {
    "kill": ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9"),
    "abort": ("import os; os.abort()", "was killed by signal 6"),
    "exit of C": ("import ctypes; ctypes.CDLL(None).exit(0)", "ended with exit code 0"),
}


@pytest.mark.parametrize(("code", "end"), FATAL.values(), ids=FATAL)
def test_what_nothing_can_catch_is_said_at_the_revision(
    small_project: SmallProject, backend: str, url: str, code: str, end: str
) -> None:
    small_project.write_table_revisions("a")
    file = small_project.write_revision("002", code)
    lines = file.read_text().splitlines()
    place = f"scripts/versions/{file.name}:{1 + next(at for at, it in enumerate(lines) if 'def upgrade' in it)}"
    ended = small_project.inv("db.upgrade", url=url)
    assert (ended.code, ended.out) == (3, "")
    assert f"error: the revision failed at {place} (the process {end} in it)" in ended.err
    ended = small_project.inv("db.check", "--only=roundtrip", f"--backend={backend}", "--format=json")
    (found,) = json.loads(ended.out)["findings"]
    assert (ended.code, f"{found['file']}:{found['line']}", end in found["message"]) == (3, place, True)


def test_what_a_thread_prints_until_the_process_ends_is_no_result(small_project: SmallProject, url: str) -> None:
    small_project.write_revision(
        "001",
        "import os, threading, time\n"
        "def run():\n"
        "    for _ in range(50):\n"
        "        time.sleep(0.01)\n"
        "        print('FOREIGN', flush=True)\n"
        "        os.write(1, b'FOREIGN')\n"
        "threading.Thread(target=run).start()",
    )
    ended = small_project.inv("db.upgrade", url=url)
    assert (ended.code, ended.out.endswith(" is at 001\n"), ended.out.count("\n")) == (0, True, 1), ended
    assert "FOREIGN" in ended.err
    assert "FOREIGN" not in ended.out
