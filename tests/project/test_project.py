"""A project is read from its alembic.ini or pyproject.toml; what is no configuration is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.errors import MissingProjectError, MissingScriptsError
from dormatory.project.history import History
from dormatory.project.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import SmallProject


CORRECT_IT = "correct that, or set ALEMBIC_CONFIG to another ini"


@pytest.mark.parametrize(
    ("content", "why", "fix"),
    [
        (None, "there is no such file", "set ALEMBIC_CONFIG to the alembic.ini to use"),
        (
            "[alembic]\n",
            "it names no script_location",
            "add below [alembic]: script_location = %(here)s/alembic; or set ALEMBIC_CONFIG to another ini",
        ),
        ("x = y\n", "it does not read as a configuration: File contains no section headers.", CORRECT_IT),
        ("[other]\n", "it does not read as a configuration: 'alembic'", CORRECT_IT),
    ],
    ids=["missing", "no-location", "no-section", "another-section"],
)
def test_what_is_no_configuration_is_refused_in_one_line(
    small_project: SmallProject, content: str | None, why: str, fix: str
) -> None:
    ini = small_project.root / "alembic.ini"
    ini.unlink()
    if content is not None:
        ini.write_text(content)
    with pytest.raises(MissingProjectError) as raised:
        Project.locate(small_project.root, {})
    assert str(raised.value) == f"{ini} is no Alembic configuration ({why}); {fix}"


def test_an_ini_next_to_env_py_needs_no_script_location(small_project: SmallProject) -> None:
    ini = small_project.root / "scripts" / "alembic.ini"
    ini.write_text("[alembic]\n")
    project = Project.read(ini)
    assert (project.script_location, project.root) == (ini.parent, small_project.root)


def test_the_configuration_of_flask_migrate_and_of_a_pyproject_is_found(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    for name in ("env.py", "alembic.ini"):
        (tmp_path / "migrations" / name).write_text("[alembic]\n")
    assert Project.locate(tmp_path, {}).ini == tmp_path / "migrations" / "alembic.ini"
    (tmp_path / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "migrations"\n')
    assert Project.locate(tmp_path, {}).ini == tmp_path / "pyproject.toml"


def test_a_percent_sign_in_the_ini_is_no_interpolation(small_project: SmallProject) -> None:
    small_project.write_ini("script_location = %(here)s/scripts", "sqlalchemy.url = postgresql://u:a%%40b@h/n")
    assert small_project.project.target({}).url.password == "a@b"  # noqa: S105  # what the ini above says


def test_the_variable_beats_the_ini(small_project: SmallProject) -> None:
    small_project.write_ini("script_location = %(here)s/scripts", "sqlalchemy.url = sqlite:///ini.db")
    assert small_project.project.target({}).path == small_project.root / "ini.db"
    assert small_project.project.target({"DATABASE_URL": "sqlite:///v.db"}).path == small_project.root / "v.db"


def test_pyproject_toml_serves_as_configuration(small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    toml = small_project.root / "pyproject.toml"
    toml.write_text('[tool.alembic]\nscript_location = "scripts"\nversion_locations = ["%(here)s/scripts/versions"]\n')
    assert list(History.read(Project.read(toml)).by_id) == ["001"]


def test_a_location_in_a_package_has_a_colon_before_each_folder(small_project: SmallProject) -> None:
    (small_project.root / "their_package" / "__init__.py").parent.mkdir()
    (small_project.root / "their_package" / "__init__.py").touch()
    scripts = small_project.root / "their_package" / "db" / "scripts"
    scripts.mkdir(parents=True)
    small_project.write_ini("script_location = their_package:db:scripts", "prepend_sys_path = .")
    assert small_project.project.script_location == scripts
    small_project.write_ini("script_location = their_package:db:missing", "prepend_sys_path = .")
    with pytest.raises(MissingScriptsError, match=r"; correct script_location$"):
        small_project.project.target({})
