"""What is said of a history that could not be read or played, or not on a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.registry import finding

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.checks.finding import Finding
    from dormatory.errors import DormatoryError


def engine_error_finding(error: DormatoryError, rule: str, *, backend: str = "") -> Finding:
    """Report what keeps a history from being read or played at all."""
    file, _, line = str(getattr(error, "where", "")).rpartition(":")
    message, number = f"{error.what} ({error.why})", int(line) if line.isdecimal() else 0
    return finding(rule, message, error.fix, backend=backend, file=file, line=number)


def unsupported_backend_finding(backend: str, ini: Path) -> Finding:
    """Say that a project declares that it does not run on a backend."""
    message = f"this project does not support {backend}, so nothing was played there"
    return finding("backend-not-supported", message, "its setting backends says so", backend=backend, file=str(ini))
