"""One ordeal: a command broken off at a moment, a look at what it left, and the same command once more."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for
from tests.torture.victim import REPOSITORY, Sandbox, State, is_running

if TYPE_CHECKING:
    from dormatory.backends.url import Target

# What each way of breaking off may end with; a command that was through already, or did not mind, has ended with 0.
ALLOWED_EXIT_CODES = {
    "kill": {-9, 3},  # 3: who started the killed one says so
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
    """A command broken off left what it must not leave."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is broken off: its arguments, the database it starts on, the states it may leave, and the one it leads to.

    In the arguments `{name}` stands for the database.
    """

    name: str
    arguments: tuple[str, ...]
    start: str
    allowed: tuple[State | None, ...]
    final: State
    may_vanish: bool = False  # the database, for as long as it takes to make it anew
    file: Path | None = None  # what it writes anew, and never in part


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How a command ended that was broken off, or ran to its end: its exit code, what it said, and its moments."""

    code: int
    output: str
    moments: tuple[str, ...]


def interruptible_commands(sandbox: Sandbox) -> list[Command]:
    """Return what is to be broken off on one kind of database."""
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
        Command("schema-dump", write_dump, "first", (first,), first, file=dump),
    ]


def run_interrupted(sandbox: Sandbox, command: Command, *, at: int = 0, how: str = "kill") -> CommandOutcome:
    """Run a command on a copy of its database, broken off at the moment of this number, and judge what it left.

    0 breaks nothing off. Raises WoundedError.
    """
    complete_dumps = (_OLD_DUMP, (sandbox.project.script_location / "schema" / f"{sandbox.backend}.sql").read_bytes())
    if command.file:
        command.file.write_bytes(_OLD_DUMP)
    with sandbox.database_copy(command.start) as target:
        ended = _run_to_end(sandbox, command, target, at, how)
        if how == "server" and 0 < at <= len(ended.moments):
            sandbox.restart_server()
        attempt = f"{command.name} on {sandbox.backend}, {how} at {at} ({ended.moments[at - 1] if at else 'never'})"
        if ended.code not in (ALLOWED_EXIT_CODES[how] if at else {0}):
            raise DamageError(f"{attempt}: exit code {ended.code}\n{ended.output}")
        if command.file and command.file.read_bytes() not in complete_dumps:
            raise DamageError(f"{attempt}: {command.file} was left in part")
        if at:
            _check_state(sandbox, command, target, attempt)
            again = _run_to_end(sandbox, command, target, 0, how)
            if again.code:
                raise DamageError(f"{attempt}: the second run ended with {again.code}\n{again.output}")
            if left := sorted(path.name for path in sandbox.home.rglob(".dormatory-*")):
                raise DamageError(f"{attempt}: the second run did not remove {', '.join(left)}")
        if sandbox.read_state(target) != command.final:
            raise DamageError(f"{attempt}: the second run did not lead to where the command leads")
        if command.file and command.file.read_bytes() != complete_dumps[1]:
            raise DamageError(f"{attempt}: the second run did not write {command.file}")
    return ended


def _check_state(sandbox: Sandbox, command: Command, target: Target, attempt: str) -> None:
    """Raise unless the database is one that the command may leave."""
    left = sandbox.read_state(target)
    if left is None and command.may_vanish:
        return
    # What an autocommit block has done is there before its revision is written down; the second run goes on from it.
    ahead = sandbox.state_after_autocommit(left) if left else None
    if left not in command.allowed and (ahead is None or ahead not in command.allowed):
        at = f"revision {left.revision or 'none'}" if left else "no database"
        raise DamageError(f"{attempt}: left {at} in a state that it never has")


def _run_to_end(sandbox: Sandbox, command: Command, target: Target, at: int, how: str) -> CommandOutcome:
    """Run a command to whatever end, and wait for whoever it has left behind."""
    log = sandbox.home / "moments.log"
    log.write_bytes(b"")
    name = target.database or ""
    environ = sandbox.environment(target) | {
        "SABOTAGE_LOG": str(log),
        "SABOTAGE_AT": str(at or ""),
        "SABOTAGE_HOW": how,
    }
    if sandbox.server:
        environ["SABOTAGE_SERVER"] = str(sandbox.postmaster_pid)
    else:
        environ["SABOTAGE_FILES"] = str(target.path)
    words = [word.replace("{name}", name) for word in command.arguments]
    ended = subprocess.run(
        words, env=environ, cwd=sandbox.project.root, capture_output=True, text=True,
        timeout=_TIMEOUT_SECONDS, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    _await_orphans(str(log), attempt=f"{command.name}, {how} at {at}", is_killed=how == "kill")
    return CommandOutcome(ended.returncode, ended.stdout + ended.stderr, tuple(log.read_text().splitlines()))


def _await_orphans(mark: str, *, attempt: str, is_killed: bool) -> None:
    """Wait for the children of a killed process; whoever was asked to end must have ended its own."""
    deadline = time.monotonic() + (_ORPHAN_SECONDS if is_killed else 0.0)
    while found := _pids_with_environment(mark):
        if time.monotonic() > deadline:
            raise DamageError(f"{attempt}: still running: {found}")
        time.sleep(0.02)


def _pids_with_environment(mark: str) -> list[int]:
    """Return the processes that have a word in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes() and is_running(int(entry.name)):
                found.append(int(entry.name))
        except OSError:  # somebody else's, or gone
            continue
    return found
