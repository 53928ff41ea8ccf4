"""Run pg_dump and pg_restore, and return what they know of a PostgreSQL database."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.backends import programs
from dormatory.backends.postgresql.dump.archive_entries import is_machine_specific, parse_archive
from dormatory.errors import ProgramFailedError
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from dormatory.backends.postgresql.dump.archive_entries import ArchiveEntry
    from dormatory.backends.url import Target

_TAIL_LINES = 8
_TIMEOUT_SECONDS = 600.0  # the catalogs of many thousand objects take minutes to read
# Nothing of the machine: owners, privileges and disks differ between a laptop and a server.  A subscription holds
# passwords.
_DUMP_OPTIONS = ("--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-table-access-method",
            "--no-subscriptions", "--no-security-labels")  # fmt: skip


def read_archive(target: Target, server_major: int) -> tuple[ArchiveEntry, ...]:
    """Return all objects of the database, in the order in which pg_dump would load them.

    Raises ProgramMissingError, ProgramTooOldError or ProgramFailedError; nothing is ever taken for an empty database.
    """
    pg_dump = programs.find_client("pg_dump", server_major=server_major)
    pg_restore = programs.find_client("pg_restore", server_major=server_major)
    with tempfile.TemporaryDirectory(prefix="dormatory-") as directory:
        archive, script = Path(directory) / "archive", Path(directory) / "script"
        # The custom format is the only one that keeps the dependencies.
        _run_program(target, pg_dump, "--no-password", "--format=custom", "--compress=0", f"--file={archive}")
        _run_program(target, pg_restore, "--verbose", f"--file={script}", str(archive))
        text = script.read_bytes().decode()  # a pipe would change the line ends in a function body
    return tuple(entry for entry in parse_archive(text) if not is_machine_specific(entry))


def _run_program(target: Target, program: Path, *options: str) -> None:
    """Run one of the two programs on the database."""
    # Bounds and defaults of type timestamptz are shown in the session's time zone.
    environment = target.environment() | {"PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"}
    fix = f"see that the user may read every object of {target}"
    result = run_program(
        [str(program), *_DUMP_OPTIONS, *options], env=environment, timeout=_TIMEOUT_SECONDS, check=False
    )
    if result.code:
        lines = target.mask(result.stderr or result.stdout).strip().splitlines()
        raise ProgramFailedError(program.name, code=result.code, tail="\n".join(lines[-_TAIL_LINES:]), fix=fix)
