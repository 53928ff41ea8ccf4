"""Creates the files that a project needs before its first migration; files that exist are kept."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from dormatory.errors import UnwritableFileError
from dormatory.project.checksum_update import create_checksums
from dormatory.project.checksums import CHECKSUMS_NAME, FILE_HEADER
from dormatory.project.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TEMPLATES = {
    "alembic.ini": "alembic.ini",
    "alembic/env.py": "env.py.template",
    "alembic/script.py.mako": "script.py.mako",
}
_DIRECTORIES = ("alembic/versions", "alembic/schema")


def create_scaffold(home: Path) -> Iterator[tuple[Path, bool]]:
    """Create the files and directories of a project below `home`; yield each, and whether it is new."""
    templates = files("dormatory.project") / "templates"
    try:
        for name in _DIRECTORIES:
            directory = home / name
            is_new = not directory.is_dir()
            directory.mkdir(parents=True, exist_ok=True)
            yield directory, is_new
        for name, template in _TEMPLATES.items():
            file = home / name
            is_new = not file.exists()
            if is_new:
                file.write_text((templates / template).read_text(encoding="utf-8"), encoding="utf-8")
            yield file, is_new
        yield _create_checksums(home)
    except OSError as error:
        raise UnwritableFileError(error.filename or home, error.strerror or str(error)) from error


def _create_checksums(home: Path) -> tuple[Path, bool]:
    """Create the checksum file if it is missing, a line for each revision; return its path and whether it is new."""
    file = home / "alembic" / CHECKSUMS_NAME
    is_new = not file.exists()
    if is_new and any((home / "alembic" / "versions").glob("*.py")):
        create_checksums(Project.read(home / "alembic.ini"))
    elif is_new:
        file.write_text(FILE_HEADER, encoding="utf-8")
    return file, is_new
