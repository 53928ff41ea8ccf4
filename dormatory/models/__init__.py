"""What the database should hold; `load()` imports every module below, so none is listed by hand."""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import iter_modules
from traceback import walk_tb
from typing import TYPE_CHECKING

from dormatory.errors import CircularModelsError, ModelImportError
from dormatory.models.base import Base

if TYPE_CHECKING:
    from types import ModuleType

    from sqlalchemy import MetaData

__all__ = ["Base", "load"]


def load(package: str = __name__) -> MetaData:
    """Import every module below a package, however deep, and return the metadata they registered on.

    Raises ModelImportError, with the cause attached, for the first module that does not import.
    """
    pending = [package]
    while pending:
        name = pending.pop()
        module = _import_module(name, package)
        # Only a package has a path. Last in, first out: sorted backwards, they are imported in order.
        submodules = iter_modules(getattr(module, "__path__", []), f"{name}.")
        pending += sorted((found.name for found in submodules), reverse=True)
    return Base.metadata


def _import_module(name: str, package: str) -> ModuleType:
    """Import a module and return it; any error in its code is raised as one that names the chain of imports."""
    try:
        return import_module(name)
    except Exception as error:
        chain = _import_chain(error, package) or [name]
        cycle_start = _partially_imported_module(error)
        if cycle_start in chain:
            raise CircularModelsError([*chain[chain.index(cycle_start) :], cycle_start]) from error
        raise ModelImportError(chain, why=f"{type(error).__name__}: {error}") from error


def _import_chain(error: Exception, package: str) -> list[str]:
    """Return the modules of the package that were being imported, the failing one last."""
    names = (
        frame.f_globals.get("__name__", "")
        for frame, _ in walk_tb(error.__traceback__)
        if frame.f_code.co_name == "<module>"
    )
    # This module's own frame is not there: it was imported long before.
    return [name for name in names if name == package or name.startswith(f"{package}.")]


def _partially_imported_module(error: Exception) -> str | None:
    """Return the module that was only partly imported, the sign of a cycle; only the error message names it."""
    if not isinstance(error, ImportError | AttributeError):
        return None
    if found := re.search(r"partially initialized module '([^']+)'", str(error)):
        return found[1]
    if found := re.search(r"cannot access submodule '([^']+)' of module '([^']+)'", str(error)):
        return f"{found[2]}.{found[1]}"
    return None
