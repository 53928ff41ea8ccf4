"""What a change asks of the rows that exist: values and mappings that follow from the models, else marked choices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.authoring.draft import new_piece
from dormatory.authoring.enumerations import value_answers
from dormatory.authoring.model_values import ModelValues
from dormatory.authoring.required_columns import RequiredColumns
from dormatory.authoring.transition import Transition
from dormatory.authoring.type_changes import answer_type_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alembic.operations import MigrateOperation

    from dormatory.authoring.divergence import Divergence
    from dormatory.authoring.draft import Draft, Piece
    from dormatory.schema.alteration import Conversions


def with_answers(draft: Draft, divergences: Sequence[Divergence]) -> Draft:
    """Return a draft with what rows that exist need before and between its pieces, in both directions."""
    known = [(it.target.backend_name, it.found, it.wanted) for it in divergences if it.wanted is not None]
    upgrade = [Transition(name, found, wanted) for name, found, wanted in known]
    downgrade = [Transition(name, wanted, found) for name, found, wanted in known]
    values = ModelValues.read(draft.rendering.migration_context)
    forth = _answer_direction(draft, draft.upgrade, upgrade, values, is_downgrade=False)
    back = _answer_direction(draft, draft.downgrade, downgrade, values, is_downgrade=True)
    conversions = {("upgrade", backend): found for backend, found in forth[1].items()}
    conversions |= {("downgrade", backend): found for backend, found in back[1].items()}
    return replace(draft, upgrade=forth[0], downgrade=back[0], conversions=conversions)


def _answer_direction(
    draft: Draft, pieces: Iterable[Piece], transitions: Sequence[Transition], values: ModelValues, *, is_downgrade: bool
) -> tuple[tuple[Piece, ...], Mapping[str, Conversions]]:
    """Return the pieces of one direction with what rows need, and the conversions of each backend."""
    required = RequiredColumns(transitions, values, is_downgrade=is_downgrade)
    answers = value_answers(transitions, values, is_downgrade=is_downgrade)
    answer_type_changes(transitions, answers, is_downgrade=is_downgrade)
    first = [*answers.operations, *required.fills_of_old_columns()]
    return (*_required_pieces(first, draft), *_with_fills(pieces, required, draft)), answers.conversions


def _with_fills(pieces: Iterable[Piece], required: RequiredColumns, draft: Draft) -> Iterator[Piece]:
    """Yield pieces with the columns that become NOT NULL added as nullable ones, filled and required at the end."""
    fills: list[Piece] = []
    requirements: list[Piece] = []
    for piece in pieces:
        steps = required.steps(piece.operation)
        if steps is None:
            yield piece
        else:
            yield from _required_pieces([steps.adding], draft)
            fills += _required_pieces(steps.fill, draft)
            requirements.append(new_piece(steps.requiring, draft.rendering))
    yield from fills
    yield from requirements


def _required_pieces(operations: Iterable[MigrateOperation], draft: Draft) -> Iterator[Piece]:
    for operation in operations:
        yield replace(new_piece(operation, draft.rendering), is_required=True)
