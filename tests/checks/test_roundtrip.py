"""Findings from the recording of a round trip: what failed or was left behind, and notes on what is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.finding import Severity
from dormatory.checks.roundtrip import check_round_trip
from dormatory.project.history import History
from dormatory.replay.replay import replay_history

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding
    from tests.conftest import SmallProject

CREATE = 'op.create_table("room", sa.Column("id", sa.Integer, primary_key=True), sa.Column("floor", sa.Integer))'


def findings(project: SmallProject) -> list[Finding]:
    history = History.read(project.project)
    return list(check_round_trip(replay_history(project.project, scratch_sqlite), history))


def test_a_sound_history_has_no_findings(small_project: SmallProject) -> None:
    small_project.write_table_revisions("room", "bed")
    assert findings(small_project) == []


@pytest.mark.parametrize(
    ("upgrade", "rule", "hint"),
    [
        (CREATE, "trace", 'op.drop_table("room")'),
        ('op.create_index("ix", "room", ["floor"])', "trace", 'op.drop_index("ix", table_name="room")'),
    ],
    ids=["table", "index"],
)
def test_a_leftover_object_is_reported_with_the_line_that_removes_it(
    small_project: SmallProject, upgrade: str, rule: str, hint: str
) -> None:
    if upgrade is not CREATE:
        small_project.write_revision("001", CREATE, 'op.drop_table("room")')
    small_project.write_revision("001" if upgrade is CREATE else "002", upgrade)
    (first, *_) = findings(small_project)
    assert (first.rule, first.severity, first.hint) == (rule, Severity.ERROR, hint)
    assert small_project.root / first.location.path == max(small_project.versions.glob("*.py"))
    assert first.location.line == 13


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_an_index_that_a_rebuild_loses_is_reported_with_the_line_that_creates_it(small_project: SmallProject) -> None:
    index = 'op.execute("CREATE UNIQUE INDEX ux ON room (abs(floor) DESC) WHERE floor > 1")'
    small_project.write_revision("001", f"{CREATE}\n{index}", 'op.drop_table("room")')
    batch = "with op.batch_alter_table('room') as batch: batch.drop_column('size')"
    small_project.write_revision("002", "op.add_column('room', sa.Column('size', sa.Integer))", batch)
    (found, *_) = findings(small_project)
    assert found.hint == "op.execute('CREATE UNIQUE INDEX ux ON room (abs(floor) DESC) WHERE floor > 1')"
    small_project.write_revision(
        "002", "op.add_column('room', sa.Column('size', sa.Integer))", f"{batch}\n{found.hint}"
    )
    assert findings(small_project) == []


def test_a_leftover_enum_type_is_reported_with_the_line_that_drops_it(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    column = 'sa.Column("mood", sa.Enum("good", "bad", name="mood"))'
    small_project.write_revision("001", f'op.create_table("room", {column})', 'op.drop_table("room")')
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    (first, *_) = check_round_trip(recording, History.read(small_project.project))
    assert first.message.startswith("the downgrade leaves a trace: enum mood: added; the second upgrade then fails: ")
    assert 'sa.Enum(name="mood").drop(op.get_bind(), checkfirst=False)' in first.hint


def test_a_downgrade_that_declares_itself_impossible_is_a_note(small_project: SmallProject) -> None:
    small_project.write_revision("001", CREATE, 'raise NotImplementedError("rows were erased")')
    (only,) = findings(small_project)
    assert (only.rule, only.severity) == ("irreversible", Severity.NOTE)
    assert only.message == "it declares that it has no way back: rows were erased"


def test_a_downgrade_that_fails_is_an_error_at_its_line(small_project: SmallProject) -> None:
    small_project.write_revision("001", CREATE, 'op.drop_table("rom")')
    (only,) = findings(small_project)
    assert (only.rule, only.severity) == ("downgrade-fails", Severity.ERROR)
    assert only.message == "the downgrade failed: OperationalError: no such table: rom"
    assert only.location.line == 14


def test_a_declared_failure_is_a_note(small_project: SmallProject) -> None:
    small_project.write_revision("001", CREATE, 'op.drop_table("rom")', extra='irreversible = "nothing to go back to"')
    (only,) = findings(small_project)
    assert (only.rule, only.severity) == ("irreversible", Severity.NOTE)


def test_a_wrong_irreversible_declaration_is_a_warning(small_project: SmallProject) -> None:
    small_project.write_revision("001", CREATE, 'op.drop_table("room")', extra='irreversible = "so they say"')
    (only,) = findings(small_project)
    assert (only.rule, only.severity) == ("irreversible-is-not", Severity.WARNING)


def test_a_missing_downgrade_is_an_error(small_project: SmallProject) -> None:
    small_project.write_table_revisions("room", "bed")
    file = small_project.versions / "002_x.py"
    file.write_text(file.read_text().partition("def downgrade")[0])
    (only,) = findings(small_project)
    assert (only.rule, only.severity, only.revision) == ("no-downgrade", Severity.ERROR, "002")


def test_a_history_without_any_downgrade_is_reported_once(small_project: SmallProject) -> None:
    small_project.write_table_revisions("room", "bed", "key")
    for file in small_project.versions.glob("*.py"):
        file.write_text(file.read_text().partition("def downgrade")[0])
    assert [finding.rule for finding in findings(small_project)] == ["no-downgrades"]


def test_revisions_after_a_failing_upgrade_are_reported_as_not_played(small_project: SmallProject) -> None:
    small_project.write_table_revisions("room", "bed", "key")
    small_project.write_revision("002", "1 / 0")
    rules = [(finding.rule, finding.revision) for finding in findings(small_project)]
    assert rules == [("upgrade-fails", "002"), ("not-played", "003")]
