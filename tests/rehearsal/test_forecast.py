"""A forecast is a straight line through measurements, or says why there is none."""

from __future__ import annotations

import pytest

from dormatory.rehearsal.forecast import Measurement, forecast


def test_a_forecast_is_a_line_through_the_measurements() -> None:
    found = forecast((Measurement(100, 1.0), Measurement(300, 2.0)), 1000)
    assert found.seconds == pytest.approx(5.5)
    assert [it.rows for it in found.measurements] == [100, 300]


def test_three_measurements_are_fitted() -> None:
    found = forecast((Measurement(0, 0.0), Measurement(1, 2.0), Measurement(2, 2.0)), 3)
    assert found.seconds == pytest.approx(10 / 3)


@pytest.mark.parametrize(
    "measured",
    [
        (Measurement(5, 1.0),),
        (Measurement(5, 1.0), Measurement(5, 2.0)),
        (Measurement(5, 2.0), Measurement(9, 1.0)),
    ],
)
def test_too_few_or_falling_measurements_give_no_forecast(measured: tuple[Measurement, ...]) -> None:
    found = forecast(measured, 100)
    assert found.seconds is None
    assert found.why
