"""A revision's findings are the same whether the whole history is played or the revision alone, by any command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.data import check_data_loss
from dormatory.checks.finding import Severity
from dormatory.checks.registry import FAMILIES, RULES
from dormatory.checks.roundtrip import check_round_trip
from dormatory.checks.row_failures import check_assumptions
from dormatory.commands.check import CheckRequest, check_project
from dormatory.project.history import History
from dormatory.replay.replay import replay_history
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dormatory.checks.finding import Finding
    from tests.conftest import SmallProject

Words = tuple[str, str, str | None, str, str, str]
ROUND_TRIP = frozenset({"roundtrip", "data"})
TABLES = """
op.create_table(
    "guest",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(60), nullable=False, unique=True),
    sa.Column("phone", sa.String(30)),
    sa.Column("stay", sa.Numeric(12, 4)),
)
op.create_table(
    "room",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("guest_id", sa.Integer, sa.ForeignKey("guest.id", name="fk_room_guest")),
    sa.Column("label", sa.Text),
)
"""
DROP_TABLES = 'op.drop_table("room")\nop.drop_table("guest")'
# After each kind of finding comes a revision that works on what the one before it made.
STEPS = (
    ('op.add_column("guest", sa.Column("nick", sa.String(20)))', 'op.drop_column("guest", "nick")'),
    ('op.execute("UPDATE guest SET nick = upper(nick)")', "pass"),
    ('op.create_index("ux_guest_nick", "guest", ["nick"], unique=True)', 'op.drop_index("ux_guest_nick", "guest")'),
    ('op.execute("DELETE FROM room WHERE label IS NULL")', "pass"),
    (
        'with op.batch_alter_table("guest") as batch: batch.alter_column("stay", type_=sa.Numeric(6, 1))',
        'with op.batch_alter_table("guest") as batch: batch.alter_column("stay", type_=sa.Numeric(12, 4))',
    ),
    (
        'with op.batch_alter_table("room") as batch: batch.alter_column("label", nullable=False)',
        'with op.batch_alter_table("room") as batch: batch.alter_column("label", nullable=True)',
    ),
    ('op.create_table("tag", sa.Column("id", sa.Integer, primary_key=True))', "pass"),
    ("op.execute(\"UPDATE room SET label = 'x' || label\")", "op.execute(\"UPDATE nothing SET label = ''\")"),
    ('op.add_column("room", sa.Column("floor", sa.Integer, nullable=False))', 'op.drop_column("room", "floor")'),
)


@pytest.fixture
def faulty(small_project: SmallProject) -> SmallProject:
    """A history most revisions of which are wrong, each in another way."""
    small_project.write_revision("001", TABLES, DROP_TABLES)
    for number, (upgrade, downgrade) in enumerate(STEPS, start=2):
        small_project.write_revision(f"{number:03d}", upgrade, downgrade)
    return small_project


def words(findings: Iterable[Finding], revisions: Collection[str | None]) -> list[Words]:
    """Return all that a reader sees of the findings of some revisions."""
    return sorted(
        (it.rule, it.severity.name, it.revision, str(it.location), it.message, it.hint)
        for it in findings
        if it.revision in revisions
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_revision_alone_says_what_it_says_in_its_history(
    faulty: SmallProject, backend: str, request: pytest.FixtureRequest
) -> None:
    maker, history = scratch_maker(backend, request), History.read(faulty.project)

    def findings(only: Collection[str] | None = None) -> list[Finding]:
        recording = replay_history(faulty.project, maker, history=history, only=only)
        return [
            *check_round_trip(recording, history),
            *check_data_loss(recording, history),
            *check_assumptions([recording], history),
        ]

    whole = findings()
    for item in history.revisions:
        assert words(findings({item.id}), {item.id}) == words(whole, {item.id}), item.id
    assert {it.rule for it in whole} >= {"trace", "rows-deleted", "upgrade-fails-on-rows", "downgrade-fails"}


def test_the_check_and_the_round_trip_say_the_same(faulty: SmallProject) -> None:
    def findings(families: frozenset[str]) -> list[Words]:
        found = check_project(faulty.project, CheckRequest(BACKENDS, families))[0].findings
        return words((it for it in found if RULES[it.rule].family in ROUND_TRIP), {it.revision for it in found})

    assert findings(frozenset(FAMILIES)) == findings(ROUND_TRIP) != []


@pytest.mark.parametrize("is_separate", [False, True], ids=["in-one-revision", "in-two-revisions"])
def test_a_key_that_is_validated_later_is_judged_as_one_validated_at_once(
    small_project: SmallProject, request: pytest.FixtureRequest, *, is_separate: bool
) -> None:
    tables = """
    op.create_table("room", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table("stay", sa.Column("id", sa.Integer, primary_key=True), sa.Column("room", sa.Integer))
    """
    key = "FOREIGN KEY (room) REFERENCES room (id) NOT VALID"
    add = f'op.execute("ALTER TABLE stay ADD CONSTRAINT fk_stay {key}")'
    validate = 'op.execute("ALTER TABLE stay VALIDATE CONSTRAINT fk_stay")'
    drop = 'op.execute("ALTER TABLE stay DROP CONSTRAINT fk_stay")'
    small_project.write_revision("001", tables, 'op.drop_table("stay")\nop.drop_table("room")')
    small_project.write_revision("002", add if is_separate else f"{add}\n{validate}", drop)
    small_project.write_revision("003", validate if is_separate else "pass")

    recording = replay_history(small_project.project, scratch_maker("postgresql", request))
    history = History.read(small_project.project)
    (found,) = (*check_round_trip(recording, history), *check_data_loss(recording, history))

    assert (found.rule, found.severity, found.revision) == ("rows-refused", Severity.NOTE, "002")
    assert "fk_stay" in found.message
