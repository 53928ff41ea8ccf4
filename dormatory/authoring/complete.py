"""Completes what autogenerate finds, so that both directions of the revision are right on each backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.authoring.answers import with_answers
from dormatory.authoring.extra_operations import ExecuteSql, OnlyOn, join_blocks
from dormatory.authoring.renaming import carry_out_renames, leave_open
from dormatory.authoring.source_edits import SourceEdits
from dormatory.authoring.trial import DraftTrial, FunctionName, Plan
from dormatory.runtime.numbering import RevisionOperations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alembic.operations import MigrateOperation

    from dormatory.authoring.divergence import Divergence
    from dormatory.authoring.draft import Draft, Piece
    from dormatory.authoring.renaming import AskRename
    from dormatory.schema.snapshot import Snapshot


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
    trials = [(DraftTrial(it, draft), it.wanted, it.found) for it in renaming.divergences if it.wanted is not None]
    upgrade, plans = _plan("upgrade", draft.upgrade, [(trial, wanted) for trial, wanted, _ in trials])
    for (trial, *_), plan in zip(trials, plans, strict=True):
        trial.carry_out(upgrade, plan)
    downgrade, plans_back = _plan("downgrade", draft.downgrade, [(trial, found) for trial, _, found in trials])
    return RevisionOperations(
        tuple(join_blocks([*renaming.upgrade, *_operations(upgrade, plans)])),
        tuple(join_blocks([*_operations(downgrade, plans_back), *renaming.downgrade])),
    )


def _plan(
    direction: FunctionName, pieces: Sequence[Piece], trials: Sequence[tuple[DraftTrial, Snapshot]]
) -> tuple[tuple[Piece, ...], list[Plan]]:
    """Return the plan of each backend, and the pieces: those in a batch that do not work on each one without."""
    chosen = tuple(piece.without_batch or piece for piece in pieces)
    plans = [trial.plan(direction, chosen, goal) for trial, goal in trials]
    unfit = {place for place in range(len(pieces)) for plan in plans if place not in plan.kept | plan.slow}
    if any(pieces[place].without_batch for place in unfit):
        chosen = tuple(piece if place in unfit else chosen[place] for place, piece in enumerate(pieces))
        plans = [trial.plan(direction, chosen, goal) for trial, goal in trials]
    return chosen, plans


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
