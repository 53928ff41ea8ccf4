"""Each rule of the catalogue fires on something, and leaves something near to it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.registry import RULES
from dormatory.checks.roundtrip import round_trip
from dormatory.commands.check import Request, inspect
from dormatory.commands.collect import gathered
from dormatory.commands.evidence import Wanted
from dormatory.project.history import History
from tests.checks.file_examples import OF_TEXTS
from tests.checks.replay_examples import OF_PLAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.checks.file_examples import Pair
    from tests.conftest import SmallProject

PAIRS = {**OF_TEXTS, **OF_PLAYS}
CREATE = 'op.create_table("a", sa.Column("id", sa.Integer, primary_key=True))'


def baseline(project: SmallProject) -> None:
    project.ini("script_location = %(here)s/scripts", "[dormatory]", "baseline = base.sql")
    (project.root / "base.sql").write_text("CREATE TABLE (")


def models(project: SmallProject) -> None:
    project.env("import sqlalchemy as sa", 'metadata = sa.MetaData(schema="nowhere")',
                'sa.Table("b", metadata, sa.Column("id", sa.Integer))', "environment.run(metadata)")  # fmt: skip


def broken_environment(project: SmallProject) -> None:
    (project.root / "scripts" / "env.py").write_text('raise RuntimeError("no luck")\n')


def connecting(project: SmallProject, url: str, first: str = "") -> None:
    (project.root / "scripts" / "env.py").write_text(
        "import os\nimport sqlalchemy as sa\nfrom alembic import context\n"
        f"with sa.create_engine({url}).connect() as connection:\n    {first}\n"
        "    context.configure(connection=connection)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )


def elsewhere(project: SmallProject) -> None:
    connecting(project, f'"sqlite:///{project.root}/other.db"')


def not_committed(project: SmallProject) -> None:
    connecting(project, 'os.environ["DATABASE_URL"]', "connection.exec_driver_sql('SELECT 1')")


# What keeps a history from being played at all is seen where it is played.
STOPPING: dict[str, Callable[[SmallProject], None]] = {
    "baseline-fails": baseline,
    "models-fail": models,
    "environment-fails": broken_environment,
    "wrong-database": elsewhere,
    "not-applied": not_committed,
}


def test_every_rule_has_its_pair() -> None:
    assert PAIRS.keys() | STOPPING.keys() | {"broken-history"} == RULES.keys()
    assert len(PAIRS) == len(OF_TEXTS) + len(OF_PLAYS)


@pytest.mark.parametrize(("rule", "pair"), PAIRS.items(), ids=PAIRS)
def test_it_fires_and_its_neighbour_does_not(rule: str, pair: Pair) -> None:
    assert rule in {found.rule for found in pair.judge(pair.fires)}
    assert rule not in {found.rule for found in pair.judge(pair.beside)}


@pytest.fixture
def sound(small_project: SmallProject) -> SmallProject:
    small_project.revision("001", CREATE, 'op.drop_table("a")')
    return small_project


def gathered_rules(project: SmallProject) -> set[str]:
    evidence = gathered(Wanted(schema=True, dump=False, play=True), project.project, "sqlite", lambda _: None)
    history = History.read(project.project)
    found = [*evidence.problems, *(round_trip(evidence.recording, history) if evidence.recording else ())]
    return {item.rule for item in found}


def test_a_sound_project_can_be_played(sound: SmallProject) -> None:
    assert gathered_rules(sound) == set()


@pytest.mark.parametrize(("rule", "break_it"), STOPPING.items(), ids=STOPPING)
def test_what_keeps_a_history_from_being_played_is_told(
    rule: str, break_it: Callable[[SmallProject], None], sound: SmallProject
) -> None:
    break_it(sound)
    assert rule in gathered_rules(sound)


@pytest.mark.parametrize(("parent", "expected"), [("nobody", {"broken-history"}), ("001", set())])
def test_a_history_that_does_not_fit_together_is_told(parent: str, expected: set[str], sound: SmallProject) -> None:
    sound.revision("002", after=parent)
    outcome, _ = inspect(sound.project, Request(("sqlite",), frozenset({"drift"})))
    assert {found.rule for found in outcome.findings} - {"models-missing"} == expected
