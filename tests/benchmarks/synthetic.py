"""Synthetic histories: ordinary Alembic projects of any length, the same each time, for all tools."""

from __future__ import annotations

import contextlib
import hashlib
import io
from random import Random
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

from tests.benchmarks.synthetic_moves import MOVES
from tests.benchmarks.synthetic_steps import STRUCTURE, create_table
from tests.benchmarks.synthetic_world import Change, SyntheticSchema

if TYPE_CHECKING:
    from pathlib import Path

_SEED = 20261122
_FIRST_TABLE_COUNT = 4  # tables that a project starts with, before anything can be changed
_REVISION_TEMPLATE = '''\
"""{title}

Revision ID: {revision}
Revises: {parent}
Create Date: 2026-01-01 12:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


# revision identifiers, used by Alembic.
revision: str = {revision!r}
down_revision: Union[str, Sequence[str], None] = {parent!r}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    {upgrade}


def downgrade() -> None:
    """Downgrade schema."""
    {downgrade}
'''
# What pytest-alembic's manual requires of an env.py, and what every project sets in it.
_ENV_PY_CHANGES = {
    "target_metadata = None": "from models import metadata as target_metadata",
    "connectable = engine_from_config(": 'connectable = config.attributes.get("connection") or engine_from_config(',
}


def write_history(directory: Path, revisions: int) -> Path:
    """Write a project as `alembic init` makes it, with a history of so many revisions, and return its ini file."""
    ini = directory / "alembic.ini"
    with contextlib.redirect_stdout(io.StringIO()):
        command.init(Config(str(ini)), str(directory / "migrations"))
    _replace(directory / "migrations" / "env.py", _ENV_PY_CHANGES)
    schema = SyntheticSchema(Random(_SEED))  # noqa: S311  # no secret: the same history each time
    parent: str | None = None
    for number in range(revisions):
        change = create_table(schema) if number < _FIRST_TABLE_COUNT else _random_change(schema)
        parent = _write_revision(directory / "migrations" / "versions", number, change, parent)
    models = "\n\n".join(table.model_source() for table in schema.tables)
    imports = "import sqlalchemy as sa\nfrom sqlalchemy.dialects import postgresql"
    (directory / "models.py").write_text(f"{imports}\n\nmetadata = sa.MetaData()\n\n{models}")
    return ini


def _replace(file: Path, changes: dict[str, str]) -> None:
    text = file.read_text()
    for old, new in changes.items():
        if text.count(old) != 1:
            raise AssertionError(f"Alembic's own env.py no longer says {old}")
        text = text.replace(old, new)
    file.write_text(text)


def _random_change(schema: SyntheticSchema) -> Change:
    """Return some change that the tables allow."""
    kinds = (*STRUCTURE, *MOVES)
    while True:
        change = schema.rng.choices(kinds, [weight for weight, _ in kinds])[0][1](schema)
        if change is not None:
            return change


def _write_revision(versions: Path, number: int, change: Change, parent: str | None) -> str:
    """Write one revision's file as Alembic lays it out, and return its identifier."""
    revision = hashlib.sha256(f"{number} {change.title}".encode()).hexdigest()[:12]
    slug = change.title.replace(" ", "_")[:40]
    text = _REVISION_TEMPLATE.format(
        title=change.title.capitalize(),
        revision=revision,
        parent=parent,
        upgrade="\n    ".join(change.upgrade),
        downgrade="\n    ".join(change.downgrade),
    )
    (versions / f"{revision}_{slug}.py").write_text(text.replace("\nRevises: None\n", "\nRevises: \n"))
    return revision
