"""Checks of the revision graph: pure, without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dormatory.errors import DormatoryError
    from dormatory.migrations.history import History


def several_heads(history: History) -> Iterator[Finding]:
    """Report a history that ends in more than one revision, so that "head" is ambiguous."""
    heads = history.heads
    if len(heads) > 1:
        yield Finding(
            rule="several-heads",
            severity=Severity.ERROR,
            message=f"the history has {len(heads)} heads: {', '.join(heads)}",
            hint=f"re-parent the newer one, or join them with: alembic merge {' '.join(heads)}",
            revision=heads[-1],
            file=str(history.get(heads[-1]).path),
        )


def unusable(error: DormatoryError, rule: str, *, backend: str = "") -> Finding:
    """Report what keeps a history from being read or played at all."""
    file, _, line = str(getattr(error, "where", "")).rpartition(":")
    return Finding(
        rule=rule,
        severity=Severity.ERROR,
        message=f"{error.what} ({error.why})",
        hint=error.fix,
        backend=backend,
        file=file,
        line=int(line) if line.isdecimal() else 0,
    )


def unsupported(backend: str, ini: Path) -> Finding:
    """Say that a project declares that it does not run on a backend."""
    return Finding(
        rule="backend-not-supported",
        severity=Severity.NOTE,
        message=f"this project does not support {backend}, so nothing was played there",
        hint="its setting backends says so",
        backend=backend,
        file=str(ini),
    )
