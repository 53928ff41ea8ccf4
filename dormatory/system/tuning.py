"""What our processes do without, to be quick: looks for garbage, and colours for pages that nobody sees."""

from __future__ import annotations

import atexit
import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Python looks for cycles after so many new objects, and in the older ones after so many of such looks. Modules, syntax
# trees and recordings make none: at Python's own thresholds a third of the time would go into finding that out.
_GC_THRESHOLDS = (50_000, 20, 50)


def tune_process() -> None:
    """Let a process that is ours look for garbage seldom, not at all when it ends, and load Alembic faster.

    At its end Python would look through all that it holds once more: a fifth of a second where SQLAlchemy is loaded.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    atexit.register(gc.freeze)
    # Pygments colours Mako's error pages in HTML; without it, Mako writes them plain.
    sys.modules.setdefault("mako.ext.pygmentplugin", None)  # type: ignore[arg-type]  # the documented way to forbid an import


@contextmanager
def reduce_garbage_collection() -> Iterator[None]:
    """Look for garbage seldom in the block."""
    before = gc.get_threshold()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
