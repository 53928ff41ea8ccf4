"""Run the SQL linters squawk (PostgreSQL) and sqlfluff (any dialect) as programs."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.checks.finding import LinterMessage
from dormatory.errors import ProgramFailedError, ProgramMissingError
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_SECONDS = 300.0
_FIX = "run it by hand on the SQL, or leave its rules out with --skip"
_INSTALL_COMMANDS = {"squawk": "pip install squawk-cli", "sqlfluff": "pip install sqlfluff"}
_SQLFLUFF_SECTION = re.compile(r"^\s*\[(?:tool\.)?sqlfluff\b", re.MULTILINE)
_SQLFLUFF_DIALECTS = {"postgresql": "postgres"}  # as sqlfluff calls it


def run_squawk(texts: Mapping[str, str], *, home: Path, server: str = "") -> tuple[LinterMessage, ...]:
    """Run squawk once on texts by name; it finds its settings, `.squawk.toml`, in `home` or above.

    `server` is the name and version of the server that executed them. Raises ProgramMissingError, ProgramFailedError.
    """
    if not texts:
        return ()
    version = server.rpartition(" ")[2]
    if version.isdecimal():
        version += ".0"
    version_options = ["--pg-version", version] if version.replace(".", "").isdecimal() else []
    with tempfile.TemporaryDirectory(prefix="dormatory-sql-") as name:
        files = {str(Path(name, f"{number}.sql")): text for number, text in enumerate(texts)}
        for file, text in files.items():
            Path(file).write_text(texts[text], encoding="utf-8")
        reports = _run_linter("squawk", ["--reporter", "json", *version_options, *files], home)
    return tuple(
        LinterMessage(files[it["file"]], it["line"] + 1, it["rule_name"], it["message"], it.get("help") or "")
        for it in reports
    )


def run_sqlfluff(texts: Mapping[str, tuple[str, str]], *, home: Path) -> tuple[LinterMessage, ...]:
    """Run sqlfluff once on texts by name, each given with its backend.

    Its settings are those in `home` or the nearest directory above; a project without any has chosen no rules, and
    sqlfluff is not run. Raises ProgramMissingError, ProgramFailedError.
    """
    settings = next((files for place in (home, *home.parents) if (files := _settings_files(place))), [])
    if not texts or not settings:
        return ()
    with tempfile.TemporaryDirectory(prefix="dormatory-sql-") as name:
        place, names = Path(name), dict[str, str]()
        for file in settings:  # sqlfluff looks for them from its working directory down to the file that it reads
            shutil.copy(file, place)
        for number, (text, (backend, sql)) in enumerate(texts.items()):
            directory = place / backend
            directory.mkdir(exist_ok=True)
            dialect = _SQLFLUFF_DIALECTS.get(backend, backend)
            (directory / ".sqlfluff").write_text(f"[sqlfluff]\ndialect = {dialect}\ntemplater = raw\n")
            (directory / f"{number}.sql").write_text(sql, encoding="utf-8")
            names[f"{number}.sql"] = text
        reports = _run_linter(
            "sqlfluff", ["lint", "--format", "json", "--disable-progress-bar", "--nocolor", "."], place
        )
    return tuple(
        LinterMessage(names[Path(file["filepath"]).name], it["start_line_no"], it["code"], it["description"])
        for file in reports
        for it in file["violations"]
    )


def _settings_files(directory: Path) -> list[Path]:
    """Return the files of a directory that hold settings of sqlfluff."""
    files = [directory / name for name in (".sqlfluff", "pyproject.toml", "setup.cfg", "tox.ini")]
    return [file for file in files if file.is_file() and _SQLFLUFF_SECTION.search(file.read_text(encoding="utf-8"))]


def _run_linter(name: str, arguments: list[str], home: Path) -> list[dict[str, Any]]:
    """Run a linter, and return the list that it writes as JSON; its exit code is 1 if the list is not empty."""
    ended = run_program(
        [_find_program(name), *arguments], cwd=home, check=False, timeout=_TIMEOUT_SECONDS, fix=_FIX, low_priority=True
    )
    try:
        reports: list[dict[str, Any]] | None = json.loads(ended.stdout) if ended.code in {0, 1} else None
    except ValueError:
        reports = None
    if reports is None:
        raise ProgramFailedError(name, code=ended.code, tail=ended.stderr or ended.stdout, fix=_FIX)
    return reports


def _find_program(name: str) -> str:
    """Return the linter that is installed next to this Python, else the first one on PATH."""
    directory = str(Path(sys.executable).parent)
    found = shutil.which(name, path=directory) or shutil.which(name)
    if found is None:
        raise ProgramMissingError(name, searched_places=[directory, "PATH"], packages=_INSTALL_COMMANDS[name])
    return found
