"""The progress of a loop over batches: a line on a terminal now and then, and where an interruption stopped it."""

from __future__ import annotations

import sys
from time import monotonic

_SECONDS_BETWEEN_LINES = 2.0


class BatchProgress:
    """Counts rows; `total` is how many there are from here on, 0 where nobody looks at it."""

    def __init__(self, table: str, rows_before: int, total: int) -> None:
        self._table, self._rows_before, self._total = table, rows_before, total
        self._began = self._shown_at = monotonic()
        self._done = 0

    @staticmethod
    def is_shown() -> bool:
        """Return whether standard error is a terminal."""
        return sys.stderr.isatty()

    def add(self, rows: int) -> None:
        """Count the rows of a committed batch, and show a line if the last one is a while ago."""
        self._done += rows
        now = monotonic()
        if self.is_shown() and now - self._shown_at >= _SECONDS_BETWEEN_LINES:
            self._shown_at = now
            _print_line(self._line(now - self._began))

    def stopping(self) -> None:
        """Say that an interruption was noticed."""
        _print_line(f"stopping after this batch of {self._table}")

    def stop_text(self, *, is_kept: bool) -> str:
        """Return where an interruption has stopped the loop, and what to do next."""
        done = f"{self._rows_before + self._done:,} rows of {self._table} are done and committed"
        goes_on = "it continues behind them" if is_kept else "it begins at the first row"
        return f"{done}; run the same command again: {goes_on}"

    def _line(self, seconds: float) -> str:
        speed = self._done / seconds
        left = max(0, self._total - self._done)
        done, total = self._rows_before + self._done, self._rows_before + self._total
        return f"    {self._table}: {done:,} of {total:,} rows, {speed:,.0f} rows/s, {_duration(left / speed)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _print_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
