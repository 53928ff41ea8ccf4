"""Checks that the two backends are one schema: pure, over a snapshot of each at head and what the revisions declare.

A parity comment covers the one difference that it names: `ix_attributes_value`, `docs.tags`, or, where several
objects share a name, `docs.ck_range`.  Where an object differs in more than one way, its name alone covers none of the
differences, and the comment has to add which one: `docs.tags type`.  So no comment hides a later difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.registry import dialect_by_name
from dormatory.checks.finding import Severity
from dormatory.checks.rule import Rule
from dormatory.schema.parity import parity_differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.parity_comments import ParityComment
    from dormatory.schema.parity import ParityDifference
    from dormatory.schema.snapshot import Snapshot


PARITY = Rule(
    "parity",
    "parity",
    Severity.WARNING,
    meaning="the two backends differ, and no revision says why",
    why="What is tested on one does not hold on the other.",
    recipe="""
    # parity: ix_attributes_value: GIN has no SQLite counterpart
    """,
)


def check_parity(sqlite: Snapshot, postgresql: Snapshot, comments: Sequence[ParityComment]) -> Iterator[Finding]:
    """Report each difference between the backends that no comment covers, and each comment that covers none."""
    dialects = dialect_by_name("sqlite"), dialect_by_name("postgresql")
    found = tuple(parity_differences(sqlite, postgresql, dialects))
    differences_by_name = {name: _differences_named(name, found) for comment in comments for name in comment.names}
    covered = {named[0] for named in differences_by_name.values() if len(named) == 1}
    for difference in found:
        if difference not in covered:
            yield PARITY.finding(str(difference), _hint(difference, found), object_name=difference.object)
    for comment in comments:
        unused = tuple(name for name in comment.names if not differences_by_name[name])
        if unused == comment.names or (unused and comment.is_explicit):
            yield _unused_comment(comment, unused)


def _differences_named(name: str, found: Sequence[ParityDifference]) -> tuple[ParityDifference, ...]:
    return tuple(difference for difference in found if name in _accepted_names(difference))


def _accepted_names(difference: ParityDifference) -> tuple[str, ...]:
    """Return the names that a comment may use for a difference, the shortest first."""
    name, table = difference.name.lower(), f"{difference.table}.".lower()
    names = [name] if name.startswith(table) or name == table[:-1] else [name, table + name]
    return (*names, *(f"{label} {difference.aspect}" for label in names if difference.aspect))


def _hint(difference: ParityDifference, found: Sequence[ParityDifference]) -> str:
    unambiguous = [label for label in _accepted_names(difference) if len(_differences_named(label, found)) == 1]
    if not unambiguous:
        return "make them agree, or name the constraint, so that a revision can give the reason"
    return f"make them agree, or give the reason in a revision: # parity: {unambiguous[0]}: ..."


PARITY_DECLARATION = Rule(
    "parity-declaration",
    "parity",
    Severity.WARNING,
    meaning="a comment declares a difference between the backends that does not exist",
    why="It would hide the next difference of that name.",
    recipe="# remove the comment",
)


def _unused_comment(comment: ParityComment, unused: Sequence[str]) -> Finding:
    named = ", ".join(unused) or "nothing that has a name"
    return PARITY_DECLARATION.finding(
        f"a parity comment names {named}, where the backends do not differ: {comment.reason}",
        "remove it, or name what differs: # parity: NAME: reason",
        object_name=named if unused else "",
        revision=comment.revision,
        location=comment.location,
    )
