"""Which other processes have a file open: SQLite itself cannot tell, because an idle connection holds no lock.

This reads Linux's /proc and not psutil, whose open_files() looks at every open file of every process: that would wait
forever for a file server that does not answer, and takes twice as long.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROCESSES = Path("/proc")


def processes_using(path: Path) -> tuple[str, ...]:
    """Return the other processes that have a file open, such as `pid 12 (python3)`.

    Only root can see the files of other users' processes. On other systems than Linux the result is empty.
    """
    try:
        file_status = path.stat()
        pids = sorted(int(entry.name) for entry in _PROCESSES.iterdir() if entry.name.isdecimal())
    except OSError:
        return ()
    others = (pid for pid in pids if pid != os.getpid())
    return tuple(_process_label(pid) for pid in others if _has_open(pid, path.resolve().name, file_status))


def is_open_here(path: Path) -> bool:
    """Return whether this process has a file open; False on other systems than Linux, where that is unknown."""
    try:
        return _has_open(os.getpid(), path.resolve().name, path.stat())
    except OSError:
        return False


def _has_open(pid: int, name: str, file_status: os.stat_result) -> bool:
    try:
        links = list((_PROCESSES / str(pid) / "fd").iterdir())
    except OSError:  # the process has ended, or belongs to another user
        return False
    return any(_is_same_file(link, name, file_status) for link in links)


def _is_same_file(link: Path, name: str, file_status: os.stat_result) -> bool:
    """Return whether a link of /proc leads to the file; the status of a file with another name is not read."""
    try:
        return os.path.basename(os.readlink(link)) == name and os.path.samestat(link.stat(), file_status)  # noqa: PTH115, PTH119  # a link of the kernel's, which need not lead to a path
    except OSError:
        return False


def _process_label(pid: int) -> str:
    try:
        return f"pid {pid} ({(_PROCESSES / str(pid) / 'comm').read_text().strip()})"
    except OSError:
        return f"pid {pid}"
