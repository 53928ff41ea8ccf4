"""A diagram in Graphviz's language DOT."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.schema.diagram import Diagram, Entity, Field

NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def dot_text(diagram: Diagram) -> str:
    """Return the text of a DOT graph, the same for the same diagram."""
    return "".join(f"{line}\n" for line in _lines(diagram))


def _lines(diagram: Diagram) -> Iterator[str]:
    yield "digraph schema {"
    yield "    rankdir=LR; node [shape=plain, fontname=Helvetica]; edge [dir=both, fontname=Helvetica];"
    for entity in diagram.entities:
        yield f"    {_quote(entity.name)} [label=<{_table(entity)}>];"
    for relation in diagram.relations:
        tail, head = "teeodot" if relation.is_unique else "crowodot", "teetee" if relation.is_required else "teeodot"
        ends = f"{_quote(relation.child)} -> {_quote(relation.parent)}"
        yield f"    {ends} [label=<{_escape(', '.join(relation.columns))}>, arrowtail={tail}, arrowhead={head}];"
    yield "}"


def _table(entity: Entity) -> str:
    rows = "".join(_row(field) for field in entity.fields)
    title = f'<tr><td colspan="3"><b>{_escape(entity.name)}</b></td></tr>'
    return f'<table border="0" cellborder="1" cellspacing="0">{title}{rows}</table>'


def _row(field: Field) -> str:
    kind = f"{field.type} NULL".strip() if field.nullable else field.type
    cells = (", ".join(field.keys), field.name, kind)
    return "<tr>" + "".join(f'<td align="left">{_escape(cell)}</td>' for cell in cells) + "</tr>"


def _escape(text: str) -> str:
    """Return a text for a label, whose empty form Graphviz does not accept."""
    return html.escape(NOT_IN_XML.sub("\ufffd", text)) or " "


def _quote(name: str) -> str:
    return '"' + NOT_IN_XML.sub("\ufffd", name).replace("\\", "\\\\").replace('"', '\\"') + '"'
