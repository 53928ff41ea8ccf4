"""Which rows a replay gives to a revision whose own code knows some values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.replay.replay import replay_history
from tests.replay.recordings import unclean_legs
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from dormatory.backends.parts import ScratchMaker
    from dormatory.recording.model import Recording
    from tests.conftest import SmallProject

CREATE = """
    class TextJSON(sa.types.TypeDecorator):
        impl, cache_ok = sa.Text, True
    op.create_table('lot', sa.Column('id', sa.Integer, primary_key=True),
        sa.Column('settings', sa.Text, nullable=False), sa.Column('grade', sa.String(20), nullable=False),
        sa.Column('shade', sa.Enum('DARK', 'LIGHT', native_enum=False), nullable=False),
        sa.Column('notes', TextJSON(), nullable=False))"""
READ = "rows = op.get_bind().execute(sa.text('SELECT id, settings, grade, shade, notes FROM lot')).all()"


@pytest.fixture(params=BACKENDS)
def maker(request: pytest.FixtureRequest) -> ScratchMaker:
    """A maker of scratch databases, once per backend."""
    return scratch_maker(request.param, request)


def replay(project: SmallProject, maker: ScratchMaker, upgrade: str, downgrade: str = "pass") -> Recording:
    """Play a revision with this code behind the one that creates the table and one that adds another."""
    project.write_revision("001", CREATE, "op.drop_table('lot')")
    project.write_revision(
        "002", "op.create_table('b', sa.Column('id', sa.Integer))", "op.drop_table('b')", after="001"
    )
    project.write_revision("003", upgrade, downgrade, after="002")
    return replay_history(project.project, maker)


def failures(recording: Recording, revision: str) -> list[str]:
    (step,) = (step for step in recording.steps if step.revision == revision)
    in_legs = [str(leg.failure) for leg in step.legs if leg.failure]
    return in_legs + [str(it.failure) for it in step.row_failures]


@pytest.mark.parametrize(
    "code",
    [
        "import json; [json.loads(row.settings)['ui']['theme'] for row in rows]",
        "import json; list(map(getattr(json, 'loads'), [row.notes for row in rows]))",
        "assert {row.shade for row in rows} == {'DARK', 'LIGHT'}",
        "op.get_bind().execute(sa.select(sa.table('lot', sa.column('shade', sa.Enum('DARK', 'LIGHT'))).c.shade)).all()",
    ],
    ids=["json", "json that nothing shows but the type", "labels", "labels of a described table"],
)
def test_a_revision_reads_what_an_application_writes(
    small_project: SmallProject, maker: ScratchMaker, code: str
) -> None:
    recording = replay(small_project, maker, f"{READ}; {code}", f"{READ}; {code}")

    assert not unclean_legs(recording)


def test_a_value_that_a_mapping_forgets_is_met(small_project: SmallProject, maker: ScratchMaker) -> None:
    upgrade = f"{READ}; [{{'low': 1}}[row.grade] for row in rows if row.grade in ('low', 'high')]"

    recording = replay(small_project, maker, upgrade)

    assert "KeyError" in str(failures(recording, "003"))
    assert "high" in str(failures(recording, "003"))
