"""Servers and directories are removed, however their owner ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import installation, postmaster, throwaway
from dormatory.backends.scratch_directory import remove_abandoned_scratch
from dormatory.errors import DatabaseFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

# Prints the directory and the process number of the server, then waits until its standard input ends.
SCRIPT = """
import sys
from dormatory.system import signals; from dormatory.backends.postgresql.server import throwaway

with signals.raise_on_signals(), throwaway.server() as server:
    home = server.socket_directory
    server.drop_database(server.create_database().database)
    print(home, (home / "data/postmaster.pid").read_text().split()[0], flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process with a throwaway server of its own."""

    process: subprocess.Popen[str]
    home: Path
    postmaster: int

    def end(self) -> int:
        """Let the process leave the block in the ordinary way, and return its exit code."""
        self.process.communicate(timeout=60)
        return self.process.returncode


def start_owner(script: str = SCRIPT) -> subprocess.Popen[str]:
    """Start a process that owns a server, in its own session, all three streams piped."""
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_server(process: subprocess.Popen[str]) -> Owner:
    """Wait until the process has printed that its server is ready."""
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert len(words) == 2, process.communicate()[1]
    return Owner(process, Path(words[0]), int(words[1]))


@contextmanager
def running_owner(script: str = SCRIPT) -> Iterator[Owner]:
    """Run a process with a ready server, and kill it at the end if it still runs."""
    process = start_owner(script)
    with process:
        try:
            yield wait_for_server(process)
        finally:
            if process.poll() is None:
                process.kill()


def is_running(pid: int) -> bool:
    """Return whether a process runs; one that has ended but was not reaped by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def create_abandoned_directory(name: str = "dorm-abandoned") -> Path:
    """Make a directory as a killed owner leaves it, its lock free."""
    home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=tempfile.gettempdir()))
    (home / "owner.lock").touch(mode=0o600)
    (home / "data").mkdir()
    return home


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for private directories where no other test, and no other user of the machine, cleans up."""
    tmp_path_factory.getbasetemp()  # which would otherwise be made in here
    with tempfile.TemporaryDirectory(prefix="d") as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)
        remove_abandoned()


def remove_abandoned() -> None:
    """Clean up as the start of a server does."""
    remove_abandoned_scratch(installation.server_account())


class TestCleanUp:
    """What is left when an owner could clean up: nothing."""

    def test_the_end_of_the_block_leaves_no_process_and_no_directory(self) -> None:
        with running_owner() as found:
            code = found.end()
        assert (code, is_running(found.postmaster), found.home.exists()) == (0, False, False)

    def test_an_exception_passes_through_and_leaves_nothing(self) -> None:
        with pytest.raises(DatabaseFailedError) as caught, throwaway.server() as server:
            raise DatabaseFailedError(str(server.socket_directory), why="", fix="")
        assert not Path(caught.value.what).exists()

    def test_a_stopped_server_leaves_no_shared_memory(self) -> None:
        with running_owner() as found:
            found.end()
        creators = [line.split()[4] for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
        assert str(found.postmaster) not in creators

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_leaves_no_process_and_no_directory(self, number: signal.Signals) -> None:
        with running_owner() as found:
            found.process.send_signal(number)
            found.process.communicate(timeout=60)
        assert (is_running(found.postmaster), found.home.exists()) == (False, False)

    def test_a_second_ctrl_c_does_not_interrupt_the_clean_up(self) -> None:
        with running_owner() as found:
            for _ in range(20):
                found.process.send_signal(signal.SIGINT)
                time.sleep(0.005)
            found.process.communicate(timeout=60)
        assert (is_running(found.postmaster), found.home.exists()) == (False, False)

    @pytest.mark.parametrize("seconds", [0.4, 0.5, 0.6, 0.8])
    def test_a_signal_during_the_start_leaves_no_directory(self, seconds: float, place: Path) -> None:
        process = start_owner()
        time.sleep(seconds)
        process.terminate()
        process.communicate(timeout=60)
        assert list(place.iterdir()) == []

    def test_a_forked_child_leaves_the_server_to_its_parent(self) -> None:
        forking = SCRIPT.replace(
            "    print(home", "    if not (child := __import__('os').fork()): sys.exit()\n"
            "    __import__('os').waitpid(child, 0)\n    print(home",
        )  # fmt: skip
        with running_owner(forking) as found:
            assert is_running(found.postmaster)
            with closing(postmaster.connect(found.home)) as connection:
                assert connection.status
            assert found.end() == 0
        assert not found.home.exists()

    def test_a_server_that_ignores_both_requests_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postmaster, "_FAST_SECONDS", 0.1)
        monkeypatch.setattr(postmaster, "_IMMEDIATE_SECONDS", 0.1)
        deaf = (
            "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, [2, 3]); print(flush=True); time.sleep(99)"
        )
        with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            postmaster._stop(process)
        assert process.returncode == -signal.SIGKILL


class TestKilledOwners:
    """What the next run does about owners that could not clean up."""

    def test_the_next_run_removes_process_and_directory_of_a_killed_owner(self) -> None:
        with running_owner() as found:
            found.process.kill()
        assert is_running(found.postmaster)
        with throwaway.server():
            assert (is_running(found.postmaster), found.home.exists()) == (False, False)

    def test_the_next_run_leaves_living_servers_alone(self) -> None:
        with running_owner() as living:
            with running_owner() as killed:
                killed.process.kill()
            remove_abandoned()
            assert (killed.home.exists(), is_running(living.postmaster)) == (False, True)
            assert living.end() == 0

    def test_a_forked_child_that_lives_on_does_not_keep_the_directory(self) -> None:
        forking = SCRIPT.replace(
            "    print(home",
            "    __import__('os').fork() or __import__('signal').pause()\n    print(home",
        )
        with running_owner(forking) as found:
            found.process.kill()
            found.process.wait()
            deadline = time.monotonic() + 10
            while (left := found.home.exists()) and time.monotonic() < deadline:  # another run may be removing it
                remove_abandoned()
            os.killpg(found.process.pid, signal.SIGKILL)
        assert not left

    def test_the_output_of_a_killed_owner_ends_with_it(self) -> None:
        """The server keeps no pipe of its owner open: a CI job that waits for the end of the output is not stuck."""
        with running_owner() as found:
            found.process.kill()
            found.process.communicate(timeout=10)
            assert is_running(found.postmaster)
        remove_abandoned()

    @pytest.mark.once
    def test_twenty_owners_at_once_do_not_remove_each_others_directories(self) -> None:
        with running_owner() as killed:
            killed.process.kill()
        processes = [start_owner() for _ in range(20)]
        owners = [wait_for_server(process) for process in processes]
        alive = [is_running(found.postmaster) for found in owners]
        codes = [found.end() for found in owners]
        assert (len({found.home for found in owners}), alive, codes) == (20, [True] * 20, [0] * 20)
        assert not [found for found in [killed, *owners] if found.home.exists() or is_running(found.postmaster)]


class TestAbandonedDirectories:
    """What is never removed or stopped as abandoned."""

    def test_a_reused_process_number_is_never_signalled(self) -> None:
        home = create_abandoned_directory()
        with subprocess.Popen(["/postgres", "99"], executable="/bin/sleep") as innocent:
            lines = [str(innocent.pid), str(home / "data"), str(int(time.time())), "5432", str(home), "", "", "ready"]
            (home / "data" / "postmaster.pid").write_text("\n".join(lines))
            remove_abandoned()
            assert (innocent.poll(), home.exists()) == (None, False)
            innocent.kill()

    def test_a_process_that_only_mentions_the_directory_is_never_signalled(self) -> None:
        home = create_abandoned_directory()
        with subprocess.Popen(
            [sys.executable, "-c", "input()", "-D", home / "data"], stdin=subprocess.PIPE
        ) as innocent:
            remove_abandoned()
            assert (innocent.poll(), home.exists()) == (None, False)

    @pytest.mark.parametrize("name", ["dormitory", "pgdorm"])
    def test_a_directory_of_another_name_stays(self, name: str) -> None:
        home = create_abandoned_directory(name)
        remove_abandoned()
        assert (home / "owner.lock").exists()
        (home / "data").rmdir()
        (home / "owner.lock").unlink()
        home.rmdir()

    def test_a_directory_without_our_lock_stays_unless_it_is_empty(self) -> None:
        home = create_abandoned_directory()
        (home / "owner.lock").unlink()
        remove_abandoned()
        assert (home / "data").exists()
        (home / "data").rmdir()
        remove_abandoned()
        assert not home.exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
    @pytest.mark.parametrize("below", ["", "owner.lock"])
    def test_what_belongs_to_another_user_stays(self, below: str) -> None:
        home = create_abandoned_directory()
        os.chown(home / below, 4242, 4242)
        remove_abandoned()
        assert (home / "data").exists()
        os.chown(home / below, 0, 0)
        remove_abandoned()
        assert not home.exists()

    def test_a_link_with_our_kind_of_name_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "owner.lock").touch()
        link = Path(tempfile.gettempdir(), "dorm-link0000")
        link.symlink_to(tmp_path)
        remove_abandoned()
        link.unlink()
        assert (tmp_path / "owner.lock").exists()
