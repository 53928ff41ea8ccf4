"""What tests of other people's projects share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.runtime.external_project import ExternalProject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def external_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExternalProject:
    """A project without revisions, in an environment without settings."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_URL", "THEIR_", "ALEMBIC_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "external_project").mkdir()
    return ExternalProject(tmp_path / "external_project")
