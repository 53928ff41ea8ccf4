"""Completes what autogenerate finds, so that both directions of the revision are right on each backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.authoring.answers import with_answers
from dormatory.authoring.extra_operations import ExecuteSql, OnlyOn, join_blocks
from dormatory.authoring.renaming import carry_out_renames, leave_open
from dormatory.authoring.source_edits import SourceEdits
from dormatory.authoring.trial import DraftTrial, Plan
from dormatory.runtime.numbering import RevisionOperations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alembic.operations import MigrateOperation

    from dormatory.authoring.divergence import Divergence
    from dormatory.authoring.draft import Draft, Piece
    from dormatory.authoring.renaming import AskRename


def complete_draft(
    draft: Draft,
    divergences: Sequence[Divergence],
    edits: SourceEdits | None = None,
    ask: AskRename = leave_open,
) -> RevisionOperations:
    """Return the operations that lead from the history to the models and back, on each backend.

    What was renamed is renamed first; `edits` of the source and `ask` decide what was. What Alembic writes is kept
    where it leads to the models; else SQL of the backend takes its place. The scratch databases are moved to the
    models.
    """
    renaming = carry_out_renames(draft, divergences, edits or SourceEdits(), ask)
    draft = with_answers(renaming.draft, renaming.divergences)
    upgrades, downgrades = list[Plan](), list[Plan]()
    for divergence in renaming.divergences:
        if divergence.wanted is not None:
            trial = DraftTrial(divergence, draft)
            upgrades.append(trial.plan("upgrade", divergence.wanted))
            trial.carry_out(draft.upgrade, upgrades[-1])
            downgrades.append(trial.plan("downgrade", divergence.found))
    return RevisionOperations(
        tuple(join_blocks([*renaming.upgrade, *_operations(draft.upgrade, upgrades)])),
        tuple(join_blocks([*_operations(draft.downgrade, downgrades), *renaming.downgrade])),
        draft.imports,
    )


def _operations(pieces: Sequence[Piece], plans: Sequence[Plan]) -> Iterator[MigrateOperation]:
    """Yield the pieces that are kept, those of some backends under a condition, then the statements of each backend."""
    for place, piece in enumerate(pieces):
        keeping = [plan.backend for plan in plans if place in plan.kept]
        if len(keeping) == len(plans):
            yield piece.operation
        else:
            yield from (OnlyOn(name, [piece.operation]) for name in keeping)
    for plan in reversed(plans):
        if plan.statements:
            yield OnlyOn(plan.backend, [ExecuteSql(plan.statements)])
