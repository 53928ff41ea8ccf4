"""How often Python looks for garbage: seldom, where many objects are made and kept."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Python looks for cycles after so many new objects, and in the older ones after so many of such looks. Modules, syntax
# trees and recordings make none: at Python's own thresholds a third of the time would go into finding that out.
_SELDOM = (50_000, 20, 50)


def collect_seldom() -> None:
    """Look for garbage seldom from now on, in a process that is ours."""
    gc.set_threshold(*_SELDOM)


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Look for garbage seldom in the block."""
    before = gc.get_threshold()
    collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
