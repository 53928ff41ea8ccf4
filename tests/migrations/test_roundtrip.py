"""The round trip finds what a downgrade leaves behind: each forgotten line is caught, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.database import throwaway
from dormatory.migrations.recording import Direction
from dormatory.migrations.roundtrip import play

if TYPE_CHECKING:
    from dormatory.migrations.recording import Recording
    from dormatory.migrations.scratch import Scratch
    from tests.conftest import SmallProject


@pytest.fixture(params=["sqlite", "postgresql"])
def maker(request: pytest.FixtureRequest) -> Scratch:
    """A maker of scratch databases, once per backend."""
    if request.param == "sqlite":
        return throwaway.scratch_sqlite
    server: throwaway.Server = request.getfixturevalue("postgres_server")
    return lambda: throwaway.scratch_postgresql(server)


def unclean(recording: Recording) -> list[tuple[str, Direction]]:
    return [(step.revision, leg.direction) for step in recording.steps for leg in step.legs if not leg.is_clean]


def trace(recording: Recording, revision: str) -> str:
    (step,) = (step for step in recording.steps if step.revision == revision)
    return "\n".join(str(change) for leg in step.legs for change in leg.trace)


class TestForgottenLines:
    @pytest.mark.parametrize(
        ("upgrade", "downgrade", "left"),
        [
            ("op.add_column('a', sa.Column('x', sa.Text))", "pass", "x"),
            ("op.create_index('ix_left', 'a', ['id'])", "pass", "ix_left"),
            (
                "op.create_table('b', sa.Column('id', sa.Integer)); op.create_index('ix_b', 'b', ['id'])",
                "op.drop_index('ix_b')",
                "b",
            ),
            (
                "with op.batch_alter_table('a') as batch: batch.alter_column('id', server_default='7')",
                "pass",
                "7",
            ),
            (
                "with op.batch_alter_table('a') as batch: batch.create_check_constraint('positive', 'id > 0')",
                "pass",
                "positive",
            ),
            ("op.execute('CREATE VIEW v AS SELECT id FROM a')", "pass", "v"),
        ],
        ids=["column", "index", "table", "default", "check", "view"],
    )
    def test_what_a_downgrade_leaves_is_in_the_trace(
        self, small_project: SmallProject, maker: Scratch, upgrade: str, downgrade: str, left: str
    ) -> None:
        small_project.tables("a")
        small_project.revision("002", upgrade, downgrade)
        recording = play(small_project.project, maker)
        assert ("002", Direction.DOWNGRADE) in unclean(recording)
        assert ("001", Direction.DOWNGRADE) not in unclean(recording)
        (step,) = (step for step in recording.steps if step.revision == "002")
        assert left in trace(recording, "002") or any(leg.error for leg in step.legs)

    def test_an_enum_type_that_survives_its_table_is_in_the_trace(
        self, small_project: SmallProject, postgres_server: throwaway.Server
    ) -> None:
        create = "op.create_table('b', sa.Column('x', sa.Enum('p', 'q', name='mood')))"
        small_project.revision("001", create, "op.drop_table('b')")
        recording = play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
        assert "mood" in trace(recording, "001")
        small_project.revision("001", create, "op.drop_table('b'); sa.Enum(name='mood').drop(op.get_bind())")
        assert unclean(play(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))) == []


class TestWalk:
    def test_a_sound_history_leaves_nothing(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a", "b", "c")
        recording = play(small_project.project, maker)
        assert [step.revision for step in recording.steps] == ["001", "002", "003"]
        assert [len(step.legs) for step in recording.steps] == [3, 3, 3]
        assert unclean(recording) == []
        assert recording.unreached == ()

    def test_a_failing_downgrade_does_not_hide_the_revisions_after_it(
        self, small_project: SmallProject, maker: Scratch
    ) -> None:
        small_project.tables("a", "b", "c")
        small_project.revision("002", "op.create_table('b', sa.Column('id', sa.Integer))", "raise NotImplementedError")
        recording = play(small_project.project, maker)
        assert unclean(recording) == [("002", Direction.DOWNGRADE)]
        assert [step.revision for step in recording.steps] == ["001", "002", "003"]
        error = recording.steps[1].legs[-1].error
        assert "this revision has no way back" in str(error)

    def test_what_lies_behind_a_failing_upgrade_is_unreached(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a", "b", "c")
        small_project.revision("002", "op.execute('NO SUCH STATEMENT')")
        recording = play(small_project.project, maker)
        assert unclean(recording) == [("002", Direction.UPGRADE)]
        assert recording.unreached == ("003",)

    def test_a_revision_that_commits_by_itself_does_not_pass(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a")
        small_project.revision(
            "002", "op.execute('CREATE TABLE b (x int)'); op.get_bind().commit()", "op.drop_table('b')"
        )
        recording = play(small_project.project, maker)
        assert ("002", Direction.UPGRADE) in unclean(recording)

    def test_branches_are_walked_one_step_at_a_time(self, small_project: SmallProject, maker: Scratch) -> None:
        small_project.tables("a")
        for name in ("left", "right"):
            create = f"op.create_table('{name}', sa.Column('id', sa.Integer))"
            small_project.revision(name, create, f"op.drop_table('{name}')", after="001")
        small_project.revision("joined", after=("left", "right"))
        recording = play(small_project.project, maker)
        assert [step.revision for step in recording.steps] == ["001", "left", "right", "joined"]
        assert unclean(recording) == []
