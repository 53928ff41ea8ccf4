"""Values are shown as their readers know them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dormatory.backends.row_io import CellForm
from dormatory.dataloss.classify import loss_kind
from dormatory.dataloss.values import CellValue, cell_reader, display_form, example_of
from dormatory.recording.loss import LossKind


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "NULL"),
        ("a", "'a'"),
        (7, "7"),
        (cell_reader(CellForm.JSON)('{"a": [1, true, null, 1.5]}'), '{"a": [1, true, null, 1.5]}'),
        ("x" * 31, f"'{'x' * 29}…'"),
    ],
)
def test_a_value_is_shown_as_the_database_writes_it(value: CellValue, shown: str) -> None:
    assert display_form(value) == shown


def test_of_long_texts_the_lengths_are_shown() -> None:
    assert example_of("a" * 80, "a" * 50) == "such as a text of 80 characters → 50 characters"


def test_a_time_of_which_the_year_is_left_is_cut_off() -> None:
    assert loss_kind([(datetime(2024, 7, 6, 15, 25, tzinfo=UTC), 2024)]) is LossKind.TRUNCATED
