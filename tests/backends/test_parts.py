from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import dormatory.backends.postgresql.backup as postgresql_backup
import dormatory.backends.postgresql.scratch as postgresql_scratch
import dormatory.backends.sqlite.backup as sqlite_backup
import dormatory.backends.sqlite.scratch as sqlite_scratch
from dormatory.backends.base import Backend
from dormatory.backends.registry import BACKEND_NAMES, backend_by_name

if TYPE_CHECKING:
    from dormatory.backends.base import Backup, Scratch

# A type checker compares each module with the protocol of its part; the parts are imported by name at run time.
BACKUPS: tuple[Backup, ...] = (sqlite_backup, postgresql_backup)
SCRATCHES: tuple[Scratch, ...] = (sqlite_scratch, postgresql_scratch)
MODULES: tuple[Any, ...] = (*BACKUPS, *SCRATCHES)

PARTS = [name for name, value in vars(Backend).items() if type(value).__name__ == "_Part"]


@pytest.mark.parametrize("name", BACKEND_NAMES)
def test_every_part_of_a_backend_is_a_module_of_its_folder(name: str) -> None:
    backend = backend_by_name(name)
    assert PARTS
    for part in PARTS:
        assert getattr(backend, part).__name__ == f"dormatory.backends.{name}.{part}"


@pytest.mark.parametrize("name", BACKEND_NAMES)
@pytest.mark.parametrize("part", PARTS)
def test_a_type_checker_compares_every_part_with_its_protocol(name: str, part: str) -> None:
    assert any(module.__name__ == f"dormatory.backends.{name}.{part}" for module in MODULES)
