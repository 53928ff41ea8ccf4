"""Checks that the history gives what the models describe: pure, over two snapshots of one backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.findings import Finding, Severity
from dormatory.schema.diff import diff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.migrations.comparison import Comparison


def drift(comparison: Comparison) -> Iterator[Finding]:
    """Report each difference between the migrated schema and the models'."""
    for change in diff(comparison.migrated, comparison.modelled):
        yield Finding(
            rule="drift",
            severity=Severity.ERROR,
            message=f"{change} (migrations → models)",
            hint='write the missing migration with: inv db.revision --message "..."',
            backend=comparison.backend,
            object=change.object,
        )
