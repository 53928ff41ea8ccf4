"""What tests of other people's projects share."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dormatory.replay import remaining_routes, schedule
from dormatory.runtime import scratch
from tests.runtime.external_project import ExternalProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dormatory.project.project import Project


@pytest.fixture
def external_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExternalProject:
    """A project without revisions, in an environment without settings."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_URL", "THEIR_", "ALEMBIC_"))]:
        monkeypatch.delenv(name)
    # Python remembers which directory `.` was: that of an earlier test, if `prepend_sys_path` named it so.
    monkeypatch.delitem(sys.path_importer_cache, ".", raising=False)
    (tmp_path / "external_project").mkdir()
    return ExternalProject(tmp_path / "external_project")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay in this process, which is faster, in tests that do not depend on the worker."""

    def call_here(_project: Project, function: Callable[..., Any], *arguments: Any, on_message: Any = None) -> Any:
        return function(*arguments, *([on_message] if on_message else []))

    for module in (schedule, remaining_routes, scratch):
        monkeypatch.setattr(module, "call_in_worker", call_here)
