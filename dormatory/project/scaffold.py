"""The files a checkout needs before it can have migrations; they are written only where they are missing."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from dormatory.errors import UnwritableFileError
from dormatory.project import checksums
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
    """Yield each file and directory of the skeleton below `home`, and whether it had to be made."""
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
    """Write the sums where there are none: a line for each revision that is there, or the heading alone."""
    file = home / "alembic" / checksums.FILE_NAME
    is_new = not file.exists()
    if is_new and any((home / "alembic" / "versions").glob("*.py")):
        checksums.create_checksums(Project.read(home / "alembic.ini"))
    elif is_new:
        file.write_text(checksums.FILE_HEADER, encoding="utf-8")
    return file, is_new
