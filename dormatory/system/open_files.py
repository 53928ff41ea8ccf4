"""Who else has a file open: SQLite itself cannot tell, for an idle connection holds no lock."""

from __future__ import annotations

import os
from pathlib import Path

_PROCESSES = Path("/proc")


def processes_using(path: Path) -> tuple[str, ...]:
    """Return the other processes that have a file open, such as `pid 12 (python3)`.

    Linux tells, of the processes of our own user, or of everybody's to root; elsewhere nobody is found.
    """
    try:
        file_status = path.stat()
        pids = sorted(int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdecimal())
    except OSError:
        return ()
    others = (number for number in pids if number != os.getpid())
    return tuple(_process_label(number) for number in others if _has_open(number, path.resolve().name, file_status))


def _has_open(pid: int, name: str, file_status: os.stat_result) -> bool:
    directory = _PROCESSES / str(pid) / "fd"
    try:
        links = list(directory.iterdir())
    except OSError:  # it has ended, or is somebody else's
        return False
    return any(_is_same_file(link, name, file_status) for link in links)


def _is_same_file(link: Path, name: str, file_status: os.stat_result) -> bool:
    """Compare names first: to look at a file on a server that does not answer would take forever."""
    try:
        return os.path.basename(os.readlink(link)) == name and os.path.samestat(link.stat(), file_status)  # noqa: PTH115, PTH119  # a link of the kernel's, which need not lead to a path
    except OSError:
        return False


def _process_label(pid: int) -> str:
    try:
        return f"pid {pid} ({(_PROCESSES / str(pid) / 'comm').read_text().strip()})"
    except OSError:
        return f"pid {pid}"
