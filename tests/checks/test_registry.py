"""Every rule is in the registry once, findings are made from it, and the manual agrees with it."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

from dormatory.checks.finding import Severity
from dormatory.checks.registry import FAMILIES, RULES, RULES_REPLACED_IN_SQUAWK, collect_rules
from dormatory.checks.rule import Rule, current_rule_id
from dormatory.recording.loss import LossKind
from dormatory.report import rules_manual
from dormatory.report.explain import rule_explanation
from dormatory.report.manual_url import RULES_FILE

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted((ROOT / "dormatory").rglob("*.py"))


def calls_of(name: str, path: Path) -> list[ast.Call]:
    """Return the calls of a function of this name in a file."""
    nodes = ast.walk(ast.parse(path.read_bytes()))
    return [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name]


def test_every_rule_of_the_package_is_collected() -> None:
    written = {
        call.args[0].value for path in PACKAGE for call in calls_of("Rule", path) if type(call.args[0]) is ast.Constant
    }
    assert written <= RULES.keys()
    assert RULES.keys() - written == {kind.value for kind in LossKind}


def test_an_id_that_is_used_twice_is_refused() -> None:
    modules = [ModuleType("one"), ModuleType("two")]
    for module in modules:
        module.RULE = Rule("same", "graph", Severity.NOTE, "", "", "")  # type: ignore[attr-defined]
    assert list(collect_rules(modules[:1])) == ["same"]
    with pytest.raises(ValueError, match="two rules have the id same"):
        collect_rules(modules)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_meaning_reason_and_recipe(rule: Rule) -> None:
    assert all((rule.meaning, rule.why, rule.recipe))
    assert rule.id == rule.id.lower()
    assert not rule.meaning.endswith(".")
    assert rule.why.endswith(".")
    assert rule.family in FAMILIES


def test_the_severity_is_that_of_the_rule_unless_overridden() -> None:
    assert RULES["drift"].finding("m", "h").severity is Severity.ERROR
    assert RULES["drift"].finding("m", "h", severity=Severity.NOTE).severity is Severity.NOTE


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_findings_are_made_from_a_rule_alone(path: Path) -> None:
    makes = bool(calls_of("Finding", path))
    assert makes == (path == ROOT / "dormatory/checks/rule.py")


def test_a_finding_has_the_id_of_its_rule() -> None:
    assert {name: rule.finding("m", "h").rule for name, rule in RULES.items()} == {name: name for name in RULES}


def test_a_former_id_means_one_rule() -> None:
    former = [name for rule in RULES.values() for name in rule.former_ids]
    assert len({*former, *RULES}) == len(former) + len(RULES)
    assert [current_rule_id(name, RULES) for name in ("live-drift", "drift", "dirft")] == [
        "changed-by-hand",
        "drift",
        "dirft",
    ]
    assert rule_explanation("live-drift") == rule_explanation("changed-by-hand")


def test_every_kind_of_loss_is_a_rule() -> None:
    assert {kind.value for kind in LossKind} == {rule.id for rule in RULES.values() if rule.family == "data"}


def test_a_rule_of_squawk_is_replaced_by_one_rule() -> None:
    replaced = [name for rule in RULES.values() for name in rule.replaces]
    assert len(replaced) == len(set(replaced))
    assert "require-concurrent-index-creation" in RULES_REPLACED_IN_SQUAWK


def test_the_page_of_rules_has_those_of_the_registry() -> None:
    text = RULES_FILE.read_text()
    assert rules_manual.rules_page() == text, "write it with: python -m dormatory.report.rules_manual"
    assert all(f"\n## Family {family}\n" in text for family in FAMILIES)
