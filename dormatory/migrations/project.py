"""An Alembic project as its ini file describes it: where its scripts lie and which database it means."""

from __future__ import annotations

import configparser
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dormatory.errors import NoProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alembic.config import Config

    from dormatory.database.url import Target

CONFIG_VARIABLE = "ALEMBIC_CONFIG"  # Alembic's own
_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}


@dataclass(frozen=True, slots=True)
class Project:
    """An Alembic project; paths are absolute."""

    ini: Path
    script_location: Path
    version_locations: tuple[Path, ...]
    recursive: bool
    url: str | None

    @classmethod
    def locate(cls, home: Path, environ: Mapping[str, str] = os.environ) -> Project:
        """Return the project that ALEMBIC_CONFIG names, or the one whose alembic.ini lies in `home`.

        Raises NoProjectError when the file is not there or does not read as one.
        """
        return cls.read(Path(environ.get(CONFIG_VARIABLE) or home / "alembic.ini").expanduser().absolute())

    @classmethod
    def of(cls, config: Config) -> Project:
        """Return the project that Alembic itself was started on."""
        name, toml = config.config_file_name, getattr(config, "toml_file_name", None)  # since Alembic 1.16
        is_toml = toml is not None and (name is None or not Path(name).exists())
        return cls.read(Path((toml if is_toml else name) or "alembic.ini").absolute())

    @classmethod
    def read(cls, ini: Path) -> Project:
        """Return the project that an alembic.ini or a pyproject.toml describes."""
        options = _options(ini)
        location = options.get("script_location")
        if not location:
            raise NoProjectError(ini, "it names no script_location")
        scripts = _located(location, ini.parent)
        listed = options.get("version_locations", "")
        paths = _split(listed, options) if isinstance(listed, str) else [str(item) for item in listed]
        versions = tuple(_located(path, ini.parent) for path in paths) or (scripts / "versions",)
        recursive = str(options.get("recursive_version_locations", "")).lower() in ("true", "1", "yes", "on")
        return cls(ini, scripts, versions, recursive, options.get("sqlalchemy.url"))

    @property
    def root(self) -> Path:
        """The directory of the ini file, from which relative paths are taken."""
        return self.ini.parent

    @property
    def has_our_environment(self) -> bool:
        """Whether env.py leaves everything to dormatory.migrations.environment."""
        file = self.script_location / "env.py"
        return file.exists() and "dormatory.migrations" in file.read_text(encoding="utf-8", errors="replace")

    def target(self, environ: Mapping[str, str] = os.environ) -> Target:
        """Return the database to act on: DATABASE_URL, else the URL in the ini, else the default file."""
        from dormatory.database.url import DEFAULT, VARIABLE, Target  # noqa: PLC0415  # reading needs no SQLAlchemy

        return Target.parse(environ.get(VARIABLE, self.url or DEFAULT), root=self.root)


def _options(ini: Path) -> dict[str, str]:
    try:
        text = ini.read_text(encoding="utf-8")
        if ini.suffix == ".toml":
            section = tomllib.loads(text).get("tool", {}).get("alembic", {})
            return {key: _expanded(value, ini) for key, value in section.items()}
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        name = "alembic"
        return {key: _here(value, ini) for key, value in parser[name].items()}
    except FileNotFoundError as error:
        raise NoProjectError(ini, "there is no such file") from error
    except (OSError, UnicodeError, KeyError, configparser.Error, tomllib.TOMLDecodeError) as error:
        raise NoProjectError(ini, f"it does not read as a configuration: {error}".splitlines()[0]) from error


def _expanded(value: Any, ini: Path) -> Any:
    """Expand a value of a TOML file, where version_locations is a list."""
    if isinstance(value, list):
        return [_expanded(item, ini) for item in value]
    return _here(value, ini) if isinstance(value, str) else value


def _here(value: str, ini: Path) -> str:
    """Expand what Alembic's interpolation knows; a URL's own percent signs stay as they are."""
    return value.replace("%(here)s", str(ini.parent)).replace("%%", "%")


def _split(listed: str, options: dict[str, str]) -> list[str]:
    """Split version_locations as Alembic does; without a separator it still splits at spaces and commas."""
    key = options.get("path_separator") or options.get("version_path_separator")
    if key is None:
        return listed.replace(",", " ").split()
    return [part.strip() for part in listed.split(_SEPARATORS.get(key, key)) if part.strip()]


def _located(name: str, base: Path) -> Path:
    """Return the directory a location means: a path, or `package:folder` inside an installed package."""
    package, colon, inside = name.partition(":")
    if colon and not os.path.isabs(name) and package.replace(".", "").isidentifier():  # noqa: PTH117  # text, not yet a path
        from importlib.util import find_spec  # noqa: PLC0415  # few projects need it

        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / inside
    return Path(os.path.normpath(base / name))
