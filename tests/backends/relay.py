"""A program between us and a server: it stops passing things on, or lets the server speak another language."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.server import postmaster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from dormatory.backends.postgresql.server.throwaway import Server


@contextlib.contextmanager
def relay(
    server: Server,
    directory: Path,
    *,
    stall_after: float = float("inf"),
    is_stalled: Callable[[], bool] = lambda: False,
    words: Mapping[bytes, bytes] | None = None,
) -> Iterator[Path]:
    """Provide a socket directory behind which each connection passes on `stall_after` bytes, and then no more.

    Once `is_stalled`, the connections that are there pass on nothing more, and later ones do. `words` are replaced by
    others of the same length.
    """
    name, ended = f".s.PGSQL.{postmaster.PORT}", threading.Event()

    def serve(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as there, contextlib.suppress(OSError):
            is_late = is_stalled()
            there.connect(str(server.socket_directory / name))
            passed = 0
            while not ended.is_set():
                for one in select.select([client, there], [], [], 0.05)[0]:
                    data = one.recv(4096)
                    if not data:
                        return
                    for word, other in (words or {}).items():
                        data = data.replace(word, other)
                    passed += len(data)
                    if passed < stall_after and (is_late or not is_stalled()):
                        (there if one is client else client).sendall(data)

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
