"""The formats of a diagram by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors import UnknownFormatError
from dormatory.report.diagram.dot import dot_text
from dormatory.report.diagram.mermaid import mermaid_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.schema.diagram import Diagram

DIAGRAM_FORMATS: dict[str, Callable[[Diagram], str]] = {"mermaid": mermaid_text, "dot": dot_text}


def diagram_writer(name: str) -> Callable[[Diagram], str]:
    """Return what writes a diagram in a format; raises UnknownFormatError."""
    if name not in DIAGRAM_FORMATS:
        raise UnknownFormatError(name, known=tuple(DIAGRAM_FORMATS))
    return DIAGRAM_FORMATS[name]
