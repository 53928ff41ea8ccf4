"""Finds the driver with which a project's own env.py connects, so that it receives a URL that it can use."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import sqlalchemy

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project

_ASYNC_NAMES = re.compile(r"\b(async_engine_from_config|create_async_engine|AsyncEngine|asyncio)\b")
_ASYNC_DRIVERS = {"sqlite": ("aiosqlite",), "postgresql": ("asyncpg", "psycopg")}
_SCRATCH_DRIVERS = ("sqlite", "postgresql+psycopg2")  # of scratch databases: no project chose them
_BARE_IS_PSYCOPG_3 = tuple(map(int, sqlalchemy.__version__.split(".")[:2])) >= (2, 1)


def driver_name(project: Project, target: Target) -> str:
    """Return the part before `://` in the URL for env.py: the dialect, and the driver that the project works with."""
    backend = target.backend_name
    for name in project.settings.drivers:
        if name.partition("+")[0] == backend:
            return name
    if target.driver not in _SCRATCH_DRIVERS:
        return target.driver
    declared = (project.declared_url() or "").partition(":")[0].replace("postgres+", "postgresql+")
    if declared.partition("+")[0] == backend and _is_installed(declared):
        return declared
    file = project.script_location / "env.py"
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    if _ASYNC_NAMES.search(text) or declared.partition("+")[2] in ("aiosqlite", "asyncpg"):
        return next((f"{backend}+{name}" for name in _ASYNC_DRIVERS[backend] if find_spec(name)), target.driver)
    return target.driver


def _is_installed(name: str) -> bool:
    """Return whether a driver is installed; `postgresql` alone means psycopg since SQLAlchemy 2.1, before psycopg2."""
    bare = {"postgresql": "psycopg" if _BARE_IS_PSYCOPG_3 else "psycopg2", "sqlite": "sqlite3"}
    module = name.partition("+")[2] or bare.get(name, name)
    return find_spec({"pysqlite": "sqlite3", "psycopg_async": "psycopg"}.get(module, module)) is not None
