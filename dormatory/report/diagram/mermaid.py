"""A diagram as Mermaid's erDiagram, which GitHub and GitLab draw in Markdown.

Mermaid has no way to escape a character: what it does not accept in a name becomes `_`, and the comment of a column
has its own name and type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.schema.diagram import Diagram, Field

KEY_WORD = re.compile(r"(pk|fk|uk)\b", re.IGNORECASE)  # Mermaid reads it as a key in any case
NOT_IN_TEXT = re.compile(r'["%\\\x00-\x1f\x7f\x85\u2028\u2029]')


def mermaid_text(diagram: Diagram) -> str:
    """Return the text of a Mermaid diagram, the same for the same diagram."""
    return "".join(f"{line}\n" for line in _lines(diagram))


def _lines(diagram: Diagram) -> Iterator[str]:
    yield "erDiagram"
    names = _entity_names(diagram)
    for entity in diagram.entities:
        yield f'    "{names[entity.name]}" {{'
        for field in entity.fields:
            yield f"        {_attribute(field)}"
        yield "    }"
    for relation in diagram.relations:
        parent, child = "||" if relation.is_required else "|o", "o|" if relation.is_unique else "o{"
        label = NOT_IN_TEXT.sub("_", ", ".join(relation.columns))
        yield f'    "{names[relation.parent]}" {parent}--{child} "{names[relation.child]}" : "{label}"'


def _entity_names(diagram: Diagram) -> dict[str, str]:
    """Return how Mermaid spells each table; two names that become one get a number."""
    originals = {entity.name for entity in diagram.entities}
    originals |= {name for it in diagram.relations for name in (it.child, it.parent)}
    clean = {name for name in originals if not NOT_IN_TEXT.search(name)}
    spelled = {name: name for name in clean}
    for name in sorted(originals - clean):
        base = candidate = NOT_IN_TEXT.sub("_", name)
        number = 1
        while candidate in spelled.values():
            number += 1
            candidate = f"{base} {number}"
        spelled[name] = candidate
    return spelled


def _attribute(field: Field) -> str:
    kind, name = _word(field.type or "any"), _word(field.name)
    notes = [] if name == field.name else [field.name]
    notes += [] if kind == (field.type or "any").replace(" ", "_") else [field.type]
    notes += ["NULL"] if field.nullable else []
    comment = f' "{NOT_IN_TEXT.sub("_", ", ".join(notes))}"' if notes else ""
    keys = f" {', '.join(field.keys)}" if field.keys else ""
    return f"{kind} {name}{keys}{comment}"


def _word(text: str) -> str:
    """Return a text as one word of an attribute, which begins with a letter or `_`."""
    word = re.sub(r"[^A-Za-z0-9_()\[\]]", "_", text)
    return f"_{word}" if KEY_WORD.match(word) or not re.match(r"[A-Za-z_]", word) else word
