"""The chapter on rules in MIGRATIONS.md: `python -m dormatory.report.rules_manual` writes it from the catalogue."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING

from dormatory.checks.registry import FAMILIES, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.rule import Rule

CHAPTER_BEGIN, CHAPTER_END = "<!-- rules: made by python -m dormatory.report.rules_manual -->", "<!-- end of rules -->"
MANUAL_FILE = Path(__file__).resolve().parents[2] / "MIGRATIONS.md"
_WIDTH = 120
_FAMILY_DESCRIPTIONS = {
    "graph": "The revision graph, read from the files; no database, nothing imported.",
    "integrity": "Published revisions stay as they are: `alembic/versions.sum` holds a digest of each.",
    "suppression": "Comments that ask not to see a finding.",
    "source": "What a revision's own text shows.",
    "roundtrip": "What playing the history up, down and up again shows.",
    "data": "What becomes of rows on the way.",
    "drift": "Models and database against the history.",
    "parity": "The two backends against each other.",
    "dump": "The committed schema files.",
    "locks": "What a revision does to those who work meanwhile, on PostgreSQL, to tables that were there before.",
    "sql": "SQL written by hand.",
}


def rules_chapter() -> str:
    """Return the rules, family by family: a table of all, then why each matters and how to do it right."""
    return "\n".join([CHAPTER_BEGIN, *(line for family in FAMILIES for line in _family_section(family)), CHAPTER_END])


def updated_manual(manual: str) -> str:
    """Return the manual with the chapter as the catalogue has it now."""
    before, _, rest = manual.partition(CHAPTER_BEGIN)
    return before + rules_chapter() + rest.partition(CHAPTER_END)[2]


def _family_section(family: str) -> Iterator[str]:
    rules = [rule for rule in RULES.values() if rule.family == family]
    yield from (
        "",
        f"### Family {family}",
        "",
        _FAMILY_DESCRIPTIONS[family],
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
