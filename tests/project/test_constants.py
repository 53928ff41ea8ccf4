"""Constants of a module are read without running it, whichever way they are spelled."""

from __future__ import annotations

import ast

import pytest

from dormatory.project.constants import UNKNOWN, module_constants


def constants(source: str) -> dict[str, object]:
    return module_constants(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        'a = "x1"',
        'a: str = "x1"',
        'a, b = "x1", None',
        '[b, a] = (None, "x1")',
        'b, (a, c) = None, ("x1", 2)',
        'b = a = "x1"',
        'prefix = "x"\na = prefix + "1"',
        'number = 1\na = f"x{number}"',
        'a = ("x1")',
        'a = "x" "1"',
    ],
)
def test_a_text_is_read_however_it_is_assigned(source: str) -> None:
    assert constants(source)["a"] == "x1"


def test_a_tuple_may_hold_names_and_sums() -> None:
    assert constants('x = "1"\na = (x, "2") + ("3",)')["a"] == ("1", "2", "3")


@pytest.mark.parametrize(
    "source",
    [
        "a = make()",
        "from ids import a",
        "import ids as a",
        'if windows:\n    a = "1"\nelse:\n    a = "2"',
        'try:\n    a = "1"\nexcept ValueError:\n    pass',
        "a, b = make()",
        'a, *b = "1", "2"',
        'a = f"{number:03}"',
        "a = other",
        'a = "x" + 1',
        'for a in ("1", "2"):\n    pass',
    ],
)
def test_a_value_that_only_a_run_shows_is_unknown(source: str) -> None:
    assert constants(source)["a"] is UNKNOWN


def test_names_inside_functions_do_not_count() -> None:
    assert constants('def f():\n    a = "1"\nclass C:\n    b = "2"\n') == {}
