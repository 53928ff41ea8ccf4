"""What test files share."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from dormatory.database import throwaway

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a session choose what the migrations are played on."""
    group = parser.getgroup("migrations")
    group.addoption("--backend", action="append", help="play on this backend only: sqlite or postgresql")
    group.addoption("--server-major", help="fail unless the server is of this major version")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[throwaway.Server]:
    """One throwaway PostgreSQL for the session, or per worker of pytest-xdist; without binaries the test fails.

    A SIGTERM ends the session as Ctrl-C does: pytest would take any other exception for a failed test.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with throwaway.server() as server:
            yield server
    finally:
        signal.signal(signal.SIGTERM, before)
