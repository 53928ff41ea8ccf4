"""Finds the driver with which a project's own env.py connects, so that it receives a URL that it can use."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dormatory.backends.registry import backend_for

if TYPE_CHECKING:
    from dormatory.backends.url import Target
    from dormatory.project.project import Project

_ASYNC_NAMES = re.compile(r"\b(async_engine_from_config|create_async_engine|AsyncEngine|asyncio)\b")


def driver_name(project: Project, target: Target) -> str:
    """Return the part before `://` in the URL for env.py: the dialect, and the driver that the project works with."""
    backend = backend_for(target)
    for name in project.settings.drivers:
        if name.partition("+")[0] == backend.name:
            return name
    if target.driver != target.url.drivername:  # that of a scratch database, which no project has chosen
        return target.driver
    declared = (project.declared_url() or "").partition(":")[0].replace("postgres+", "postgresql+")
    dialect, _, driver = declared.partition("+")
    is_usable = dialect == backend.name and find_spec(backend.driver_module(driver)) is not None
    if is_usable and driver:
        return declared
    file = project.script_location / "env.py"
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    if _ASYNC_NAMES.search(text) or driver in ("aiosqlite", "asyncpg"):
        installed = (f"{backend.name}+{name}" for name in backend.async_drivers if find_spec(name))
        return next(installed, target.driver)
    return declared if is_usable else target.driver
