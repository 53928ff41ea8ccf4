"""The order of sets in another environment: never the one of this process."""

from __future__ import annotations

import importlib.util
from itertools import combinations
from string import ascii_lowercase
from typing import TYPE_CHECKING

import pytest

from dormatory.replay.other_environment import other_environment

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

TRIPLES = [*combinations(ascii_lowercase[:16], 3)]  # 560, of which in some the hashes collide, whatever the seed
MADE_BY = {"a literal": "{%r, %r, %r}", "a comprehension": "{it for it in (%r, %r, %r)}", "a call": "set((%r, %r, %r))"}


def imported(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("made_by", MADE_BY)
@pytest.mark.parametrize("read_from", ["source", "byte code"])
def test_a_set_never_begins_with_the_same_element(tmp_path: Path, made_by: str, read_from: str) -> None:
    sets = ", ".join(f"next(iter({MADE_BY[made_by] % triple}))" for triple in TRIPLES)
    file = tmp_path / "001_sets.py"
    file.write_text(f"def first():\n    return [{sets}]\n\n\ndef upgrade():\n    return first()\n")
    module = imported(file)
    if read_from == "byte code":
        module = imported(file)
    here = module.upgrade()

    with other_environment(module):
        elsewhere = module.upgrade()

    assert [triple for triple, one, other in zip(TRIPLES, here, elsewhere, strict=True) if one == other] == []
