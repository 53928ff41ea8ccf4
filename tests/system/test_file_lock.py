"""A lock belongs to one open file at a time, and is free again when that file is closed."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dormatory.system import file_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


@contextmanager
def open_descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_a_lock_that_is_held_cannot_be_taken_until_its_file_is_closed(tmp_path: Path) -> None:
    with open_descriptor(tmp_path / "lock") as second:
        with open_descriptor(tmp_path / "lock") as first:
            assert (file_lock.try_lock(first), file_lock.try_lock(second)) == (True, False)
        assert file_lock.try_lock(second) is True


def test_waiting_for_a_lock_ends_when_it_is_released(tmp_path: Path) -> None:
    with open_descriptor(tmp_path / "lock") as second:
        waiting = threading.Thread(target=file_lock.wait_for_lock, args=(second,))
        with open_descriptor(tmp_path / "lock") as first:
            file_lock.try_lock(first)
            waiting.start()
            waiting.join(0.2)
            assert waiting.is_alive()
        waiting.join(20)
        assert not waiting.is_alive()


def test_a_file_system_without_locks_is_not_taken_for_a_held_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with open_descriptor(tmp_path / "lock") as descriptor:
        assert file_lock.try_lock(descriptor) is None
