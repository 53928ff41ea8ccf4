"""Commands as a shell starts them, on the project itself, with nothing of our own in their environment."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dormatory.system import process

if TYPE_CHECKING:
    from dormatory.backends.url import Target

ROOT = Path(__file__).resolve().parents[2]
_SETTING_PREFIXES = ("DATABASE_URL", "ALEMBIC_", "DORMATORY_", "INVOKE_", "PG", "PYTHONDONTWRITEBYTECODE")


def command_seconds(*command: str, target: Target | None = None, code: int = 0) -> float:
    """Return how long a command takes; AssertionError when it does not end as it should."""
    env = clean_environment()
    if target is not None:
        env["DATABASE_URL"] = target.url.render()
    began = time.perf_counter()
    ended = process.run_program([sys.executable, "-m", *command], env=env, cwd=ROOT, check=False)
    seconds = time.perf_counter() - began
    if ended.code != code:
        raise AssertionError(f"{command}: {ended}")
    return seconds


def clean_environment() -> dict[str, str]:
    """Return the environment without settings, of ours or of Python: developers let it keep its bytecode."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_SETTING_PREFIXES)}
