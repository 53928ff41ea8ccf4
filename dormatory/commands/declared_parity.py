"""Declares in a new revision where the models want another thing on each backend: lines `# parity:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.names import BACKEND_NAMES
from dormatory.backends.registry import dialect_by_name
from dormatory.checks.parity import comment_name
from dormatory.project.script import function_definition, parse_source
from dormatory.schema.parity import parity_differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dormatory.authoring.divergence import Divergence
    from dormatory.schema.parity import ParityDifference
    from dormatory.schema.snapshot import Snapshot


def declare_parity(file: Path, divergences: Sequence[Divergence]) -> None:
    """Write above the upgrade of a generated revision how the backends differ from now on, if they do."""
    upgrade = function_definition(parse_source(file, file.read_bytes()), "upgrade")
    comments = [f"# parity: {name}: {reason}\n" for name, reason in _new_differences(divergences)]
    if upgrade and comments:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        lines[upgrade.lineno - 1 : upgrade.lineno - 1] = comments
        file.write_text("".join(lines), encoding="utf-8")


def _new_differences(divergences: Sequence[Divergence]) -> Iterator[tuple[str, str]]:
    """Yield the name and the reason of each difference that the models have and the history does not."""
    histories = {it.target.backend_name: it.found for it in divergences}
    models = {it.target.backend_name: it.models for it in divergences if it.models}
    known, found = _differences(histories), _differences(models)
    for difference in found:
        name = comment_name(difference, found)
        if name and difference not in known:
            yield name, _reason(difference)


def _differences(snapshots: dict[str, Snapshot]) -> tuple[ParityDifference, ...]:
    if snapshots.keys() != {*BACKEND_NAMES}:
        return ()
    first, second = BACKEND_NAMES
    dialects = dialect_by_name(first), dialect_by_name(second)
    return tuple(parity_differences(snapshots[first], snapshots[second], dialects))


def _reason(difference: ParityDifference) -> str:
    if difference.is_unchecked_enumeration:
        return "SQLite takes any text, as the models have no create_constraint=True"
    what = str(difference).removeprefix(f"{difference.object}: ")
    return f"{' '.join(what.split())}, as in the models"
