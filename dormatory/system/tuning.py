"""Settings that make our own processes faster: rare garbage collection, and no colours for unseen error pages."""

from __future__ import annotations

import atexit
import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Python searches for reference cycles after so many new objects, and in older objects after so many such searches.
# Modules, syntax trees and recordings have none: with Python's own thresholds a third of the time would go into it.
_GC_THRESHOLDS = (50_000, 20, 50)


def tune_process() -> None:
    """Let our process collect garbage rarely, and not at all when it ends, and load Alembic faster.

    At its end Python would search all objects once more: a fifth of a second where SQLAlchemy is loaded.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    atexit.register(gc.freeze)
    # Pygments colours Mako's error pages in HTML; without it, Mako writes plain text.
    sys.modules.setdefault("mako.ext.pygmentplugin", None)  # type: ignore[arg-type]  # the documented way to forbid an import


@contextmanager
def reduce_garbage_collection() -> Iterator[None]:
    """Collect garbage rarely in the block."""
    before = gc.get_threshold()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
