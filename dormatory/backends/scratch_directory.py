"""The private directories of scratch databases; directories and servers that killed runs left are removed first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.system import private_directory

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dormatory.system.process import Account


def scratch_directory(account: Account | None = None) -> AbstractContextManager[Path]:
    """Make a private directory for a scratch database; see private_directory.locked_directory."""
    return private_directory.locked_directory(account, before_sweep=_stop_server)


def remove_abandoned_scratch(account: Account | None = None) -> None:
    """Remove the private directories whose owner was killed, and stop the servers that still run in them."""
    private_directory.remove_abandoned_directories(account, before_sweep=_stop_server)


def _stop_server(home: Path, uid: int) -> None:
    # Only a directory that a killed run left needs this, so psutil is loaded only then.
    from dormatory.backends.postgresql.server.orphans import stop_orphaned_server  # noqa: PLC0415

    stop_orphaned_server(home, uid)
