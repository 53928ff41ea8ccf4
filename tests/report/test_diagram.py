"""Diagrams as text: relations, and names that a format does not accept."""

from __future__ import annotations

import re

import pytest

from dormatory.errors import UnknownFormatError
from dormatory.report.diagram.dot import dot_text
from dormatory.report.diagram.formats import diagram_writer
from dormatory.report.diagram.mermaid import mermaid_text
from dormatory.schema.diagram import Diagram, Entity, Field, TableRelation

ROOM = Entity("room", (Field("id", "integer", nullable=False, keys=("PK",)),))
BED = Entity("bed", (Field("room", "character varying(30)", nullable=True, keys=("FK", "UK")),))
STRANGE = Diagram(
    (
        Entity(
            'a "b"\n%%{init}%% <b>',
            (
                Field('pk "1"', "numeric(10,2)", nullable=False),
                Field("Pk", "text", nullable=False),
                Field("Größe", "", nullable=False),
            ),
        ),
        Entity("a _b_", ()),
        Entity("a %b%", ()),
    ),
    (),
)  # fmt: skip
# The grammar of Mermaid's erDiagram for one line of a table.
ATTRIBUTE = re.compile(
    r'        [A-Za-z_][\w\[\]()-]* [A-Za-z_][\w\[\]()-]*( (PK|FK|UK)(, (PK|FK|UK))*)?( "[^"]*")?', re.ASCII
)


@pytest.mark.parametrize(
    ("is_unique", "is_required", "ends"),
    [(True, True, "||--o|"), (True, False, "|o--o|"), (False, True, "||--o{"), (False, False, "|o--o{")],
)
def test_mermaid_shows_how_many_rows_refer_to_how_many(ends: str, *, is_unique: bool, is_required: bool) -> None:
    relation = TableRelation("bed", ("room",), "room", is_unique=is_unique, is_required=is_required)
    assert mermaid_text(Diagram((BED, ROOM), (relation,))).splitlines() == [
        "erDiagram",
        '    "bed" {',
        '        character_varying(30) room FK, UK "NULL"',
        "    }",
        '    "room" {',
        "        integer id PK",
        "    }",
        f'    "room" {ends} "bed" : "room"',
    ]


def test_mermaid_gets_only_names_that_it_accepts_and_no_two_tables_of_one_name() -> None:
    lines = mermaid_text(STRANGE).splitlines()
    tables = [line for line in lines if line.endswith("{")]
    assert tables == ['    "a _b____{init}__ <b>" {', '    "a _b_" {', '    "a _b_ 2" {']
    attributes = [line for line in lines if line.startswith("        ")]
    assert attributes == [
        '        numeric(10_2) pk__1_ "pk _1_, numeric(10,2)"',
        '        text _Pk "Pk"',
        '        any Gr__e "Größe"',
    ]
    assert all(ATTRIBUTE.fullmatch(line) for line in attributes)


def test_dot_escapes_names() -> None:
    text = dot_text(STRANGE)
    assert '"a \\"b\\"\ufffd%%{init}%% <b>" [label=<' in text
    assert "<b>a &quot;b&quot;\ufffd%%{init}%% &lt;b&gt;</b>" in text
    assert "<b>a &quot;b&quot;\ufffd%%{init}%% <b>" not in text


def test_dot_shows_how_many_rows_refer_to_how_many() -> None:
    relation = TableRelation("bed", ("room",), "room", is_unique=False, is_required=True)
    text = dot_text(Diagram((BED, ROOM), (relation,)))
    assert '"bed" -> "room" [label=<room>, arrowtail=crowodot, arrowhead=teetee];' in text


def test_a_format_that_there_is_not_is_an_error() -> None:
    with pytest.raises(UnknownFormatError, match="the formats are mermaid, dot"):
        diagram_writer("png")
