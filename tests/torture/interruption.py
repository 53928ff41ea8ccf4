"""One try: a command is interrupted at a moment, what it left is checked, and the command is run again."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from dormatory.backends.registry import backend_for
from tests.torture.sandbox import REPOSITORY, Sandbox, State

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.url import Target

# The exit codes after each kind of interruption; 0 is that of a command which had ended, or was not affected.
ALLOWED_EXIT_CODES = {
    "kill": {-9, 3},  # 3: the parent of a killed process reports it
    "interrupt": {0, 130},
    "terminate": {0, 143},
    "disk": {0, 3},
    "cut": {0, 3},
    "server": {0, 3},
}
_TIMEOUT_SECONDS = 120.0
_OLD_DUMP = b"-- an older dump\n"
_ORPHAN_SECONDS = 60.0


class DamageError(AssertionError):
    """An interrupted command left something that it must not leave."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to interrupt: its arguments, the database it starts on, the states it may leave, and its final state.

    In the arguments, `{name}` is replaced by the name of the database.
    """

    name: str
    arguments: tuple[str, ...]
    start: str
    allowed: tuple[State | None, ...]
    final: State
    may_vanish: bool = False  # the database, until it has been created again
    backup: Path | None = None  # what the latest backup of the database is a copy of
    toggles: bool = False  # between the two allowed states, each time it is run
    file: Path | None = None  # the file that it replaces, always completely


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How a command ended: its exit code, its output, and the moments that it passed."""

    code: int
    output: str
    moments: tuple[str, ...]


def interruptible_commands(sandbox: Sandbox) -> list[Command]:
    """Return the commands to interrupt on one kind of database."""
    up, down, empty = sandbox.create_databases(), sandbox.downgrade_states(), sandbox.empty_states()
    first, head = up[0], up[-1]
    backend = backend_for(sandbox.target("head"))
    backup = sandbox.home / f"head{backend.backup_suffix}"
    backend.backup.write_backup(sandbox.target("head"), backup)
    module, inv = (sys.executable, "-m", "dormatory"), (sys.executable, "-m", "invoke", "-r", str(REPOSITORY))
    confirm = "--confirm={name}"
    dump = sandbox.home / f"{sandbox.backend}.sql"
    write_dump = (*inv, "db.schema-dump", f"--backend={sandbox.backend}", f"--output={sandbox.home}")
    return [
        Command("upgrade", (*module, "upgrade", "--to=head"), "first", tuple(up), head),
        Command(
            "downgrade",
            (*module, "downgrade", f"--to={sandbox.first_revision}", confirm),
            "head",
            (head, *down),
            down[-1],
        ),
        Command("reset", (*inv, "db.reset", confirm), "head", (head, *empty), empty[-1], may_vanish=True),
        Command("restore", (*inv, "db.restore", str(backup), confirm), "first", (first, head), head),
        Command("undo", (*inv, "db.undo", confirm), "first", (first, head), head, backup=backup, toggles=True),
        Command("rehearse", (*inv, "db.rehearse"), "last", (up[-2],), up[-2]),
        Command(
            "create", (*inv, "db.create", "--from-dump", confirm), "", (empty[0], empty[-1]), empty[-1], may_vanish=True
        ),
        Command("schema-dump", write_dump, "first", (first,), first, file=dump),
    ]


def run_interrupted(sandbox: Sandbox, command: Command, *, at: int = 0, how: str = "kill") -> CommandOutcome:
    """Run a command on a copy of its database, interrupt it at the moment with this number, and check what it left.

    0 interrupts nothing. Raises DamageError.
    """
    complete_dumps = (_OLD_DUMP, (sandbox.project.script_location / "schema" / f"{sandbox.backend}.sql").read_bytes())
    if command.file:
        command.file.write_bytes(_OLD_DUMP)
    with sandbox.database_copy(command.start) as target:
        if command.backup:
            sandbox.add_backup(target, command.backup)
        ended = _run_to_end(sandbox, command, target, at, how)
        if how == "server" and 0 < at <= len(ended.moments):
            sandbox.restart_server()
        attempt = f"{command.name} on {sandbox.backend}, {how} at {at} ({ended.moments[at - 1] if at else 'never'})"
        if ended.code not in (ALLOWED_EXIT_CODES[how] if at else {0}):
            raise DamageError(f"{attempt}: exit code {ended.code}\n{ended.output}")
        if command.file and command.file.read_bytes() not in complete_dumps:
            raise DamageError(f"{attempt}: {command.file} is incomplete")
        final = _check_next_run(sandbox, command, target, attempt) if at else command.final
        if sandbox.read_state(target) != final:
            raise DamageError(f"{attempt}: the second run did not reach the final state")
        if command.file and command.file.read_bytes() != complete_dumps[1]:
            raise DamageError(f"{attempt}: the second run did not write {command.file}")
    return ended


def _check_next_run(sandbox: Sandbox, command: Command, target: Target, attempt: str) -> State:
    """Check what an interrupted command left, run it again, and return the state that this must lead to."""
    left = _check_state(sandbox, command, target, attempt)
    again = _run_to_end(sandbox, command, target, 0, "kill")
    if again.code:
        raise DamageError(f"{attempt}: the second run ended with {again.code}\n{again.output}")
    if files := sorted(path.name for path in sandbox.home.rglob(".dormatory-*")):
        raise DamageError(f"{attempt}: the second run did not remove {', '.join(files)}")
    if command.toggles and left == command.final:
        return next(state for state in command.allowed if state is not None and state != left)
    return command.final


def _check_state(sandbox: Sandbox, command: Command, target: Target, attempt: str) -> State | None:
    """Return the state that the database was left in; raise DamageError unless the command may leave it so."""
    left = sandbox.read_state(target)
    if left is None and command.may_vanish:
        return left
    # The work of an autocommit block is committed before its revision is recorded; the second run continues from there.
    ahead = sandbox.states_after_autocommit(left) if left else ()
    if left not in command.allowed and not any(state in command.allowed for state in ahead):
        at = f"revision {left.revision or 'none'}" if left else "no database"
        raise DamageError(f"{attempt}: left {at} in a state that no uninterrupted run has")
    return left


def _run_to_end(sandbox: Sandbox, command: Command, target: Target, at: int, how: str) -> CommandOutcome:
    """Run a command until it ends, and wait for the processes that it left behind."""
    log = sandbox.home / "moments.log"
    log.write_bytes(b"")
    name = target.database or ""
    environ = sandbox.environment(target) | {
        "INTERRUPT_LOG": str(log),
        "INTERRUPT_AT": str(at or ""),
        "INTERRUPT_HOW": how,
    }
    if sandbox.server:
        environ["INTERRUPT_SERVER"] = str(sandbox.postmaster_pid)
    else:
        environ["INTERRUPT_FILES"] = str(target.path)
    words = [word.replace("{name}", name) for word in command.arguments]
    ended = subprocess.run(
        words, env=environ, cwd=sandbox.project.root, capture_output=True, text=True,
        timeout=_TIMEOUT_SECONDS, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    _await_orphans(str(log), attempt=f"{command.name}, {how} at {at}", is_killed=how == "kill")
    return CommandOutcome(ended.returncode, ended.stdout + ended.stderr, tuple(log.read_text().splitlines()))


def _await_orphans(mark: str, *, attempt: str, is_killed: bool) -> None:
    """Wait for the children of a killed process; a command that was not killed must have ended its children itself."""
    deadline = time.monotonic() + (_ORPHAN_SECONDS if is_killed else 0.0)
    while found := _pids_with_environment(mark):
        if time.monotonic() > deadline:
            raise DamageError(f"{attempt}: still running: {found}")
        time.sleep(0.02)


def _pids_with_environment(mark: str) -> list[int]:
    """Return the running processes that have a value in their environment."""
    return [
        process.pid
        for process in psutil.process_iter(["environ", "status"])  # no environment: another user's, or it has ended
        if mark in (process.info["environ"] or {}).values() and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
