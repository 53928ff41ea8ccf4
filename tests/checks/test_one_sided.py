"""What a revision makes for one backend on purpose is told from what only came out differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest

from dormatory.checks.source import read_revision
from dormatory.checks.source.one_sided import OneSidedObjects
from tests.checks.file_examples import revision_script

if TYPE_CHECKING:
    from collections.abc import Mapping

Sides: TypeAlias = "Mapping[str, str | None]"
ON_POSTGRESQL = 'if op.get_bind().dialect.name == "postgresql":'
GIN = "CREATE INDEX ix_lid ON box USING gin (lid)"
INDEX = 'op.create_index("ix_lid", "box", ["lid"])'
VARIANT = 'sa.String(9).with_variant(sa.String(9, collation="NOCASE"), "sqlite")'
POSTGRESQL, SQLITE = {"sqlite": None, "postgresql": "(lid)"}, {"sqlite": "(lid)", "postgresql": None}
BOTH: Sides = {"sqlite": "(lid)", "postgresql": "USING gin (lid)"}

MEANT = {
    "an index": (f'{ON_POSTGRESQL}\n    op.create_index("ix_lid", "box", ["lid"])', "ix_lid", "", POSTGRESQL),
    "after a return": (
        f'{ON_POSTGRESQL}\n    return\nwith op.batch_alter_table("box") as b:\n    b.create_index("ix_lid", ["lid"])',
        "ix_lid",
        "",
        SQLITE,
    ),
    "in SQL": (
        f'NAME = "stamp_box"\n{ON_POSTGRESQL}\n    op.execute(sa.text(f"CREATE TRIGGER {{NAME}} AFTER INSERT ON box"))',
        "stamp_box",
        "",
        POSTGRESQL,
    ),
    "a constraint in SQL": (
        f"{ON_POSTGRESQL}\n    op.execute('ALTER TABLE box ADD CONSTRAINT \"ck_lid\" CHECK (lid > 0)')",
        "ck_lid",
        "",
        POSTGRESQL,
    ),
    "a column": (
        f'{ON_POSTGRESQL}\n    op.add_column("box", sa.Column("search", sa.Text()))',
        "box.search",
        "",
        POSTGRESQL,
    ),
    "a column in SQL": (
        f'{ON_POSTGRESQL}\n    op.execute("ALTER TABLE box ADD COLUMN search tsvector")',
        "box.search",
        "",
        POSTGRESQL,
    ),
    "dropped elsewhere": (
        f'op.create_index("ix_lid", "box", ["lid"])\n{ON_POSTGRESQL}\n    op.drop_index("ix_lid", "box")',
        "ix_lid",
        "",
        SQLITE,
    ),
    "each its own": (
        f'{ON_POSTGRESQL}\n    op.execute("{GIN}")\nelse:\n    {INDEX}',
        "ix_lid",
        "",
        BOTH,
    ),
    "a variant": (
        'op.create_table("box", sa.Column("tags", sa.JSON().with_variant(ARRAY(sa.Text()), "postgresql")))',
        "box.tags",
        "type",
        BOTH,
    ),
    "a variant by name": (
        f'NAME = {VARIANT}\nwith op.batch_alter_table("box") as b:\n    b.alter_column("label", type_=NAME)',
        "box.label",
        "collation",
        BOTH,
    ),
}
UNMEANT = {
    "made everywhere": ('op.create_index("ix_lid", "box", ["lid"])', "ix_lid", "", POSTGRESQL),
    "made there once more": (
        f'op.create_index("ix_lid", "box", ["lid"])\n{ON_POSTGRESQL}\n    op.create_index("ix_lid", "box", ["lid"])',
        "ix_lid",
        "",
        POSTGRESQL,
    ),
    "made on the other one": (f'{ON_POSTGRESQL}\n    op.create_index("ix_lid", "box", ["lid"])', "ix_lid", "", SQLITE),
    "another name": (f'{ON_POSTGRESQL}\n    op.create_index("ix_top", "box", ["lid"])', "ix_lid", "", POSTGRESQL),
    "another condition": (
        'if sa.inspect(op.get_bind()).has_table("box"):\n    op.create_index("ix_lid", "box", ["lid"])',
        "ix_lid",
        "",
        POSTGRESQL,
    ),
    "made alike on each": (
        f'{ON_POSTGRESQL}\n    {INDEX[:-1]}, postgresql_using="gin")\nelse:\n    op.execute("{GIN}")',
        "ix_lid",
        "",
        BOTH,
    ),
    "one made for both": (
        f'{ON_POSTGRESQL}\n    op.create_index("ix_lid", "box", ["lid"], postgresql_using="hash")',
        "ix_lid",
        "",
        BOTH,
    ),
    "a predicate for one": (
        'op.create_index("ix_lid", "box", ["lid"], sqlite_where=sa.text("lid > 0"))',
        "ix_lid",
        "",
        BOTH,
    ),
    "a type without a variant": (
        f'{ON_POSTGRESQL}\n    op.alter_column("box", "tags", type_=sa.Text())',
        "box.tags",
        "type",
        BOTH,
    ),
    "a variant for others": (
        'op.add_column("box", sa.Column("tags", sa.JSON().with_variant(TEXT(), "mysql")))',
        "box.tags",
        "type",
        BOTH,
    ),
    "the variant of another column": (
        'op.create_table("box", sa.Column("tags", sa.JSON()), sa.Column("t", A().with_variant(B(), "sqlite")))',
        "box.tags",
        "type",
        BOTH,
    ),
    "nullability": (
        'op.add_column("box", sa.Column("tags", sa.JSON().with_variant(A(), "sqlite")))',
        "box.tags",
        "nullability",
        BOTH,
    ),
}


def is_meant(code: str, name: str, aspect: str, present: Sides) -> bool:
    script = revision_script("a1", upgrade=code)
    assert script.tree is not None
    assert script.revision is not None
    objects = OneSidedObjects.of([read_revision(script.tree, script.source, script.revision)])
    place = objects.intention(name, aspect, present)
    return place is not None and place.revision == "a1" and place.location.path == "versions/a1_step.py"


@pytest.mark.parametrize(("code", "name", "aspect", "present"), MEANT.values(), ids=MEANT)
def test_a_condition_on_the_dialect_is_a_purpose(code: str, name: str, aspect: str, present: Sides) -> None:
    assert is_meant(code, name, aspect, present)


@pytest.mark.parametrize(("code", "name", "aspect", "present"), UNMEANT.values(), ids=UNMEANT)
def test_what_only_came_out_so_is_none(code: str, name: str, aspect: str, present: Sides) -> None:
    assert not is_meant(code, name, aspect, present)
