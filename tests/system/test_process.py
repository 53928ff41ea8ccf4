"""Programs are started with argument lists, ended with their whole group, and reported without their arguments."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.errors import ProgramFailedError
from dormatory.system import process, signals

if TYPE_CHECKING:
    from collections.abc import Iterator


def python_command(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


class TestRun:
    def test_the_output_and_the_exit_code_are_returned(self) -> None:
        finished = process.run_program(
            python_command("import sys; print(input()); print('e', file=sys.stderr)"), text="ü\n"
        )
        assert finished == process.ProcessResult(0, "ü\n", "e\n")

    def test_arguments_reach_the_program_as_they_are(self) -> None:
        odd = ["a b", "$(touch x)", "'", '"', "*", "", "%PATH%"]
        assert process.run_program(python_command("import sys; print(sys.argv[1:])", *odd)).stdout == f"{odd}\n"

    def test_a_failure_names_the_program_and_its_last_lines_but_no_argument(self) -> None:
        with pytest.raises(ProgramFailedError) as raised:
            process.run_program(python_command("import sys; sys.exit('first\\n\\nlast')", "canary"), fix="do this")
        assert str(raised.value) == f"{Path(sys.executable).name} ended with exit code 1 (first / last); do this"

    def test_without_check_a_failure_is_a_result(self) -> None:
        assert process.run_program(python_command("raise SystemExit(7)"), check=False).code == 7

    def test_a_program_that_is_not_there_is_a_failure(self) -> None:
        with pytest.raises(ProgramFailedError, match=r"^no-such could not be started \(No such file or directory\)"):
            process.run_program(["/nowhere/no-such", "canary"])

    def test_a_machine_without_processes_is_a_failure_of_the_moment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        monkeypatch.setattr(subprocess, "Popen", fail)
        with pytest.raises(ProgramFailedError) as raised:
            process.run_program(["/bin/true"])
        assert raised.value.code < 0
        assert str(raised.value).startswith("true could not be started (Resource temporarily unavailable); wait until")

    def test_a_program_that_takes_too_long_is_ended_with_its_children(self, tmp_path: Path) -> None:
        code = "import subprocess, sys, pathlib; c = subprocess.Popen(['sleep', '60']); "
        code += "pathlib.Path(sys.argv[1]).write_text(str(c.pid)); c.wait()"
        with pytest.raises(ProgramFailedError, match=r"^python.* did not end \(no answer in 2 s\)"):
            process.run_program(python_command(code, str(tmp_path / "pid")), timeout=2)
        wait_for_end(int((tmp_path / "pid").read_text()))

    def test_a_low_priority_program_has_a_higher_niceness(self) -> None:
        ask = python_command("import os; input(); print(os.getpriority(os.PRIO_PROCESS, 0))")
        ours, nicer = (
            int(process.run_program(ask, text="go\n", low_priority=yields).stdout) for yields in (False, True)
        )
        assert nicer == min(19, ours + 10)

    def test_standard_input_is_closed_unless_given(self) -> None:
        assert process.run_program(python_command("import sys; print(repr(sys.stdin.read()))")).stdout == "''\n"

    def test_output_that_is_not_utf_8_is_read(self) -> None:
        assert process.run_program(python_command(r"import sys; sys.stdout.buffer.write(b'\xff')")).stdout == "�"


@pytest.fixture
def _default_handlers() -> Iterator[None]:
    """Set SIGTERM to its default: the throwaway server of the test session has set a handler."""
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_default_handlers")
class TestSignals:
    def test_termination_unwinds_the_block_once(self) -> None:
        cleaned: list[str] = []
        with pytest.raises(signals.TerminatedError), signals.raise_on_signals():  # noqa: PT012  # the order is the point
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # a second one does not interrupt the clean-up
                cleaned.append("done")
        assert cleaned == ["done"]

    def test_after_the_first_signal_all_others_are_ignored(self) -> None:
        """A second signal while the interpreter is leaving would end it with another exit code than the first one's."""
        code = (
            "import os, signal, sys; from dormatory.system import signals\n"
            "try:\n"
            "    with signals.raise_on_signals(): os.kill(os.getpid(), signal.SIGTERM)\n"
            "except signals.TerminatedError: pass\n"
            "for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP: os.kill(os.getpid(), number)\n"
            "sys.exit(143)"
        )
        finished = process.run_program(python_command(code), cwd=Path(__file__).parents[2], check=False)
        assert finished == process.ProcessResult(143, "", "")

    def test_a_block_that_is_not_interrupted_restores_the_handlers(self) -> None:
        with signals.raise_on_signals():
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def test_two_signals_at_once_count_as_one(self) -> None:
        """Python handles the second one after the first, and there must still be a handler for it."""
        code = (
            "import signal, sys; from dormatory.system import signals\n"
            "numbers = {signal.SIGINT, signal.SIGTERM}\n"
            "try:\n"
            "    with signals.raise_on_signals():\n"
            "        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)\n"
            "        for number in numbers: signal.raise_signal(number)\n"
            "        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)\n"
            "except BaseException: sys.exit(130)"
        )
        finished = process.run_program(python_command(code), cwd=Path(__file__).parents[2], check=False)
        assert finished == process.ProcessResult(130, "", "")

    def test_handlers_that_others_have_set_stay(self) -> None:
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            with signals.raise_on_signals():
                assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_nothing_is_changed_in_other_threads(self) -> None:
        failures: list[BaseException] = []

        def enter() -> None:
            try:
                with signals.raise_on_signals(), signals.call_on_signals(failures.clear):
                    pass
            except BaseException as error:  # noqa: BLE001  # a thread's error would be lost
                failures.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        assert failures == []

    def test_the_action_is_called_while_the_main_thread_waits_in_c(self) -> None:
        with subprocess.Popen(["/bin/sleep", "60"]) as sleeper:
            timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt), signals.call_on_signals(sleeper.kill):
                threading.Event().wait(20)
            timer.join()
            assert sleeper.wait(10) == -signal.SIGKILL
            assert time.monotonic() - began < 10

    def test_a_signal_that_was_swallowed_stops_the_command_at_the_next_checkpoint(self) -> None:
        with pytest.raises(signals.TerminatedError), signals.raise_on_signals():  # noqa: PT012  # the order is the point
            with contextlib.suppress(signals.TerminatedError):  # as the import of an extension module does
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            signals.stop_if_interrupted()
        with signals.raise_on_signals():
            signals.stop_if_interrupted()  # a new command is not interrupted by an earlier one's signal

    def test_an_interruption_gets_the_note_of_the_innermost_block_first(self) -> None:
        with (
            pytest.raises(KeyboardInterrupt) as raised,
            signals.interruption_note(lambda: "outer"),
            signals.interruption_note(lambda: "inner"),
        ):
            raise KeyboardInterrupt
        assert raised.value.__notes__ == ["inner", "outer"]

    def test_deferred_signals_arrive_when_the_block_has_ended(self) -> None:
        reached: list[str] = []
        with pytest.raises(KeyboardInterrupt), signals.defer_signals():  # noqa: PT012  # the order is the point
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            reached.append("end")
        assert reached == ["end"]


class TestRunInForeground:
    def test_the_childs_output_and_code_are_its_own(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        code = process.run_in_foreground(
            python_command("import os; print(os.getcwd()); raise SystemExit(3)"), env=os.environ, cwd=tmp_path
        )
        assert (code, capfd.readouterr().out) == (3, f"{tmp_path}\n")


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")
