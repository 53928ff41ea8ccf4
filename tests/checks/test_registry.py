"""Every rule stands in the catalogue once, findings are made from it, and the manual says what it says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from dormatory.checks import registry
from dormatory.checks.finding import Severity
from dormatory.checks.registry import FAMILIES, RULES, Rule, finding
from dormatory.checks.rules import history, locks, played, schema, source
from dormatory.recording.model import LossKind
from dormatory.report import rules_manual

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted((ROOT / "dormatory").rglob("*.py"))


def test_no_id_is_used_twice() -> None:
    assert len(RULES) == sum(len(module.RULES) for module in (history, locks, played, schema, source))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_meaning_reason_and_recipe(rule: Rule) -> None:
    assert all((rule.meaning, rule.why, rule.recipe))
    assert rule.id == rule.id.lower()
    assert not rule.meaning.endswith(".")
    assert rule.why.endswith(".")


def test_the_severity_is_that_of_the_rule_unless_overridden() -> None:
    assert finding("drift", "m", "h").severity is Severity.ERROR
    assert finding("drift", "m", "h", severity=Severity.NOTE).severity is Severity.NOTE
    assert registry.severity_at_most_warning("drift") is Severity.WARNING
    assert registry.severity_at_most_warning("parity") is Severity.WARNING
    assert registry.severity_at_most_warning("irreversible") is Severity.NOTE


def test_a_finding_of_no_rule_cannot_be_made() -> None:
    with pytest.raises(KeyError):
        finding("no-such-rule", "m", "h")


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_findings_are_made_by_the_catalogue_alone(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
    makes = any(isinstance(function, ast.Name) and function.id == "Finding" for function in calls)
    assert makes == (path.match("checks/registry.py"))


def test_every_literal_rule_is_in_the_catalogue() -> None:
    used = set()
    for path in PACKAGE:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "finding":
                used |= {item.value for item in node.args[:1] if isinstance(item, ast.Constant)}
    assert used
    assert used <= RULES.keys()


def test_every_kind_of_loss_is_a_rule() -> None:
    assert {kind.value for kind in LossKind} == {rule.id for rule in RULES.values() if rule.family == "data"}


def test_the_manual_has_the_rules_as_the_catalogue_has_them() -> None:
    text = rules_manual.MANUAL_FILE.read_text()
    assert rules_manual.updated_manual(text) == text, "write it anew with: python -m dormatory.report.rules_manual"
    assert all(f"### Family {family}" in text for family in FAMILIES)
