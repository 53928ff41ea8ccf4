"""Checks that the two backends are one schema: pure, over a snapshot of each at head and what the revisions declare.

A declaration covers a difference that it names: `ix_attributes_value`, `docs.tags`, and where one name stands for
several things, `docs.ck_range`.  It covers one difference only.  Where an object differs in more than one way, a name
alone covers none of them, and the way has to be said: `docs.tags type`.  So no declaration hides what came after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.registry import finding
from dormatory.schema.parity import differences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.checks.finding import Finding
    from dormatory.checks.parity_comments import Declaration
    from dormatory.schema.parity import Difference
    from dormatory.schema.snapshot import Snapshot


def parity(sqlite: Snapshot, postgresql: Snapshot, declared: Sequence[Declaration]) -> Iterator[Finding]:
    """Report each difference between the backends that no revision declares, and each declaration of none."""
    found = tuple(differences(sqlite, postgresql))
    meant = {name: _meant(name, found) for declaration in declared for name in declaration.names}
    covered = {those[0] for those in meant.values() if len(those) == 1}
    for difference in found:
        if difference not in covered:
            yield finding("parity", str(difference), _hint(difference, found), object=difference.object)
    for declaration in declared:
        idle = tuple(name for name in declaration.names if not meant[name])
        if idle == declaration.names or (idle and declaration.explicit):
            yield _unused(declaration, idle)


def _meant(name: str, found: Sequence[Difference]) -> tuple[Difference, ...]:
    return tuple(difference for difference in found if name in _labels(difference))


def _labels(difference: Difference) -> tuple[str, ...]:
    """Return what a declaration may call a difference, the shortest first."""
    name, table = difference.name.lower(), f"{difference.table}.".lower()
    bare = [name] if name.startswith(table) or name == table[:-1] else [name, table + name]
    return (*bare, *(f"{label} {difference.aspect}" for label in bare if difference.aspect))


def _hint(difference: Difference, found: Sequence[Difference]) -> str:
    alone = [label for label in _labels(difference) if len(_meant(label, found)) == 1]
    if not alone:
        return "make them agree, or name the constraint, so that a revision can give the reason"
    return f"make them agree, or give the reason in a revision: # parity: {alone[0]}: ..."


def _unused(declaration: Declaration, idle: Sequence[str]) -> Finding:
    named = ", ".join(idle) or "nothing that has a name"
    return finding(
        "parity-declaration",
        f"a parity comment speaks of {named}, in which the backends do not differ: {declaration.reason}",
        "remove it, or name what differs: # parity: NAME: reason",
        object=named if idle else "",
        revision=declaration.revision,
        file=declaration.file,
        line=declaration.line,
    )
