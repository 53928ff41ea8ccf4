"""An Alembic project as its ini file describes it: the place of its scripts, its database, its settings."""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.errors import InvalidSettingError, MissingProjectError, MissingScriptsError
from dormatory.project.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alembic.config import Config

    from dormatory.backends.url import Target

CONFIG_VARIABLE = "ALEMBIC_CONFIG"  # Alembic's own
# In Alembic's Config.attributes: the database that a command acts on; without it env.py reads DATABASE_URL.
TARGET_ATTRIBUTE = "dormatory.target"
_OUR_ENVIRONMENT = re.compile(
    r"^\s*(?:from dormatory import .*\benvironment\b|(?:from|import) dormatory\.environment\b)", re.MULTILINE
)
_PATH_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}


@dataclass(frozen=True, slots=True)
class Project:
    """An Alembic project; paths are absolute.

    `database_names` are those of Alembic's template multidb. `is_inside_scripts`: the ini lies in the directory of the
    scripts and does not name it, as with Flask-Migrate. `env_pass` is the pass of env.py that a replay plays.
    """

    ini: Path
    script_location: Path
    version_locations: tuple[Path, ...]
    recursive: bool
    url: str | None
    settings: Settings = field(default_factory=Settings)
    database_names: tuple[str, ...] = ()
    is_inside_scripts: bool = False
    env_pass: int = 0

    @classmethod
    def locate(cls, home: Path, environ: Mapping[str, str] = os.environ) -> Project:
        """Return the project that ALEMBIC_CONFIG names, or the one whose configuration is in `home`.

        That is alembic.ini, or else pyproject.toml, or else what Flask-Migrate writes. Raises MissingProjectError if
        the file does not exist or is no Alembic configuration.
        """
        return cls.read(Path(environ.get(CONFIG_VARIABLE) or _default_ini(home)).expanduser().absolute())

    @classmethod
    def from_config(cls, config: Config) -> Project:
        """Return the project on which Alembic itself was started."""
        name, toml = config.config_file_name, getattr(config, "toml_file_name", None)  # since Alembic 1.16
        is_toml = toml is not None and (name is None or not Path(name).exists())
        return cls.read(Path((toml if is_toml else name) or "alembic.ini").absolute())

    @classmethod
    def read(cls, ini: Path) -> Project:
        """Return the project that an alembic.ini or a pyproject.toml describes.

        Raises MissingProjectError, and MissingScriptsError if there is nothing at its script_location.
        """
        options = _read_options(ini)
        location = options.get("script_location")
        is_inside_scripts = not location and (ini.parent / "env.py").exists()
        location = str(ini.parent) if is_inside_scripts else location
        if not location:
            fix = "add below [alembic]: script_location = %(here)s/alembic; or set ALEMBIC_CONFIG to another ini"
            raise MissingProjectError(ini, "it names no script_location", fix=fix)
        prepended = _split_paths("prepend_sys_path", options)
        scripts = _resolve_location(location, ini.parent, prepended)
        if not scripts.is_dir():
            raise MissingScriptsError(ini, location, scripts)
        paths = _split_paths("version_locations", options)
        versions = tuple(_resolve_location(path, ini.parent, prepended) for path in paths) or (scripts / "versions",)
        recursive = str(options.get("recursive_version_locations", "")).lower() in ("true", "1", "yes", "on")
        settings = Settings.read(ini)
        url = _database_url(ini, settings.database) if settings.database else options.get("sqlalchemy.url")
        names = tuple(filter(None, re.split(r",\s*", options.get("databases", ""))))
        return cls(ini, scripts, versions, recursive, url, settings, names if names[1:] else (), is_inside_scripts)

    def with_x_arguments(self, given: Sequence[str]) -> Project:
        """Return the project with more arguments `-x`, for this command, on top of those of its settings."""
        arguments = (*self.settings.x_arguments, *given)
        return replace(self, settings=replace(self.settings, x_arguments=arguments))

    @property
    def root(self) -> Path:
        """The directory of the ini file, from which relative paths are taken; above the scripts if it is theirs."""
        return self.ini.parent.parent if self.is_inside_scripts else self.ini.parent

    @property
    def has_our_environment(self) -> bool:
        """Whether env.py uses dormatory.environment."""
        file = self.script_location / "env.py"
        return file.exists() and bool(_OUR_ENVIRONMENT.search(file.read_text(encoding="utf-8", errors="replace")))

    def target(self, environ: Mapping[str, str] = os.environ) -> Target:
        """Return the database to act on: that of declared_url(), or else the default SQLite file."""
        from dormatory.backends.url import DEFAULT_URL, Target  # noqa: PLC0415  # reading needs no SQLAlchemy

        declared = self.declared_url(environ)
        return Target.parse(DEFAULT_URL if declared is None else declared, root=self.root)

    def declared_url(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """Return the URL of DATABASE_URL, else of the project's own variable, else of its ini file."""
        from dormatory.backends.url import URL_VARIABLE  # noqa: PLC0415

        names = (URL_VARIABLE, *self.settings.url_variable)
        return next((environ[name] for name in names if name in environ), self.url or None)


def _default_ini(home: Path) -> Path:
    ini, toml, flask = home / "alembic.ini", home / "pyproject.toml", home / "migrations" / "alembic.ini"
    if ini.exists():
        return ini
    if toml.exists() and "[tool.alembic]" in toml.read_text(encoding="utf-8", errors="replace"):
        return toml
    return flask if flask.exists() else ini


def _read_options(ini: Path) -> dict[str, str]:
    try:
        text = ini.read_text(encoding="utf-8")
        if ini.suffix == ".toml":
            section = tomllib.loads(text).get("tool", {}).get("alembic", {})
            return {key: _expand(value, ini) for key, value in section.items()}
        parser = configparser.ConfigParser({"here": str(ini.parent)})
        parser.read_string(text)
        found = {key: _read_option(parser, key, ini) for key in parser["alembic"]}
        toml = ini.with_name("pyproject.toml")  # Alembic reads both, the ini file first
        return found if "script_location" in found or not toml.is_file() else {**_read_options(toml), **found}
    except FileNotFoundError as error:
        raise MissingProjectError(ini, "there is no such file") from error
    except (OSError, UnicodeError, KeyError, configparser.Error, tomllib.TOMLDecodeError) as error:
        why = f"it does not read as a configuration: {error}".splitlines()[0]
        raise MissingProjectError(ini, why, fix="correct that, or set ALEMBIC_CONFIG to another ini") from error


def _database_url(ini: Path, section: str) -> str | None:
    """Return the URL in the section of one of several databases; raises InvalidSettingError if there is none."""
    parser = configparser.ConfigParser({"here": str(ini.parent)}, interpolation=None)
    parser.read_string(ini.read_text(encoding="utf-8"))
    if not parser.has_section(section):
        raise InvalidSettingError(ini, f"dormatory has database = {section}, and there is no section [{section}]")
    return parser[section].get("sqlalchemy.url")


def _expand(value: Any, ini: Path) -> Any:
    """Expand a value of a TOML file, where version_locations is a list."""
    if isinstance(value, list):
        return [_expand(item, ini) for item in value]
    return _expand_here(value, ini) if isinstance(value, str) else value


def _read_option(parser: configparser.ConfigParser, key: str, ini: Path) -> str:
    """Return an option with its interpolations expanded; a URL with single percent signs is taken literally."""
    try:
        return parser.get("alembic", key)
    except configparser.InterpolationError:
        return _expand_here(parser.get("alembic", key, raw=True), ini)


def _expand_here(value: str, ini: Path) -> str:
    """Expand `%(here)s` and `%%` as Alembic does; the percent signs of a URL stay as they are."""
    return value.replace("%(here)s", str(ini.parent)).replace("%%", "%")


def _split_paths(name: str, options: Mapping[str, Any]) -> list[str]:
    """Split a list of paths as Alembic does; without a separator it still splits at spaces and commas."""
    listed = options.get(name) or ""
    if not isinstance(listed, str):
        return [str(item) for item in listed]
    key = options.get("path_separator") or options.get("version_path_separator")
    if key is None:
        return listed.replace(",", " ").split()
    return [part.strip() for part in listed.split(_PATH_SEPARATORS.get(key, key)) if part.strip()]


def _resolve_location(name: str, base: Path, prepended: Sequence[str] = ()) -> Path:
    """Return the directory that a location names: a path, or `package:folder:folder` inside a package.

    The package is installed, or in a directory of prepend_sys_path; it is not imported.
    """
    package, colon, inside = name.partition(":")
    if colon and not os.path.isabs(name) and package.replace(".", "").isidentifier():  # noqa: PTH117  # text, not yet a path
        from importlib.machinery import PathFinder  # noqa: PLC0415  # slow to load, and few projects name a package
        from importlib.util import find_spec  # noqa: PLC0415

        top, *rest = package.split(".")
        near = [str(base / path) for path in prepended] or [str(base)]
        spec = PathFinder.find_spec(top, near) or find_spec(top)
        if spec is not None and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]).joinpath(*rest, *inside.split(":"))
    return Path(os.path.normpath(base / name))
