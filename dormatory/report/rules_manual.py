"""RULES.md, the catalogue of rules: `python -m dormatory.report.rules_manual` writes it from the registry."""

from __future__ import annotations

import re
from textwrap import fill, indent
from typing import TYPE_CHECKING

from dormatory.checks.registry import FAMILIES, RULES
from dormatory.report.manual_url import RULES_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.rule import Rule

_WIDTH = 120
_FIRST_CLAUSE = re.compile(r"[.:;](?:\s|$)")
_INTRODUCTION = """# Rules

What `inv db.check` looks for, by family. An error breaks or loses something, now or later; a warning blocks writers or
is questionable; a note is worth knowing. `inv db.check --explain RULE` prints the section of a rule.
[MIGRATIONS.md](MIGRATIONS.md#findings-that-stay) says how to give a rule another severity, and how to keep a finding.

This page is written from the rules themselves, by `python -m dormatory.report.rules_manual`.
"""


def rules_page() -> str:
    """Return the page: for each family a table of its rules, then the reason and the recipe of each."""
    contents = [f"- [{family}](#family-{family}): {_FIRST_CLAUSE.split(FAMILIES[family])[0]}" for family in FAMILIES]
    sections = (line for family in FAMILIES for line in _family_section(family))
    return "\n".join([_INTRODUCTION, *contents, *sections, ""])


def _family_section(family: str) -> Iterator[str]:
    rules = [rule for rule in RULES.values() if rule.family == family]
    yield from (
        "",
        f"## Family {family}",
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
    yield from ("", f"### {rule.id}", "", fill(rule.why, _WIDTH, break_on_hyphens=False, break_long_words=False), "")
    yield indent(rule.recipe, "    ")


if __name__ == "__main__":
    RULES_FILE.write_text(rules_page(), encoding="utf-8")
