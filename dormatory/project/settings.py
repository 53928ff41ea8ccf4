"""The settings of a project for which Alembic has no option, read from its ini file or pyproject.toml."""

from __future__ import annotations

import configparser
import math
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.backends.names import BACKEND_NAMES, validate_backend_name
from dormatory.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SECTION = "dormatory"
_NUMBER_TYPES: dict[str, Callable[[str], float]] = {
    "lock_wait": float,
    "lock_timeout": float,
    "lock_retries": int,
    "backups": int,
}
_TEXTS = frozenset({"x_argument", "wrapper", "database", "baseline", "since"})
_UNITS = {
    "lock_wait": "seconds",
    "lock_timeout": "seconds",
    "lock_retries": "times",
    "backups": "files to keep, at least 1",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The section `[dormatory]` of an ini file, or `[tool.dormatory]` of a pyproject.toml.

    `url_variable` names the environment variables, `x_argument` the `-x` key, from which its env.py reads the URL;
    `x_arguments` are other arguments `-x`. With `redirect`, all that env.py opens in a replay goes to the database
    that is played on. `wrapper` is `module:function`, called with the function that runs env.py. `database` is the
    one of several in the ini file that commands act on. `roles` are created on a throwaway server.
    `backends` are those that it supports, `drivers` the part before `://` in its URLs (`sqlite+aiosqlite`). The modules
    of `prelude` are imported before env.py runs; `baseline` fills the empty database: an SQL file, whose name may
    contain `{backend}` for the backend's name, or `module:function`, which is called with a connection.

    `severities` are pairs of a rule and a severity, or `off`. The rules of how a revision is written do not apply to
    revisions before `since`. `large_tables` are those that take long to write. `backups` is how many are kept of each
    database.

    An upgrade waits at most `lock_wait` seconds for another one to end. A revision waits at most `lock_timeout` seconds
    for each lock on PostgreSQL, or without limit if that is 0, and is tried again at most `lock_retries` times.
    """

    url_variable: tuple[str, ...] = ()
    x_argument: str = ""
    x_arguments: tuple[str, ...] = ()
    redirect: bool = False
    wrapper: str = ""
    database: str = ""
    roles: tuple[str, ...] = ()
    backends: tuple[str, ...] = BACKEND_NAMES
    drivers: tuple[str, ...] = ()
    prelude: tuple[str, ...] = ()
    baseline: str = ""
    severities: tuple[tuple[str, str], ...] = ()
    since: str = ""
    large_tables: tuple[str, ...] = ()
    lock_wait: float = 60.0
    lock_timeout: float = 5.0
    lock_retries: int = 5
    backups: int = 10

    @classmethod
    def read(cls, ini: Path) -> Settings:
        """Return the settings in or next to an Alembic configuration; without any, the defaults.

        Raises InvalidSettingError for an unknown key, UnsupportedBackendError for an unknown backend.
        """
        file, given = _read_section(ini)
        if unknown := sorted(given.keys() - set(cls.__slots__)):
            raise InvalidSettingError(
                file, f"{SECTION} has no setting {unknown[0]}; it knows {', '.join(cls.__slots__)}"
            )
        try:
            found = cls(**{key: _parse_value(key, value) for key, value in given.items()})
        except ValueError as error:
            raise InvalidSettingError(file, str(error)) from error
        for name in found.backends:
            validate_backend_name(name)
        return found


def _read_section(ini: Path) -> tuple[Path, Mapping[str, Any]]:
    """Return the file with the section, and the section: of the ini file, or of the nearest pyproject.toml."""
    if ini.suffix != ".toml":
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(ini.read_text(encoding="utf-8"))
        if parser.has_section(SECTION):
            return ini, {key: value for key, value in parser[SECTION].items() if key not in parser.defaults()}
    for directory in (ini.parent, *ini.parent.parents):
        file = directory / "pyproject.toml"
        if file.is_file():
            try:
                return file, tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get(SECTION, {})
            except (UnicodeError, tomllib.TOMLDecodeError) as error:
                raise InvalidSettingError(
                    file, f"it does not read as a configuration: {error}".splitlines()[0]
                ) from error
    return ini, {}


def _split_list(value: Any) -> tuple[str, ...]:
    """Split a text at commas and blanks; a TOML list is kept."""
    return tuple(value.replace(",", " ").split() if isinstance(value, str) else map(str, value))


def _strip(value: Any) -> str:
    return str(value).strip()


def _parse_number(key: str, value: Any) -> float:
    """Return a number that is not negative; raises ValueError for anything else."""
    try:
        number = _NUMBER_TYPES[key](str(value))
    except ValueError:
        number = -1
    if not (key == "backups") <= number < math.inf:  # an undo needs one backup
        raise ValueError(f"{SECTION} has {key} = {value}, which is no number of {_UNITS[key]}")
    return number


def _parse_pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """Split `rule=severity, rule=severity`; a TOML table is already split."""
    if isinstance(value, dict):
        return tuple((str(key), str(item)) for key, item in value.items())
    parts = (
        part.partition("=") for part in _split_list(re.sub(r"\s*=\s*", "=", value) if isinstance(value, str) else value)
    )
    return tuple((rule, severity) for rule, _, severity in parts)


def _parse_value(key: str, value: Any) -> Any:
    """Return the value of a setting in the type of its field."""
    if key == "severities":
        return _parse_pairs(value)
    if key in _NUMBER_TYPES:
        return _parse_number(key, value)
    if key == "redirect":
        return str(value).strip().lower() in ("true", "1", "yes", "on")
    return _strip(value) if key in _TEXTS else _split_list(value)
