"""What an upgrade makes differently in another environment, and what only looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.replay.replay import replay_history
from tests.replay.recordings import unclean_legs
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from dormatory.backends.parts import ScratchMaker
    from dormatory.recording.model import EnvironmentDependence
    from tests.conftest import SmallProject

CREATE = """op.create_table('lot', sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('seconds', sa.SmallInteger, nullable=False), sa.Column('at', sa.DateTime))"""
ADD = "op.add_column('lot', sa.Column('found', sa.String(80)))"
DROP = """
with op.batch_alter_table('lot') as batch:
    batch.drop_column('found')
"""
BACKFILL = """
rows = op.get_bind().execute(sa.text('SELECT id, seconds FROM lot')).all()
for id_, seconds in rows:
    op.get_bind().execute(sa.text('UPDATE lot SET found = :found WHERE id = :id'), {{'id': id_, 'found': str({value})}})
"""
DEPENDENT = {
    "local time": "datetime.fromtimestamp(abs(seconds))",
    "the user": "getpass.getuser()",
    "the environment": "os.environ.get('LANG')",
    "a hash": "hash(str(seconds))",
    "the first of a set": "next(iter({'a', 'b', 'c'}))",
}
INDEPENDENT = {
    "now": "datetime.now()",
    "today": "datetime.today()",
    "seconds since 1970": "int(time.time()) // 600 * 600 + len(os.environ.get('TZ', ''))",  # as if some had passed
    "milliseconds since 1970": "int(time.time()) // 600 * 600_000 + len(os.environ.get('TZ', ''))",
    "chance": "uuid.uuid4()",
    "a time zone of its own": "datetime.fromtimestamp(abs(seconds), tz=timezone.utc)",
    "a sorted set": "sorted({'a', 'b', 'c'})",
    "membership in a set": "'a' in {'a', 'b'}",
}
IMPORTS = "import getpass, os, time, uuid\nfrom datetime import datetime, timezone"


@pytest.fixture(params=BACKENDS)
def maker(request: pytest.FixtureRequest) -> ScratchMaker:
    """A maker of scratch databases, once per backend."""
    return scratch_maker(request.param, request)


def dependences(
    project: SmallProject, maker: ScratchMaker, upgrade: str, downgrade: str
) -> tuple[EnvironmentDependence, ...]:
    """Return what the upgrade of a revision makes differently elsewhere; its round trip must be clean."""
    project.write_revision("001", CREATE, "op.drop_table('lot')")
    project.write_revision("002", upgrade, downgrade, extra=IMPORTS)
    recording = replay_history(project.project, maker)
    assert not unclean_legs(recording)
    return recording.steps[1].dependences


@pytest.mark.parametrize("case", DEPENDENT)
def test_values_that_the_machine_decides_are_found(small_project: SmallProject, maker: ScratchMaker, case: str) -> None:
    found = dependences(small_project, maker, ADD + BACKFILL.format(value=DEPENDENT[case]), DROP)

    assert [it.object for it in found] == ["column lot.found"]
    assert found[0].line > 0


@pytest.mark.parametrize("case", INDEPENDENT)
def test_values_of_the_moment_and_fixed_ones_are_left_alone(
    small_project: SmallProject, maker: ScratchMaker, case: str
) -> None:
    assert dependences(small_project, maker, ADD + BACKFILL.format(value=INDEPENDENT[case]), DROP) == ()


@pytest.mark.parametrize(("names", "found"), [("{'a', 'b', 'c'}", ["column lot_kind.id"]), ("['a', 'b', 'c']", [])])
def test_numbers_given_in_the_order_of_a_set_are_found(
    small_project: SmallProject, maker: ScratchMaker, names: str, found: list[str]
) -> None:
    create = "op.create_table('lot_kind', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.Text))"
    insert = "INSERT INTO lot_kind (id, name) VALUES (:id, :name)"
    values = f"[dict(id=id, name=name) for id, name in enumerate({names}, 1)]"
    fill = f"op.get_bind().execute(sa.text({insert!r}), {values})"

    assert [
        it.object for it in dependences(small_project, maker, f"{create}\n{fill}", "op.drop_table('lot_kind')")
    ] == found


def test_values_that_stand_together_because_of_random_keys_are_left_alone(
    small_project: SmallProject, maker: ScratchMaker
) -> None:
    columns = (
        "sa.Column('id', sa.String(36), primary_key=True), sa.Column('name', sa.Text), sa.Column('place', sa.Integer)"
    )
    values = "[dict(id=str(uuid.uuid4()), name=name) for name in {'a', 'b', 'c', 'd', 'e'}]"
    upgrade = f"""
op.create_table('kind', {columns})
bind = op.get_bind()
bind.execute(sa.text('INSERT INTO kind (id, name) VALUES (:id, :name)'), {values})
for place, (id,) in enumerate(bind.execute(sa.text('SELECT id FROM kind ORDER BY id')).all()):
    bind.execute(sa.text('UPDATE kind SET place = :place WHERE id = :id'), dict(place=place, id=id))
"""
    assert dependences(small_project, maker, upgrade, "op.drop_table('kind')") == ()


def test_an_index_named_by_a_hash_is_found(small_project: SmallProject, maker: ScratchMaker) -> None:
    create = "op.create_index(f'ix_{abs(hash(\"lot\"))}', 'lot', ['seconds'])"
    drop = "op.drop_index(sa.inspect(op.get_bind()).get_indexes('lot')[0]['name'], 'lot')"

    found = dependences(small_project, maker, create, drop)

    assert "ix_" in found[0].what


@pytest.mark.parametrize(("using", "expected"), [("at", ["column lot.at"]), ("at AT TIME ZONE 'UTC'", [])])
def test_a_time_that_gets_its_zone_from_the_session_is_found(
    small_project: SmallProject, request: pytest.FixtureRequest, using: str, expected: list[str]
) -> None:
    upgrade = f"op.alter_column('lot', 'at', type_=sa.DateTime(timezone=True), postgresql_using={using!r})"
    downgrade = "op.alter_column('lot', 'at', type_=sa.DateTime(), postgresql_using=\"at AT TIME ZONE 'UTC'\")"
    if using == "at":
        downgrade = "op.alter_column('lot', 'at', type_=sa.DateTime())"

    found = dependences(small_project, scratch_maker("postgresql", request), upgrade, downgrade)

    assert [it.object for it in found] == expected


def test_local_time_in_a_statement_is_found(small_project: SmallProject, request: pytest.FixtureRequest) -> None:
    update = "op.execute(\"UPDATE lot SET found = datetime(seconds, 'unixepoch', 'localtime')\")"

    found = dependences(small_project, scratch_maker("sqlite", request), f"{ADD}; {update}", DROP)

    assert [it.object for it in found] == ["column lot.found"]
