"""Revisions that catch the error of a statement and go on: what that leaves is said at the statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.roundtrip import check_round_trip
from dormatory.project.history import History
from dormatory.replay.replay import replay_history
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding
    from tests.conftest import Inv, SmallProject

ROOMS = "op.create_table('room', sa.Column('id', sa.BigInteger, primary_key=True), sa.Column('size', sa.Integer))"
DROP = "op.drop_index('ix_nowhere', table_name='room')"
HELPER = f"""
def quietly(action):
    try:
        action()
    except Exception:
        pass
def drop():
    {DROP}
"""
SWALLOWED = {
    "try": f"try:\n    {DROP}\nexcept Exception: pass",
    "suppress": f"with __import__('contextlib').suppress(Exception):\n    {DROP}",
    "helper": "quietly(drop)",
    "goes on": f"try:\n    {DROP}\nexcept Exception: pass\nop.execute('SELECT 1')",
    "after a savepoint": f"quietly(op.get_bind().begin_nested().rollback)\ntry:\n    {DROP}\nexcept Exception: pass",
}
APART = {
    "savepoint": f"try:\n    with op.get_bind().begin_nested():\n        {DROP}\nexcept Exception: pass",
    "autocommit block": "with op.get_context().autocommit_block():\n    quietly(drop)",
}
NOT_NULL = "batch.alter_column('size', existing_type=sa.Integer(), nullable={})"
REQUIRE = f"""
try:
    with op.get_bind().begin_nested(), op.batch_alter_table('room') as batch:
        {NOT_NULL.format(False)}
except Exception:
    pass
"""
ALLOW = f"with op.batch_alter_table('room') as batch:\n    {NOT_NULL.format(True)}"


def found_in(project: SmallProject, request: pytest.FixtureRequest, backend: str) -> list[Finding]:
    """Return what a replay finds."""
    recording = replay_history(project.project, scratch_maker(backend, request))
    return list(check_round_trip(recording, History.read(project.project)))


@pytest.mark.parametrize("name", SWALLOWED)
def test_a_transaction_that_accepts_nothing_any_more_is_said_at_what_failed(
    small_project: SmallProject, inv: Inv, request: pytest.FixtureRequest, name: str
) -> None:
    small_project.write_revision("001", ROOMS, "op.drop_table('room')")
    file = small_project.write_revision("002", SWALLOWED[name], extra=HELPER)

    (found,) = found_in(small_project, request, "postgresql")
    assert found.rule == "upgrade-fails"
    assert 'accepts nothing any more: UndefinedObject: index "ix_nowhere" does not exist' in found.message
    assert "ix_nowhere" in file.read_text().splitlines()[found.location.line - 1]

    url = request.getfixturevalue("postgres_server").create_database().sqlalchemy_url()
    ended = inv("db.upgrade", url=url.render_as_string(hide_password=False))
    assert (ended.code, f"failed at scripts/versions/{file.name}:{found.location.line} (it catches" in ended.err) == (
        3,
        True,
    ), ended
    assert "database is at" not in ended.out


@pytest.mark.parametrize("name", SWALLOWED)
def test_where_it_breaks_no_transaction_nothing_is_found(
    small_project: SmallProject, request: pytest.FixtureRequest, name: str
) -> None:
    small_project.write_revision("001", ROOMS, "op.drop_table('room')")
    small_project.write_revision("002", SWALLOWED[name], extra=HELPER)
    assert found_in(small_project, request, "sqlite") == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", APART)
def test_a_statement_that_is_kept_apart_may_fail(
    small_project: SmallProject, request: pytest.FixtureRequest, name: str, backend: str
) -> None:
    small_project.write_revision("001", ROOMS, "op.drop_table('room')")
    small_project.write_revision("002", APART[name], extra=HELPER)
    assert found_in(small_project, request, backend) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_change_that_is_left_out_where_rows_refuse_it_is_found(
    small_project: SmallProject, request: pytest.FixtureRequest, backend: str
) -> None:
    small_project.write_revision("001", ROOMS, "op.drop_table('room')")
    small_project.write_revision("002", REQUIRE, ALLOW)
    (found,) = found_in(small_project, request, backend)
    assert found.rule == "upgrade-fails-on-rows"
    assert "fails where size of room is NULL" in found.message
    assert "then has another schema than without such rows" in found.message
