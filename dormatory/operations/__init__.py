"""What revisions of any project may import: helpers for upgrade() and downgrade(). Nothing above is loaded."""

from __future__ import annotations

from dormatory.operations.batches import Batch, in_batches

__all__ = ["Batch", "in_batches"]
