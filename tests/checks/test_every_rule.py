"""Each rule of the catalogue fires on its example, and not on a similar counterexample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.registry import RULES
from dormatory.checks.roundtrip import check_round_trip
from dormatory.commands.check import CheckRequest, check_project
from dormatory.commands.collect_backend import collect_backend_evidence
from dormatory.commands.evidence import EvidenceRequest
from dormatory.project.history import History
from tests.checks.file_examples import PAIRS_OF_TEXTS
from tests.checks.replay_examples import PAIRS_OF_RECORDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.checks.file_examples import RulePair
    from tests.conftest import SmallProject

PAIRS = {**PAIRS_OF_TEXTS, **PAIRS_OF_RECORDINGS}
CREATE = 'op.create_table("a", sa.Column("id", sa.Integer, primary_key=True))'


def break_baseline(project: SmallProject) -> None:
    project.write_ini("script_location = %(here)s/scripts", "[dormatory]", "baseline = base.sql")
    (project.root / "base.sql").write_text("CREATE TABLE (")


def break_models(project: SmallProject) -> None:
    project.write_env("import sqlalchemy as sa", 'metadata = sa.MetaData(schema="nowhere")',
                'sa.Table("b", metadata, sa.Column("id", sa.Integer))', "environment.run(metadata)")  # fmt: skip


def break_environment(project: SmallProject) -> None:
    (project.root / "scripts" / "env.py").write_text('raise RuntimeError("no luck")\n')


def connect_to(project: SmallProject, url: str, first: str = "") -> None:
    (project.root / "scripts" / "env.py").write_text(
        "import os\nimport sqlalchemy as sa\nfrom alembic import context\n"
        f"with sa.create_engine({url}).connect() as connection:\n    {first}\n"
        "    context.configure(connection=connection)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )


def use_another_database(project: SmallProject) -> None:
    connect_to(project, f'"sqlite:///{project.root}/other.db"')


def leave_uncommitted(project: SmallProject) -> None:
    connect_to(project, 'os.environ["DATABASE_URL"]', "connection.exec_driver_sql('SELECT 1')")


# These rules fire only when a history is really played.
BREAKING: dict[str, Callable[[SmallProject], None]] = {
    "baseline-fails": break_baseline,
    "models-fail": break_models,
    "environment-fails": break_environment,
    "wrong-database": use_another_database,
    "not-applied": leave_uncommitted,
}


def test_every_rule_has_its_pair() -> None:
    assert (
        PAIRS.keys() | BREAKING.keys() | {"broken-history", "not-checked"} == RULES.keys()
    )  # tests/commands/test_check.py
    assert len(PAIRS) == len(PAIRS_OF_TEXTS) + len(PAIRS_OF_RECORDINGS)


@pytest.mark.parametrize(("rule", "pair"), PAIRS.items(), ids=PAIRS)
def test_it_fires_on_its_example_and_not_on_the_counterexample(rule: str, pair: RulePair) -> None:
    assert rule in {found.rule for found in pair.check(pair.fires)}
    assert rule not in {found.rule for found in pair.check(pair.counterexample)}


@pytest.fixture
def sound(small_project: SmallProject) -> SmallProject:
    small_project.write_revision("001", CREATE, 'op.drop_table("a")')
    return small_project


def collected_rules(project: SmallProject) -> set[str]:
    evidence = collect_backend_evidence(
        EvidenceRequest(schema=True, dump=False, replay=True), project.project, "sqlite", lambda _: None
    )
    history = History.read(project.project)
    found = [*evidence.problems, *(check_round_trip(evidence.recording, history) if evidence.recording else ())]
    return {item.rule for item in found}


def test_a_sound_project_can_be_played(sound: SmallProject) -> None:
    assert collected_rules(sound) == set()


@pytest.mark.parametrize(("rule", "break_it"), BREAKING.items(), ids=BREAKING)
def test_a_reason_that_prevents_a_replay_is_reported(
    rule: str, break_it: Callable[[SmallProject], None], sound: SmallProject
) -> None:
    break_it(sound)
    assert rule in collected_rules(sound)


@pytest.mark.parametrize(("parent", "expected"), [("nobody", {"broken-history"}), ("001", set())])
def test_a_history_that_does_not_fit_together_is_reported(parent: str, expected: set[str], sound: SmallProject) -> None:
    sound.write_revision("002", after=parent)
    outcome, _ = check_project(sound.project, CheckRequest(("sqlite",), frozenset({"drift"})))
    assert {found.rule for found in outcome.findings} - {"models-missing"} == expected
