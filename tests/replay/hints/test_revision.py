"""What the code of a revision knows of the values of columns."""

from __future__ import annotations

import base64
import gzip
import json
import time
from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.registry import dialect_by_name
from dormatory.replay.hints.revision import RevisionHints

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.sql.value_hints import ColumnHint, HintValue

HEAD = """
import json, gzip, base64, re, enum
import sqlalchemy as sa
from alembic import op

task = sa.table("task", sa.column("id"), sa.column("kind"))
NUMBERS = {"low": 1, "high": 2}
RENAMED = [("old", "new"), ("older", "newer")]

class Shade(enum.Enum):
    DARK = "d"
    LIGHT = "l"

def numbered(kind):
    return NUMBERS[kind]

def parsed(raw):
    return json.loads(raw or "{}")

"""
# Code of an upgrade, a column, and values that it holds as well.
COMPARED: dict[str, tuple[str, str, set[HintValue]]] = {
    "an equation": ("op.execute(task.update().where(task.c.kind == 'a').values(kind='b'))", "kind", {"a", "b"}),
    "an attribute of a row": ("for row in rows:\n    if row.kind == 'a':\n        pass", "kind", {"a"}),
    "a key of a row": ("if row['kind'] in ('a', 'b'):\n    pass", "kind", {"a", "b"}),
    "a place in a row": ("bind.execute(sa.text('SELECT id, kind FROM task'))\nrow[1] == 'a'", "kind", {"a"}),
    "a part of a row": (
        "for id_, sort in bind.execute(sa.select(task.c.id, task.c.kind)):\n    sort == 'a'",
        "kind",
        {"a"},
    ),
    "the keys of a mapping": ("value = NUMBERS[row.kind]", "kind", {"low", "high"}),
    "the keys of a mapping, asked for": ("value = NUMBERS.get(row.kind, 0)", "kind", {"low", "high"}),
    "a mapping in a function": ("value = numbered(row.kind)", "kind", {"low", "high"}),
    "a loop over pairs": (
        "for old, new in RENAMED:\n    op.execute(task.update().where(task.c.kind == old))",
        "kind",
        {"old", "older"},
    ),
    "a loop over a mapping": (
        "for name, number in NUMBERS.items():\n    op.execute(f\"UPDATE task SET n = {number} WHERE kind = '{name}'\")",
        "kind",
        {"low", "high"},
    ),
    "parameters": (
        "for o, n in RENAMED:\n    bind.execute(text('UPDATE task SET kind = :n WHERE kind = :o'), {'o': o, 'n': n})",
        "kind",
        {"old", "older", "new", "newer"},
    ),
    "a list": ("task.c.kind.in_(['a', 'b'])", "kind", {"a", "b"}),
    "a pattern": ("task.c.kind.like('x-%')", "kind", {"x-a", "x-b"}),
    "a regular expression": ("re.fullmatch(r'\\d+;(on|off)', row.kind)", "kind", {"0;on", "1;on"}),
    "a mark": ("first, second = row.kind.split('|')", "kind", {"one|two"}),
    "a beginning": ("row.kind.startswith('x-')", "kind", {"x-one"}),
    "a match": ("match row.kind:\n    case 'a' | 'b':\n        pass", "kind", {"a", "b"}),
    "a case": ("sa.case({'a': 1}, value=task.c.kind)", "kind", {"a"}),
    "a member of a class": ("row.kind == Shade.DARK.value", "kind", {"d"}),
}
# Code of an upgrade, and the only values of the column that it can read.
PARSED: dict[str, tuple[str, set[HintValue]]] = {
    "json": ("for row in rows:\n    json.loads(row.body)['size']['height']", {json.dumps({"size": {"height": "7"}})}),
    "json of a variable": (
        "data = parsed(row.body)\nfor item in data.get('items', []):\n    item['name']",
        {json.dumps({"items": [{"name": "7"}, {"name": "12"}]})},
    ),
    "json whose kinds differ": (
        "data = json.loads(row.body)\nif data['type'] == 'a':\n    pass",
        {json.dumps({"type": "7"}), json.dumps({"type": "a"})},
    ),
    "a list of json": ("[it['id'] for it in json.loads(row.body)]", {json.dumps([{"id": "7"}, {"id": "12"}])}),
    "json with keys that are listed": (
        (
            "data = json.loads(row.body)\nfor key in ['read', 'write']:\n"
            "    for name in data.get(key, {}).get('names', []):\n        print(name)"
        ),
        {json.dumps({key: {"names": ["7", "12"]} for key in ("read", "write")})},
    ),
    "json in a column that a helper is told": (
        (
            "def convert(table, column):\n    t = sa.table(table, sa.column(column))\n"
            "    for id_, raw in bind.execute(sa.select(t.c.id, t.c[column])):\n        json.loads(raw)\n"
            "convert('task', 'head')\nconvert('task', 'body')"
        ),
        {json.dumps("7")},
    ),
    "packed json": (
        "json.loads(gzip.decompress(base64.b64decode(row.body)).decode())['a']",
        {base64.b64encode(gzip.compress(b'{"a": "7"}', mtime=0))},
    ),
    "json in SQL": ("op.execute(\"UPDATE task SET a = json_extract(body, '$.a.b')\")", {'{"a": {"b": "7"}}'}),
    "a number": ("int(row.body)", {"7", "12"}),
    "a time": ("datetime.strptime(row.body, '%d.%m.%Y')", {"02.07.2024"}),
}
LABELLED = {
    "create_table": "op.create_table('task', sa.Column('id', sa.Text), sa.Column('shade', sa.Enum('DARK', 'LIGHT')))",
    "a type with a name": "type_ = sa.Enum('DARK', 'LIGHT')\nop.create_table('task', sa.Column('shade', type_))",
    "add_column": "op.add_column('task', sa.Column('shade', sa.Enum(Shade, name='shade'), nullable=True))",
    "a batch": "with op.batch_alter_table('task') as b:\n  b.add_column(sa.Column('shade', sa.Enum('DARK', 'LIGHT')))",
    "a change of type": "op.alter_column('task', 'shade', type_=sa.Enum('DARK', 'LIGHT'), existing_type=sa.Text())",
    "the values of a class": (
        "LABELS = lambda it: [member.value for member in it]\n"
        "op.add_column('task', sa.Column('shade', sa.Enum(Shade, values_callable=LABELS)))"
    ),
}


def hints_of(directory: Path, *upgrades: str, downgrade: str = "pass") -> RevisionHints:
    """Return the hints for a history with these upgrades, whose revisions are 0, 1, ..."""
    for number, upgrade in enumerate(upgrades):
        body = indent(f"bind = op.get_bind(); rows = bind.execute(sa.text(''))\n{upgrade}", "    ")
        functions = f"def upgrade():\n{body}\n\ndef downgrade():\n{indent(downgrade, '    ')}\n"
        (directory / f"{number}.py").write_text(dedent(HEAD) + functions)
    order = [str(number) for number in range(len(upgrades))]
    return RevisionHints(order, lambda revision: str(directory / f"{revision}.py"), dialect_by_name("sqlite"))


def values_of(hints: tuple[ColumnHint, ...], column: str, *, exclusive: bool) -> set[HintValue]:
    return {
        value
        for hint in hints
        if hint.column == column and hint.is_exclusive is exclusive and "task" in hint.tables
        for value in hint.values
    }


@pytest.mark.parametrize("case", COMPARED)
def test_literals_become_values_of_the_columns_they_are_about(tmp_path: Path, case: str) -> None:
    upgrade, column, expected = COMPARED[case]

    hints = hints_of(tmp_path, f"{upgrade}\nname = 'task'")

    assert expected <= values_of(hints.before_upgrade("0"), column, exclusive=False)


@pytest.mark.parametrize("case", PARSED)
def test_a_column_that_the_code_parses_holds_what_it_accepts(tmp_path: Path, case: str) -> None:
    upgrade, expected = PARSED[case]

    hints = hints_of(tmp_path, f"{upgrade}\nname = 'task'")

    assert values_of(hints.before_upgrade("0"), "body", exclusive=True) == expected
    assert values_of(hints.before_downgrade("0"), "body", exclusive=True) == expected


def test_names_that_are_bound_in_terms_of_each_other_are_read_once(tmp_path: Path) -> None:
    steps = [f"{one} = {other}.pop('x')" for one in "bcdefghij" for other in "bcdefghij"]
    code = "\n".join(["a = json.loads(row.body)", "a['size'] == 'big'", *steps, "name = 'task'"])
    hints = hints_of(tmp_path, code)

    started = time.process_time()
    found = values_of(hints.before_upgrade("0"), "body", exclusive=True)

    assert time.process_time() - started < 2
    assert found == {json.dumps({"size": "7"}), json.dumps({"size": "big"})}


@pytest.mark.parametrize("write", ["task.update().values(body=1)", "op.execute('UPDATE task SET id = 1, body = 2')"])
def test_what_the_upgrade_parses_and_writes_holds_anything_after_it(tmp_path: Path, write: str) -> None:
    hints = hints_of(tmp_path, f"int(row.body)\n{write}")

    assert values_of(hints.before_upgrade("0"), "body", exclusive=True) == {"7", "12"}
    assert values_of(hints.before_downgrade("0"), "body", exclusive=True) == set()


@pytest.mark.parametrize("case", LABELLED)
def test_labels_of_an_earlier_revision_are_the_only_values(tmp_path: Path, case: str) -> None:
    hints = hints_of(tmp_path, LABELLED[case], "pass", "op.alter_column('task', 'shade', type_=sa.Text())", "pass")
    labels = {"d", "l"} if "values" in case else {"DARK", "LIGHT"}

    found = [values_of(hints.before_upgrade(str(number)), "shade", exclusive=True) for number in range(4)]

    assert found == [set(), labels, labels, set()]


JSON_COLUMNS = (
    "from shop.types import JSONField\nop.create_table('task', sa.Column('body', JSONField()))",
    "import shop.types\nop.add_column('task', sa.Column('body', shop.types.JSONEncodedDict, nullable=True))",
    "with op.batch_alter_table('task') as b:\n  b.add_column(sa.Column('body', utils.JSONType(none_as_null=True)))",
)


@pytest.mark.parametrize("upgrade", JSON_COLUMNS)
def test_a_column_of_a_type_that_keeps_json_as_text_holds_json(tmp_path: Path, upgrade: str) -> None:
    reads = "for row in rows:\n    json.loads(row.body)['size']\nname = 'task'"
    hints = hints_of(tmp_path, upgrade, "pass", reads, "op.alter_column('task', 'body', type_=sa.JSON())", "pass")

    found = [values_of(hints.before_upgrade(str(number)), "body", exclusive=True) for number in (0, 1, 3, 4)]

    assert all(json.loads(str(text)) is not None for text in found[1])
    assert found == [set(), found[1], found[1], set()]
    assert found[1]
    assert [it.values for it in hints.before_upgrade("2") if it.column == "body"][-1] == ('{"size": "7"}',)


@pytest.mark.parametrize("name", ["name", "", "NAMES[0], name"])
def test_a_column_whose_name_is_not_known_gives_no_labels(tmp_path: Path, name: str) -> None:
    code = (
        f"for name in rows:\n  with op.batch_alter_table('task') as b:\n    b.alter_column({name}, type_=sa.Enum('A'))"
    )
    hints = hints_of(tmp_path, code, "pass")

    assert values_of(hints.before_upgrade("1"), "shade", exclusive=True) == set()


def test_a_table_that_the_code_describes_holds_the_labels_it_can_read(tmp_path: Path) -> None:
    hints = hints_of(tmp_path, "t = sa.table('task', sa.column('shade', sa.Enum(Shade)))\nbind.execute(sa.select(t))")

    assert values_of(hints.before_upgrade("0"), "shade", exclusive=True) == {"DARK", "LIGHT"}


def test_values_of_the_other_direction_are_tried_as_well(tmp_path: Path) -> None:
    hints = hints_of(tmp_path, "pass", downgrade="op.execute(\"UPDATE task SET kind = 'a' WHERE kind = 'b'\")")

    assert values_of(hints.before_upgrade("0"), "kind", exclusive=False) == {"a", "b"}
    assert values_of(hints.before_downgrade("0"), "kind", exclusive=False) == {"a", "b"}


def test_the_name_of_a_dialect_is_no_value(tmp_path: Path) -> None:
    hints = hints_of(tmp_path, "if bind.dialect.name == 'sqlite':\n    op.execute('DELETE FROM task')")

    assert values_of(hints.before_upgrade("0"), "name", exclusive=False) == set()
