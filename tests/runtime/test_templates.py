"""Projects as Alembic's own templates generate them, played without an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config

from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.project.project import Project
from dormatory.replay.replay import replay_history

if TYPE_CHECKING:
    from pathlib import Path

DATED = "%%(year)d/%%(month).2d/%%(rev)s_%%(slug)s"


def generated_project(home: Path, template: str, *, is_dated: bool = False) -> Project:
    """Generate a project with one revision, by Alembic's own functions."""
    config = Config(str(home / "alembic.ini"))
    config.toml_file_name = str(home / "pyproject.toml")
    command.init(config, str(home / "migrations"), template=template)
    if is_dated:
        ini = home / "alembic.ini"
        dated = f"file_template = {DATED}\nrecursive_version_locations = true"
        ini.write_text(ini.read_text().replace("[alembic]", f"[alembic]\n{dated}", 1))
    config = Config(str(home / "alembic.ini"), toml_file=str(home / "pyproject.toml"))
    command.revision(config, "create the rooms", rev_id="a1")
    (file,) = (home / "migrations" / "versions").rglob("*a1_*.py")
    text = file.read_text()
    create = "op.create_table('room', sa.Column('id', sa.BigInteger, primary_key=True))"
    for direction, code in (("Up", create), ("Down", "op.drop_table('room')")):
        text = text.replace(f'"""{direction}grade schema."""', code)
    file.write_text(text)
    return Project.locate(home, {})


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
def test_a_template_needs_no_edit(tmp_path: Path, template: str) -> None:
    if not hasattr(Config, "toml_file_name") and template.startswith("pyproject"):
        pytest.skip("Alembic reads pyproject.toml since 1.16")
    recording = replay_history(generated_project(tmp_path, template), scratch_sqlite)
    assert [[leg.is_clean for leg in step.legs] for step in recording.steps] == [[True] * 3]


@pytest.mark.usefixtures("in_this_process")
def test_revisions_in_dated_folders_need_no_edit(tmp_path: Path) -> None:
    project = generated_project(tmp_path, "generic", is_dated=True)
    assert project.recursive
    recording = replay_history(project, scratch_sqlite)
    assert [[leg.is_clean for leg in step.legs] for step in recording.steps] == [[True] * 3]
