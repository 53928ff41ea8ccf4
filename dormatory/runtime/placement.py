"""Where a new revision goes in the history and in the directories: Alembic's own options, which pass through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RevisionPlacement:
    """Alembic's options of `alembic revision`; what is empty is left to Alembic."""

    head: str = ""
    splice: bool = False
    branch_label: str = ""
    version_path: str = ""
    depends_on: tuple[str, ...] = ()

    def alembic_arguments(self) -> dict[str, Any]:
        """Return them as `alembic.command.revision` takes them."""
        return {
            "head": self.head or "head",
            "splice": self.splice,
            "branch_label": self.branch_label or None,
            "version_path": self.version_path or None,
            "depends_on": list(self.depends_on) or None,
        }


DEFAULT_PLACEMENT = RevisionPlacement()
