"""The diagram of the schema that the history gives at head."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from dormatory.errors import UnknownTableError
from dormatory.runtime import scratch
from dormatory.schema.diagram import Diagram, diagram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.project.project import Project


def history_diagram(project: Project, backend: str, patterns: Sequence[str] = ()) -> Diagram:
    """Return the diagram of a scratch database at head: all tables, or some and their neighbours.

    Raises UnknownTableError.
    """
    with scratch.databases(backend) as maker, scratch.at_revision(project, maker) as target:
        whole = diagram(scratch.read_schema(target, *scratch.version_tables(project, target)))
    if not patterns:
        return whole
    return whole.neighbourhood([name for pattern in patterns for name in _names_like(whole, pattern)])


def _names_like(whole: Diagram, pattern: str) -> tuple[str, ...]:
    names = whole.names_like(pattern)
    if not names:
        near = {name.rpartition(".")[2]: name for name in (entity.name for entity in whole.entities)}
        raise UnknownTableError(pattern, similar_names=difflib.get_close_matches(pattern.rpartition(".")[2], near))
    return names
