"""The indexes that the text of a revision says it creates."""

from __future__ import annotations

import ast

import pytest

from dormatory.backends.registry import dialect_by_name
from dormatory.project.created_indexes import created_indexes


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("op.create_index('ix_a', 'a', ['id'])", {"ix_a"}),
        ("op.create_index(op.f('ix_a'), 'a', ['id'], postgresql_concurrently=True)", {"ix_a"}),
        ("op.create_index(index_name='ix_a', table_name='a', columns=['id'])", {"ix_a"}),
        ("op.execute('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix_a ON a (id)')", {"ix_a"}),
        ("op.execute('DROP INDEX ix_b; CREATE INDEX ix_a ON a (id)')", {"ix_a"}),
        ("op.drop_index('ix_a')", set()),
        ("op.execute('DROP INDEX ix_a')", set()),
        ("op.execute('COMMENT ON INDEX ix_a IS NULL')", set()),
        ("op.create_table('ix_a')", set()),
    ],
)
def test_what_creates_an_index_is_known_from_what_only_names_it(statement: str, names: set[str]) -> None:
    tree = ast.parse(f"def upgrade():\n    {statement}\n\ndef downgrade():\n    op.create_index('ix_c', 'a', ['id'])\n")
    assert created_indexes(tree, dialect_by_name("postgresql")) == names
