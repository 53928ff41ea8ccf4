"""The file of accepted findings is applied to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.acceptance import CheckedScope
from dormatory.checks.registry import FAMILIES, RULES
from dormatory.commands.accepted import apply_accepted_file
from dormatory.project.accepted_file import accepted_path

if TYPE_CHECKING:
    from tests.conftest import SmallProject

ENTRY = (
    '[[finding]]\nrule = "live-drift"\nobject = "index by_name"\nbackends = ["sqlite"]\nreason = "it is tried out"\n'
)


def test_an_entry_may_name_a_rule_by_a_former_id(small_project: SmallProject) -> None:
    project, scope = small_project.project, CheckedScope({"sqlite": FAMILIES.keys()})
    file = accepted_path(project)
    file.write_text(ENTRY)
    found = RULES["changed-by-hand"].finding("m", "h", backend="sqlite", object_name="index by_name")
    for reason in (None, ""):
        shown, accepted = apply_accepted_file(project, [found], scope, reason)
        assert (shown, [item.entry.reason for item in accepted]) == ((), ["it is tried out"])
    assert 'rule = "changed-by-hand"' in file.read_text()
