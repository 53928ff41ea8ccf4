"""What all tests of written revisions share: a server, and the mark that keeps them to one version of Python."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from dormatory.runtime import scratch
from tests.scratch import scratch_maker

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this directory."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.once)


@pytest.fixture(autouse=True)
def shared_databases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all tests use one server: starting it takes longer than a test."""
    monkeypatch.setattr(scratch, "databases", lambda name: nullcontext(scratch_maker(name, request)))
