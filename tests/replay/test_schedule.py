"""The halves of a long history are played in parallel, and the recording is that of a single run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from dormatory.errors import EnvironmentFailedError
from dormatory.recording.leg import Direction
from dormatory.recording.model import RouteKind
from dormatory.replay import replay
from dormatory.replay.replay import replay_history
from dormatory.runtime import scratch
from tests.replay.recordings import unclean_legs
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.backends.url import Target
    from dormatory.recording.model import Recording
    from tests.conftest import SmallProject

    ReplayFunction = Callable[..., Recording]

# How failures in the halves are combined does not depend on the backend.
ON_SQLITE_ONLY = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
TABLE_NAMES = ("a", "b", "c", "d")
REVISIONS = ("001", "002", "003", "004")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The backend's name."""
    return str(request.param)


@pytest.fixture
def in_halves(
    backend: str, small_project: SmallProject, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> ReplayFunction:
    """Replay the small project, whose four revisions are enough to be split."""
    monkeypatch.setattr(replay, "_MIN_REVISIONS_TO_SPLIT", 4)
    small_project.write_table_revisions(*TABLE_NAMES)

    def replay_with(**options: Any) -> Recording:
        return replay_history(small_project.project, scratch_maker(backend, request), **options)

    return partial(replay_with, second_databases=partial(scratch.databases, backend))


def step_facts(recording: Recording) -> list[object]:
    """Return what steps contain, apart from times."""
    return [
        (
            step.revision,
            leg.direction,
            leg.trace,
            [it.sql for it in leg.statements],
            leg.failure,
            step.before,
            step.after,
        )
        for step in recording.steps
        for leg in step.legs
    ]


def test_halves_give_the_steps_of_one_run_and_play_everything_once(in_halves: ReplayFunction) -> None:
    reported: list[str] = []
    whole, halves = in_halves(second_databases=None), in_halves(on_step=lambda step: reported.append(step.revision))

    assert step_facts(halves) == step_facts(whole)
    assert sorted(reported) == list(REVISIONS)
    down = [route.revisions for route in halves.routes if route.kind is RouteKind.DOWN]
    assert sorted(down) == [("002", "001"), ("004", "003")]
    assert [route.revisions for route in halves.routes if route.kind is RouteKind.UP] == [REVISIONS]
    assert all(route.is_clean for route in halves.routes)
    assert (halves.server, halves.backend, halves.unfilled) == (whole.server, whole.backend, whole.unfilled)


@ON_SQLITE_ONLY
@pytest.mark.parametrize("revision", ["002", "003"])
def test_a_fault_in_either_half_is_recorded_as_in_one_run(
    in_halves: ReplayFunction, small_project: SmallProject, revision: str
) -> None:
    small_project.write_revision(revision, "op.create_table('x', sa.Column('id', sa.Integer))", "pass")
    whole, halves = in_halves(second_databases=None), in_halves()

    assert step_facts(halves) == step_facts(whole)
    assert unclean_legs(halves) == [(revision, Direction.DOWNGRADE)]
    assert halves.unreached == ()


@ON_SQLITE_ONLY
@pytest.mark.parametrize("revision", ["001", "003", "004"])
def test_a_failing_revision_is_recorded_once_with_its_unreached_ones(
    in_halves: ReplayFunction, small_project: SmallProject, revision: str
) -> None:
    small_project.write_revision(revision, "op.execute('no sql')")
    whole, halves = in_halves(second_databases=None), in_halves()

    assert step_facts(halves) == step_facts(whole)
    assert unclean_legs(halves) == [(revision, Direction.UPGRADE)]
    assert halves.unreached == whole.unreached == REVISIONS[REVISIONS.index(revision) + 1 :]
    assert not [route for route in halves.routes if route.kind is RouteKind.UP]


def test_a_schema_that_differs_after_one_run_is_in_the_trace(
    in_halves: ReplayFunction, small_project: SmallProject
) -> None:
    memo = "op.get_context().impl.memo"
    small_project.write_revision(
        "001", f"op.create_table('a', sa.Column('id', sa.Integer)); {memo}['seen'] = 1", "op.drop_table('a')"
    )
    create = f"op.create_table('d', sa.Column('id', sa.Integer, index='seen' not in {memo}))"
    small_project.write_revision("004", create, "op.drop_table('d')")
    (up,) = (route for route in in_halves().routes if route.kind is RouteKind.UP)

    assert ["ix_d_id" in str(change) for change in up.trace] == [True]


@ON_SQLITE_ONLY
def test_a_revision_that_needs_rows_is_recorded_as_in_one_run(
    in_halves: ReplayFunction, small_project: SmallProject
) -> None:
    ask = "if not op.get_bind().execute(sa.text('SELECT count(*) FROM a')).scalar(): raise RuntimeError('no rows')"
    small_project.write_revision("002", ask)
    reported: list[str] = []
    whole, halves = in_halves(second_databases=None), in_halves(on_step=lambda step: reported.append(step.revision))

    assert step_facts(halves) == step_facts(whole)
    assert [(it.kind, it.stopped) for it in halves.routes] == [(it.kind, it.stopped) for it in whole.routes]
    assert sorted(reported) == list(REVISIONS)


@ON_SQLITE_ONLY
def test_on_head_is_called_for_the_head_after_one_run(in_halves: ReplayFunction) -> None:
    seen: list[list[str]] = []

    def read_tables(target: Target) -> None:
        with sa.create_engine(target.sqlalchemy_url(), poolclass=sa.NullPool).connect() as connection:
            seen.append(sorted(sa.inspect(connection).get_table_names()))

    in_halves(on_head=read_tables)

    assert seen == [["a", "alembic_version", "b", "c", "d"]]


def test_fixture_rows_of_the_first_half_are_there_in_the_second(
    in_halves: ReplayFunction, small_project: SmallProject
) -> None:
    rows = small_project.root / "scripts" / "rows"
    rows.mkdir()
    (rows / "001.sql").write_text("INSERT INTO a VALUES (4711);")
    small_project.write_revision("004", "op.execute('DELETE FROM a WHERE id = 4711')")

    assert [step.revision for step in in_halves().steps if step.losses] == ["004"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_role_created_in_one_half_does_not_disturb_the_other(
    in_halves: ReplayFunction, small_project: SmallProject
) -> None:
    small_project.write_revision(
        "001", "op.execute('CREATE ROLE dormatory_half')", "op.execute('DROP ROLE dormatory_half')"
    )

    assert unclean_legs(in_halves()) == []


@ON_SQLITE_ONLY
def test_an_error_in_one_half_ends_the_replay(in_halves: ReplayFunction, small_project: SmallProject) -> None:
    small_project.write_env("raise SystemExit(7)")

    with pytest.raises(EnvironmentFailedError, match="exit"):
        in_halves()
