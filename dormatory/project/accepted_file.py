"""`accepted.toml`: the findings of `db.check` that a project has accepted, each with its reason.

    [[finding]]
    rule = "index-not-concurrent"
    revision = "011"
    object = "ix_object_name"
    backends = ["postgresql"]
    message = "ix_object_name is built while nobody can write to object"
    reason = "object has ten rows"

The entries are sorted, each is one block, and nothing in them depends on lines: branches that accept different findings
merge without a conflict.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from dormatory.errors import UnreadableAcceptedFileError, UnwritableFileError
from dormatory.system.atomic_file import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dormatory.project.project import Project

_NAME = "accepted.toml"
_BLOCK = "[[finding]]"
_HEADER = "# Findings that are accepted as they are. Written by: inv db.check --accept --reason TEXT\n"


@dataclass(frozen=True, slots=True)
class AcceptedEntry:
    """An accepted finding: its rule, where it is, what it says, and why that is right.

    A finding without a revision is found again by its `file`, relative to the project. `backends` are those on which
    it was accepted, empty if it belongs to none. `line` is that of the entry in the file.
    """

    rule: str
    revision: str = ""
    file: str = ""
    object: str = ""
    backends: tuple[str, ...] = ()
    message: str = ""
    reason: str = ""
    line: int = field(default=0, compare=False)


_KEYS = tuple(item.name for item in fields(AcceptedEntry) if item.name != "line")


def accepted_path(project: Project) -> Path:
    """Return where a project keeps its accepted findings, next to its checksums."""
    return project.script_location / _NAME


def read_accepted(path: Path) -> tuple[AcceptedEntry, ...]:
    """Return the entries of a file, none if it does not exist; raises UnreadableAcceptedFileError."""
    try:
        text = path.read_text(encoding="utf-8")
        blocks = tomllib.loads(text).get("finding", [])
        return tuple(map(_entry, blocks, _block_lines(text, len(blocks))))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise UnreadableAcceptedFileError(str(path), str(error)) from error


def write_accepted(path: Path, entries: Iterable[AcceptedEntry]) -> None:
    """Write the entries in their order, all or nothing; without any, remove the file. Raises UnwritableFileError."""
    blocks = [_block_text(entry) for entry in sorted(entries, key=_order)]
    try:
        if blocks:
            replace_file(path, "\n".join((_HEADER, *blocks)).encode())
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableFileError(path, error.strerror or str(error)) from error


def _block_lines(text: str, count: int) -> list[int]:
    """Return the lines in which the blocks begin, which TOML does not tell; ValueError if they look otherwise."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == _BLOCK]
    if len(lines) != count:
        raise ValueError(f"each finding begins with a line {_BLOCK}, and one does not")
    return lines


def _entry(block: dict[str, Any], line: int) -> AcceptedEntry:
    """Return the entry that a block of the file is; raises ValueError where a key is unknown or no text."""
    values: dict[str, Any] = {}
    for key, value in block.items():
        parts = value if key == "backends" and isinstance(value, list) else [value]
        if key not in _KEYS or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"line {line}: {key} = {value!r} is not what the key of a finding can be")
        values[key] = tuple(parts) if key == "backends" else value
    if "rule" not in values:
        raise ValueError(f"line {line}: the finding names no rule")
    return AcceptedEntry(**values, line=line)


def _order(entry: AcceptedEntry) -> tuple[str, ...]:
    return entry.revision, entry.file, entry.rule, entry.object, entry.message, *entry.backends


def _block_text(entry: AcceptedEntry) -> str:
    values = ((key, getattr(entry, key)) for key in _KEYS)
    # the reason is written even where it is missing: that is where the reader adds it
    shown = [f"{key} = {_toml_value(value)}\n" for key, value in values if value or key == "reason"]
    return "".join((f"{_BLOCK}\n", *shown))


def _toml_value(value: str | Sequence[str]) -> str:
    """Return a text, or a list of texts, as TOML writes it: like JSON but for one control character."""
    if isinstance(value, str):
        legible = value.encode(errors="replace").decode()  # half of a surrogate pair cannot be written
        return json.dumps(legible, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(map(_toml_value, value))}]"
