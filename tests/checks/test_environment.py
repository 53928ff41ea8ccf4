"""What another environment makes different is a finding, unless the downgrade had left it different before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dormatory.checks.environment import check_environment
from dormatory.recording.model import EnvironmentDependence
from dormatory.schema.changes import ColumnAltered
from tests.checks.replay_examples import recorded_history, step


@pytest.mark.parametrize(("column", "count"), [("starts_at", 0), ("ends_at", 1)])
def test_what_the_downgrade_left_with_another_type_is_said_once(column: str, count: int) -> None:
    left = ColumnAltered("meeting", column, "type", "timestamp with time zone", "timestamp without time zone")
    depends = EnvironmentDependence("column meeting.starts_at", "the values of meeting.starts_at", 7)
    played = replace(step(down=(left,)), dependences=(depends,))

    assert len(list(check_environment(*recorded_history(played)))) == count
