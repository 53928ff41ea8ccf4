"""The chapter on rules in MIGRATIONS.md: `python -m dormatory.report.rules_manual` writes it from the registry."""

from __future__ import annotations

from textwrap import fill, indent
from typing import TYPE_CHECKING

from dormatory.checks.registry import FAMILIES, RULES
from dormatory.report.manual_url import MANUAL_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.rule import Rule

CHAPTER_BEGIN, CHAPTER_END = "<!-- rules: made by python -m dormatory.report.rules_manual -->", "<!-- end of rules -->"
_WIDTH = 120


def rules_chapter() -> str:
    """Return the chapter: for each family a table of its rules, then the reason and the recipe of each."""
    return "\n".join([CHAPTER_BEGIN, *(line for family in FAMILIES for line in _family_section(family)), CHAPTER_END])


def updated_manual(manual: str) -> str:
    """Return the manual with the chapter made from today's rules."""
    before, _, rest = manual.partition(CHAPTER_BEGIN)
    return before + rules_chapter() + rest.partition(CHAPTER_END)[2]


def _family_section(family: str) -> Iterator[str]:
    rules = [rule for rule in RULES.values() if rule.family == family]
    yield from (
        "",
        f"### Family {family}",
        "",
        FAMILIES[family],
        "",
        "| rule | severity | meaning |",
        "| --- | --- | --- |",
    )
    yield from (f"| [`{rule.id}`](#{rule.id}) | {rule.severity.value} | {rule.meaning} |" for rule in rules)
    for rule in rules:
        yield from _rule_section(rule)


def _rule_section(rule: Rule) -> Iterator[str]:
    yield from ("", f"#### {rule.id}", "", fill(rule.why, _WIDTH, break_on_hyphens=False, break_long_words=False), "")
    yield indent(rule.recipe, "    ")


if __name__ == "__main__":
    MANUAL_FILE.write_text(updated_manual(MANUAL_FILE.read_text(encoding="utf-8")), encoding="utf-8")
