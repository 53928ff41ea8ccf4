"""Columns that get another type: what may lose something is asked, and what goes wrong on its own is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.authoring.enumerations import enumerated_columns
from dormatory.authoring.extra_operations import ExecuteSql, OnlyOn, Undecided
from dormatory.authoring.transition import update_statement
from dormatory.backends.registry import backend_by_name
from dormatory.schema.alteration import AlterStatement
from dormatory.sql.type_changes import TypeChange, type_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.authoring.enumerations import ValueAnswers
    from dormatory.authoring.transition import ColumnKey, Transition
    from dormatory.schema.snapshot import Column


def answer_type_changes(transitions: Sequence[Transition], answers: ValueAnswers, *, is_downgrade: bool) -> None:
    """Add what columns need that get another type.

    A downgrade to a narrower type is not asked about: where the type has a limit, the server refuses what does not fit.
    """
    # A list of values refuses all others by itself.
    enumerated = {key for it in transitions for key in enumerated_columns(it.after, it.dialect)}
    found: dict[ColumnKey, dict[str, tuple[Column, Column]]] = {}
    for transition in transitions:
        for key, old, new in transition.columns():
            if old and old.type != new.type and new.generated is None:
                found.setdefault(key, {})[transition.backend] = old, new
    for key, on_backends in found.items():
        changes = {type_change(old.type, new.type): (old, new) for old, new in on_backends.values()}
        worst = next((it for it in reversed(TypeChange) if it in changes), TypeChange.SAFE)
        is_asked = worst.is_silent or (worst is TypeChange.NARROWER and not is_downgrade)
        if is_asked and key not in enumerated:
            answers.operations.append(Undecided(_question(transitions, key, worst, *changes[worst])))
        for transition in transitions:
            if transition.backend in on_backends:
                _convert(transition, key, on_backends[transition.backend][1], answers)


def _convert(transition: Transition, key: ColumnKey, new: Column, answers: ValueAnswers) -> None:
    """Give a column its values where the backend would not do it right by itself."""
    table = next(it for it in transition.before.tables if transition.column_of(it, key))
    conversion = backend_by_name(transition.backend).alter.type_conversion(table, new.name, new.type)
    if conversion is None:
        return
    answers.convert(transition.backend, (table.id, new.name), conversion.expression)
    if conversion.guard:
        answers.operations.append(OnlyOn(transition.backend, [ExecuteSql([AlterStatement(conversion.guard)])]))


def _question(transitions: Sequence[Transition], key: ColumnKey, change: TypeChange, old: Column, new: Column) -> str:
    example = update_statement(transitions, key, "...", "...")
    return (
        f"{'.'.join(filter(None, key))} changes from {old.type} to {new.type}: {change.value}. Correct such rows here "
        f'in place of this line, as in: op.execute("{example}"), write another conversion below, or delete this line '
        "if there are none"
    )
