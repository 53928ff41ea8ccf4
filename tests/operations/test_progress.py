"""The lines about a loop over batches: now and then, on a terminal only."""

from __future__ import annotations

import sys

import pytest

from dormatory.operations import progress


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_line_says_how_far_and_how_fast(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_terminal: bool
) -> None:
    clock = iter([0.0, 1.0, 4.0, 5.0, 100.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    shown = progress.BatchProgress("note", rows_before=5000, total=1_000_000)
    for _ in range(4):
        shown.add(1000)
    lines = [
        "    note: 7,000 of 1,005,000 rows, 500 rows/s, 33 min 16 s left\n",
        "    note: 9,000 of 1,005,000 rows, 40 rows/s, 6 h 55 min left\n",
    ]
    assert capsys.readouterr().err == ("".join(lines) if is_terminal else "")
