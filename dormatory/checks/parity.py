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
from dormatory.checks.source import read_revision
from dormatory.checks.source.one_sided import OneSidedObjects
from dormatory.schema.parity import parity_differences
from dormatory.system.text import name_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.parity_comments import ParityComment
    from dormatory.checks.source.one_sided import Place
    from dormatory.project.script import Script
    from dormatory.schema.parity import ParityDifference
    from dormatory.schema.snapshot import Snapshot


PARITY = Rule(
    "parity",
    "parity",
    Severity.WARNING,
    meaning="the two backends differ, and no revision says why",
    why="""What is tested on one does not hold on the other. It is a note where a revision asks for the dialect, or
    gives a type a variant.""",
    recipe="""
    # parity: ix_attributes_value: GIN has no SQLite counterpart
    """,
)


def check_parity(
    sqlite: Snapshot, postgresql: Snapshot, comments: Sequence[ParityComment], scripts: Sequence[Script] = ()
) -> Iterator[Finding]:
    """Report each difference between the backends that no comment covers, and each comment that covers none.

    What the upgrades in `scripts` make for one backend on purpose is a note.
    """
    dialects = dialect_by_name("sqlite"), dialect_by_name("postgresql")
    found = tuple(parity_differences(sqlite, postgresql, dialects))
    differences_by_name = {name: _differences_named(name, found) for comment in comments for name in comment.names}
    covered = {named[0] for named in differences_by_name.values() if len(named) == 1}
    uncovered = [difference for difference in found if difference not in covered]
    one_sided = _one_sided_objects(scripts, uncovered)
    unmeant = [difference for difference in uncovered if _intention(difference, one_sided) is None]
    enumerations = [difference for difference in unmeant if difference.is_unchecked_enumeration]
    for difference in uncovered:
        if place := _intention(difference, one_sided):
            yield _meant_finding(difference, place, comment_name(difference, found))
        elif difference not in enumerations or len(enumerations) == 1:
            yield PARITY.finding(str(difference), _hint(difference, found), object_name=difference.object)
        elif difference is enumerations[0]:
            yield _enumerations_finding(enumerations, found)
    for comment in comments:
        unused = tuple(name for name in comment.names if not differences_by_name[name])
        if unused == comment.names or (unused and comment.is_explicit):
            yield _unused_comment(comment, unused)


def _one_sided_objects(scripts: Sequence[Script], differences: Sequence[ParityDifference]) -> OneSidedObjects:
    """Return what revisions do to the objects that differ; the others are not read for it."""
    names = {difference.name.rpartition(".")[2].lower().encode() for difference in differences}
    sources = (
        read_revision(script.tree, script.source, script.revision)
        for script in scripts
        if script.tree is not None and script.revision is not None
        if any(name in script.source.lower() for name in names)
    )
    return OneSidedObjects.of(sources)


def _intention(difference: ParityDifference, one_sided: OneSidedObjects) -> Place | None:
    sides = {"sqlite": difference.sqlite, "postgresql": difference.postgresql}
    return one_sided.intention(difference.name.lower(), difference.aspect, sides)


def _meant_finding(difference: ParityDifference, place: Place, name: str) -> Finding:
    why = "its type has a variant" if difference.aspect else "the revision asks for the dialect"
    hint = "nothing to do if that is right"
    return PARITY.finding(
        f"{difference}; {why}",
        f"{hint}; a comment with the reason hides this note: # parity: {name}: ..." if name else hint,
        severity=Severity.NOTE,
        object_name=difference.object,
        revision=place.revision,
        location=place.location,
    )


def _enumerations_finding(columns: Sequence[ParityDifference], found: Sequence[ParityDifference]) -> Finding:
    names = ", ".join(comment_name(column, found) for column in columns)
    what = f"{len(columns)} columns take only the values of an enumeration on PostgreSQL, and any text on SQLite"
    return PARITY.finding(
        f"{what}: {name_list([column.name for column in columns])}",
        f"say sa.Enum(..., create_constraint=True), or give the reason in a revision: # parity: {names}: ...",
        object_name=", ".join(column.name for column in columns),
    )


def _differences_named(name: str, found: Sequence[ParityDifference]) -> tuple[ParityDifference, ...]:
    return tuple(difference for difference in found if name in _accepted_names(difference))


def _accepted_names(difference: ParityDifference) -> tuple[str, ...]:
    """Return the names that a comment may use for a difference, the shortest first."""
    name, table = difference.name.lower(), f"{difference.table}.".lower()
    names = [name] if name.startswith(table) or name == table[:-1] else [name, table + name]
    return (*names, *(f"{label} {difference.aspect}" for label in names if difference.aspect))


def _hint(difference: ParityDifference, found: Sequence[ParityDifference]) -> str:
    if name := comment_name(difference, found):
        return f"make them agree, or give the reason in a revision: # parity: {name}: ..."
    return "make them agree, or name the constraint, so that a revision can give the reason"


def comment_name(difference: ParityDifference, found: Sequence[ParityDifference]) -> str:
    """Return the shortest name that a comment can use for this difference alone, "" if there is none."""
    return next((label for label in _accepted_names(difference) if len(_differences_named(label, found)) == 1), "")


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
