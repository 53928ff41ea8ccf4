"""A program between us and a server: it stops passing things on, or lets the server speak another language."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import postmaster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server


@contextlib.contextmanager
def relay(
    server: Server,
    directory: Path,
    *,
    stall_after: float = float("inf"),
    stalled: threading.Event | None = None,
    words: Mapping[bytes, bytes] | None = None,
) -> Iterator[Path]:
    """Provide a socket directory behind which each connection gets `stall_after` bytes of the server, and then no more.

    Nor does any that has begun when `stalled` is set. `words` are replaced by others of the same length.
    """
    name, ended = f".s.PGSQL.{postmaster.PORT}", threading.Event()

    def serve(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as there, contextlib.suppress(OSError):
            is_late = stalled is not None and stalled.is_set()
            there.connect(str(server.socket_directory / name))
            passed = 0
            while not ended.is_set():
                passes = passed < stall_after and (is_late or stalled is None or not stalled.is_set())
                for one in select.select([client] + [there] * passes, [], [], 0.05)[0]:
                    data = one.recv(4096)
                    if not data:
                        return
                    for word, other in (words or {}).items():
                        data = data.replace(word, other)
                    (there if one is client else client).sendall(data)
                    passed += len(data) * (one is there)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                thread = threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True)
                thread.start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / name))
        listener.listen()
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield directory
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
