"""What a revision declares of the differences between the backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.commands.revision import write_revision

if TYPE_CHECKING:
    from tests.conftest import SmallProject

TICKET = """
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
metadata = sa.MetaData()
ticket = sa.Table("ticket", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("seat", sa.String(9)))
one_seat = postgresql.ExcludeConstraint(("id", "="), name="one_seat", using="btree").ddl_if(dialect="postgresql")
"""
KINDS = {
    "enumeration": (
        'ticket.append_column(sa.Column("state", sa.Enum("open", "paid", name="ticket_state")))',
        ["ticket.state: SQLite takes any text, as the models have no create_constraint=True"],
    ),
    "exclusion": (
        "ticket.append_constraint(one_seat)",
        ["one_seat: only on PostgreSQL (EXCLUDE USING btree (id WITH =)), as in the models"],
    ),
    "no difference": ('ticket.append_column(sa.Column("row", sa.Integer))', []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_difference_is_declared_once(small_project: SmallProject, kind: str) -> None:
    change, expected = KINDS[kind]
    small_project.write_env(TICKET, "environment.run(metadata)")
    write_revision(small_project.project, "Sell tickets", empty=False)
    declared = list[str]()
    for more in ("", "\nticket.append_column(sa.Column('gate', sa.Integer))"):
        small_project.write_env(f"{TICKET}{change}{more}", "environment.run(metadata)")
        file = write_revision(small_project.project, "Change the tickets", empty=False)
        assert file
        declared += [line for line in file.read_text().splitlines() if line.startswith("# parity: ")]
    assert declared == [f"# parity: {it}" for it in expected]
