"""Forecasts how long a revision takes on more rows: by a straight line through the measurements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """The seconds that a revision took, and the rows in the largest table that it affects."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected seconds at `rows`; if they are None, `why` says what is missing for a forecast."""

    measurements: tuple[Measurement, ...]
    rows: int
    seconds: float | None
    why: str = ""


def forecast(measurements: tuple[Measurement, ...], rows: int) -> Forecast:
    """Return the time at `rows` by least squares; through two points that is the line between them.

    It assumes that time grows linearly with rows, which is not quite true of an index build: far beyond the
    measurements the forecast is a guess, so they are part of the result.
    """
    sizes = {item.rows for item in measurements}
    if len(sizes) < 2:  # noqa: PLR2004  # a line needs two points
        return Forecast(measurements, rows, None, "the tables it touches could not be had in two sizes")
    count = len(measurements)
    middle = sum(item.rows for item in measurements) / count
    mean = sum(item.seconds for item in measurements) / count
    spread = sum((item.rows - middle) ** 2 for item in measurements)
    slope = sum((item.rows - middle) * (item.seconds - mean) for item in measurements) / spread
    if slope <= 0:
        return Forecast(measurements, rows, None, "it did not grow with the rows")
    return Forecast(measurements, rows, max(mean + slope * (rows - middle), 0.0))
