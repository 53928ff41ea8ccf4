"""How long a revision takes on more rows than were there: a line through what was measured, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """The seconds that a revision took with so many rows in the largest table it touches."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What two or more measurements lead to expect at `rows`; `seconds` is None where they lead to nothing.

    `why` says then what is missing.
    """

    measurements: tuple[Measurement, ...]
    rows: int
    seconds: float | None
    why: str = ""


def forecast(measurements: tuple[Measurement, ...], rows: int) -> Forecast:
    """Return the time at `rows` by least squares; through two points that is the line between them.

    It takes time to grow evenly with rows, which an index build does not quite: what lies far beyond the measurements
    is a guess, so these are part of the answer.
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
