"""A long history is walked in two halves at once, and what comes of it is what one walk would have said."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.errors import EnvironmentFailedError
from dormatory.recording.model import Course, Direction
from dormatory.replay import replay
from dormatory.replay.replay import play
from dormatory.runtime import scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from dormatory.backends.url import Target
    from dormatory.recording.model import Recording
    from tests.conftest import SmallProject

    Play = Callable[..., Recording]

# What fails is put together from the halves in one place, whichever backend they are walked on.
ON_ONE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
NAMES = ("a", "b", "c", "d")
ALL = ("001", "002", "003", "004")


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The backend's name."""
    return str(request.param)


@pytest.fixture
def in_halves(
    backend: str, small_project: SmallProject, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Play:
    """Play the small project, whose four revisions are as many as it takes."""
    monkeypatch.setattr(replay, "_LONG", 4)
    small_project.tables(*NAMES)

    def played(**options: Any) -> Recording:
        if backend == "sqlite":
            return play(small_project.project, scratch_sqlite, **options)
        server: throwaway.Server = request.getfixturevalue("postgres_server")
        return play(small_project.project, lambda: throwaway.scratch_postgresql(server), **options)

    return partial(played, beside=partial(scratch.databases, backend))


def told(recording: Recording) -> list[object]:
    """Return what steps say, but for what takes time."""
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


def unclean(recording: Recording) -> list[tuple[str, Direction]]:
    return [(step.revision, leg.direction) for step in recording.steps for leg in step.legs if not leg.is_clean]


def test_steps_are_those_of_one_walk_and_everything_is_gone_through_once(in_halves: Play) -> None:
    heard: list[str] = []
    whole, halves = in_halves(beside=None), in_halves(on_step=lambda step: heard.append(step.revision))

    assert told(halves) == told(whole)
    assert sorted(heard) == list(ALL)
    down = [passage.revisions for passage in halves.passages if passage.course is Course.DOWN]
    assert sorted(down) == [("002", "001"), ("004", "003")]
    assert [passage.revisions for passage in halves.passages if passage.course is Course.UP] == [ALL]
    assert all(passage.is_clean for passage in halves.passages)
    assert (halves.server, halves.backend, halves.unfilled) == (whole.server, whole.backend, whole.unfilled)


@ON_ONE
@pytest.mark.parametrize("revision", ["002", "003"])
def test_what_is_wrong_in_either_half_is_said_as_one_walk_says_it(
    in_halves: Play, small_project: SmallProject, revision: str
) -> None:
    small_project.revision(revision, "op.create_table('x', sa.Column('id', sa.Integer))", "pass")
    whole, halves = in_halves(beside=None), in_halves()

    assert told(halves) == told(whole)
    assert unclean(halves) == [(revision, Direction.DOWNGRADE)]
    assert halves.unreached == ()


@ON_ONE
@pytest.mark.parametrize("revision", ["001", "003", "004"])
def test_a_revision_that_fails_is_told_once_and_what_it_hides_is_named(
    in_halves: Play, small_project: SmallProject, revision: str
) -> None:
    small_project.revision(revision, "op.execute('no sql')")
    whole, halves = in_halves(beside=None), in_halves()

    assert told(halves) == told(whole)
    assert unclean(halves) == [(revision, Direction.UPGRADE)]
    assert halves.unreached == whole.unreached == ALL[ALL.index(revision) + 1 :]
    assert not [passage for passage in halves.passages if passage.course is Course.UP]


def test_what_one_run_makes_otherwise_than_the_steps_is_told(in_halves: Play, small_project: SmallProject) -> None:
    memo = "op.get_context().impl.memo"
    small_project.revision(
        "001", f"op.create_table('a', sa.Column('id', sa.Integer)); {memo}['seen'] = 1", "op.drop_table('a')"
    )
    create = f"op.create_table('d', sa.Column('id', sa.Integer, index='seen' not in {memo}))"
    small_project.revision("004", create, "op.drop_table('d')")
    (up,) = (passage for passage in in_halves().passages if passage.course is Course.UP)

    assert ["ix_d_id" in str(change) for change in up.trace] == [True]


@ON_ONE
def test_a_revision_that_needs_rows_is_judged_as_by_one_walk(in_halves: Play, small_project: SmallProject) -> None:
    ask = "if not op.get_bind().execute(sa.text('SELECT count(*) FROM a')).scalar(): raise RuntimeError('no rows')"
    small_project.revision("002", ask)
    heard: list[str] = []
    whole, halves = in_halves(beside=None), in_halves(on_step=lambda step: heard.append(step.revision))

    assert told(halves) == told(whole)
    assert [(it.course, it.stopped) for it in halves.passages] == [(it.course, it.stopped) for it in whole.passages]
    assert sorted(heard) == list(ALL)


@ON_ONE
def test_the_head_that_one_run_came_to_is_shown(in_halves: Play) -> None:
    seen: list[list[str]] = []

    def look(target: Target) -> None:
        with sa.create_engine(target.url, poolclass=sa.NullPool).connect() as connection:
            seen.append(sorted(sa.inspect(connection).get_table_names()))

    in_halves(on_head=look)

    assert seen == [["a", "alembic_version", "b", "c", "d"]]


def test_rows_that_the_project_brings_are_there_for_the_other_half(
    in_halves: Play, small_project: SmallProject
) -> None:
    rows = small_project.root / "scripts" / "rows"
    rows.mkdir()
    (rows / "001.sql").write_text("INSERT INTO a VALUES (4711);")
    small_project.revision("004", "op.execute('DELETE FROM a WHERE id = 4711')")

    assert [step.revision for step in in_halves().steps if step.losses] == ["004"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_role_of_one_half_does_not_get_in_the_way_of_the_other(in_halves: Play, small_project: SmallProject) -> None:
    small_project.revision("001", "op.execute('CREATE ROLE dormatory_half')", "op.execute('DROP ROLE dormatory_half')")

    assert unclean(in_halves()) == []


@ON_ONE
def test_what_breaks_a_half_breaks_the_play(in_halves: Play, small_project: SmallProject) -> None:
    small_project.env("raise SystemExit(7)")

    with pytest.raises(EnvironmentFailedError, match="exit"):
        in_halves()
