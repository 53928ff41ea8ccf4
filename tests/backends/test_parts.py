from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dormatory.backends.base import Backend
from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.postgresql import alter as postgresql_alter
from dormatory.backends.postgresql import backup as postgresql_backup
from dormatory.backends.postgresql import counters as postgresql_counters
from dormatory.backends.postgresql import dump as postgresql_dump
from dormatory.backends.postgresql import fast_path as postgresql_fast_path
from dormatory.backends.postgresql import introspection as postgresql_introspection
from dormatory.backends.postgresql import probe as postgresql_probe
from dormatory.backends.postgresql import replica as postgresql_replica
from dormatory.backends.postgresql import row_compare as postgresql_row_compare
from dormatory.backends.postgresql import row_counts as postgresql_row_counts
from dormatory.backends.postgresql import row_io as postgresql_row_io
from dormatory.backends.postgresql import scratch as postgresql_scratch
from dormatory.backends.postgresql import tracer as postgresql_tracer
from dormatory.backends.postgresql import url as postgresql_url
from dormatory.backends.postgresql import violations as postgresql_violations
from dormatory.backends.registry import backend_by_name
from dormatory.backends.sqlite import alter as sqlite_alter
from dormatory.backends.sqlite import backup as sqlite_backup
from dormatory.backends.sqlite import counters as sqlite_counters
from dormatory.backends.sqlite import dump as sqlite_dump
from dormatory.backends.sqlite import fast_path as sqlite_fast_path
from dormatory.backends.sqlite import introspection as sqlite_introspection
from dormatory.backends.sqlite import probe as sqlite_probe
from dormatory.backends.sqlite import replica as sqlite_replica
from dormatory.backends.sqlite import row_compare as sqlite_row_compare
from dormatory.backends.sqlite import row_io as sqlite_row_io
from dormatory.backends.sqlite import scratch as sqlite_scratch
from dormatory.backends.sqlite import tracer as sqlite_tracer
from dormatory.backends.sqlite import url as sqlite_url
from dormatory.backends.sqlite import violations as sqlite_violations

if TYPE_CHECKING:
    from dormatory.backends.parts import (
        Alter,
        Backup,
        Counters,
        Dump,
        FastPath,
        Introspection,
        Probe,
        Replica,
        RowCompare,
        RowCounts,
        RowIO,
        Scratch,
        Tracer,
        Violations,
    )
    from dormatory.backends.url import URLRules

# A type checker compares each module with the protocol of its part; the parts are imported by name at run time.
FAST_PATHS: tuple[FastPath, ...] = (sqlite_fast_path, postgresql_fast_path)
URL_RULES: tuple[URLRules, ...] = (sqlite_url, postgresql_url)
BACKUPS: tuple[Backup, ...] = (sqlite_backup, postgresql_backup)
SCRATCHES: tuple[Scratch, ...] = (sqlite_scratch, postgresql_scratch)
INTROSPECTIONS: tuple[Introspection, ...] = (sqlite_introspection, postgresql_introspection)
DUMPS: tuple[Dump, ...] = (sqlite_dump, postgresql_dump)
ALTERS: tuple[Alter, ...] = (sqlite_alter, postgresql_alter)
COUNTERS: tuple[Counters, ...] = (sqlite_counters, postgresql_counters)
ROW_IOS: tuple[RowIO, ...] = (sqlite_row_io, postgresql_row_io)
TRACERS: tuple[Tracer, ...] = (sqlite_tracer, postgresql_tracer)
REPLICAS: tuple[Replica, ...] = (sqlite_replica, postgresql_replica)
PROBES: tuple[Probe, ...] = (sqlite_probe, postgresql_probe)
VIOLATIONS: tuple[Violations, ...] = (sqlite_violations, postgresql_violations)
ROW_COMPARES: tuple[RowCompare, ...] = (sqlite_row_compare, postgresql_row_compare)
ROW_COUNTS: tuple[RowCounts, ...] = (postgresql_row_counts,)
MODULES: tuple[Any, ...] = (
    *BACKUPS, *FAST_PATHS, *SCRATCHES, *INTROSPECTIONS, *DUMPS, *ALTERS, *ROW_IOS, *COUNTERS, *TRACERS, *REPLICAS,
    *PROBES, *VIOLATIONS, *ROW_COMPARES, *ROW_COUNTS,
)  # fmt: skip

PARTS = [name for name, value in vars(Backend).items() if type(value).__name__ == "_Part"]


@pytest.mark.parametrize("name", BACKEND_NAMES)
def test_every_part_of_a_backend_is_a_module_of_its_folder(name: str) -> None:
    backend = backend_by_name(name)
    assert PARTS
    missing = {part for part in PARTS if getattr(backend, part) is None}
    assert missing == ({"row_counts"} if name == "sqlite" else set())
    for part in set(PARTS) - missing:
        assert getattr(backend, part).__name__ == f"dormatory.backends.{name}.{part}"


@pytest.mark.parametrize("name", BACKEND_NAMES)
@pytest.mark.parametrize("part", PARTS)
def test_a_type_checker_compares_every_part_with_its_protocol(name: str, part: str) -> None:
    if getattr(backend_by_name(name), part) is not None:
        assert any(module.__name__ == f"dormatory.backends.{name}.{part}" for module in MODULES)
