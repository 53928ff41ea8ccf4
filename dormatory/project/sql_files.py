"""The SQL files that revisions read: what they hold is part of what a revision does."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.project.script import Script

_SUFFIX = ".sql"


def with_sql_files(scripts: Sequence[Script], read_files: Callable[[], Mapping[Path, bytes]]) -> tuple[Script, ...]:
    """Return the scripts with the SQL files that they name; `read_files` is called only if one of them names any."""
    if not any(_SUFFIX.encode() in script.source for script in scripts):
        return tuple(scripts)
    files = read_files()
    return tuple(
        replace(script, sql_files=tuple((it.name, files[it]) for it in _named_files(script, sorted(files))))
        for script in scripts
    )


def _named_files(script: Script, files: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that a text in the code names, whole or by its end, as in `f"{revision}_up.sql"`."""
    texts = {PurePath(text).name for text in _texts(script.tree) if text.lower().endswith(_SUFFIX)}
    beginnings = {"", script.path.stem, script.revision.id if script.revision else ""}
    names = {beginning + text for beginning in beginnings for text in texts}
    yield from (file for file in files if file.name in names)


def _texts(tree: ast.Module | None) -> Iterator[str]:
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
