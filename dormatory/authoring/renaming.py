"""Gives tables and columns of the scratch databases the names of the models, before anything else is compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from alembic.operations import Operations
from alembic.operations.ops import AddColumnOp, CreateTableOp, DropColumnOp, DropTableOp, ModifyTableOps
from alembic.runtime.migration import MigrationContext

from dormatory.authoring.divergence import Divergence
from dormatory.authoring.extra_operations import ExecuteSql, OnlyOn, RenameObject
from dormatory.authoring.part_names import wanted_names
from dormatory.authoring.renames import ProbableRename, probable_renames
from dormatory.backends.driver import execute_verbatim
from dormatory.backends.registry import backend_for
from dormatory.runtime import scratch
from dormatory.schema.alteration import AlterStatement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alembic.operations import MigrateOperation

    from dormatory.authoring.draft import Draft, Piece
    from dormatory.authoring.source_edits import SourceEdits
    from dormatory.schema.snapshot import Snapshot, Table

# Whether a table or column was renamed; None: nobody answers, the choice stays open.
AskRename: TypeAlias = "Callable[[ProbableRename], bool | None]"
_RENAMING = re.compile(r"\bRENAME\b")


def leave_open(_: ProbableRename) -> None:
    """Answer no question."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """What is left to be done after the renames, and the operations for these in both directions."""

    divergences: tuple[Divergence, ...]
    draft: Draft
    upgrade: tuple[MigrateOperation, ...] = ()
    downgrade: tuple[MigrateOperation, ...] = ()


def carry_out_renames(draft: Draft, divergences: Sequence[Divergence], edits: SourceEdits, ask: AskRename) -> Renaming:
    """Rename in the scratch databases what was renamed in the models, as far as that is sure or `ask` says so.

    What nobody has answered is renamed, too, but the revision cannot be executed before the developer has decided.
    """
    renaming = Renaming(tuple(divergences), draft)
    declined = list[ProbableRename]()
    while rename := _next_rename(renaming.divergences, edits, declined):
        answer = True if rename.is_sure else ask(rename)
        if answer is False:
            declined.append(rename)
        else:
            renaming = _with_rename(renaming, rename, is_open=answer is None)
    return _with_part_names(renaming)


def _next_rename(
    divergences: Sequence[Divergence], edits: SourceEdits, declined: Sequence[ProbableRename]
) -> ProbableRename | None:
    known = next(((it.found, it.models) for it in divergences if it.models), None)
    refused = {(it.table, it.column, it.new_name) for it in declined}
    found = probable_renames(*known, edits) if known else []
    return next((it for it in found if (it.table, it.column, it.new_name) not in refused), None)


def _with_rename(renaming: Renaming, rename: ProbableRename, *, is_open: bool) -> Renaming:
    is_there = [_has(it, rename) for it in renaming.divergences]
    divergences = list(zip(renaming.divergences, is_there, strict=True))
    there = [it.target.backend_name for it, has in divergences if has]
    moved = tuple(_with_new_name(it, rename) if has else it for it, has in divergences)
    draft, upgrade, downgrade = _without_pieces(renaming.draft, rename)
    forth = RenameObject(rename, if_new=upgrade if is_open else None)
    back = RenameObject(rename, is_reverse=True, if_new=downgrade if is_open else None)
    up, down = ([it] if all(is_there) else [OnlyOn(name, [it]) for name in there] for it in (forth, back))
    return Renaming(moved, draft, (*renaming.upgrade, *up), (*down, *renaming.downgrade))


def _has(divergence: Divergence, rename: ProbableRename) -> bool:
    """Return whether a backend has what is renamed: a revision may have made it on one backend only."""
    tables = {table.name: table for table in divergence.found.tables}
    if rename.column is None:
        return rename.old_name in tables and rename.new_name not in tables
    columns = {column.name for column in tables[rename.table[1]].columns} if rename.table[1] in tables else set()
    return rename.old_name in columns and rename.new_name not in columns


def _with_new_name(divergence: Divergence, rename: ProbableRename) -> Divergence:
    with backend_for(divergence.target).engine(divergence.target, writing=True).begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        if rename.column is None:
            operations.rename_table(rename.old_name, rename.new_name, schema=rename.namespace)
        else:
            operations.alter_column(
                rename.table[1], rename.column, new_column_name=rename.new_name, schema=rename.namespace
            )
    return _read_again(divergence)


def _read_again(divergence: Divergence) -> Divergence:
    return replace(divergence, found=scratch.read_schema(divergence.target, *divergence.version_tables))


def _without_pieces(draft: Draft, rename: ProbableRename) -> tuple[Draft, tuple[str, ...], tuple[str, ...]]:
    """Return the draft without what drops and adds the renamed thing, and the lines of that in each direction."""
    sides = [
        [piece for piece in pieces if _drops_or_adds(piece, rename)] for pieces in (draft.upgrade, draft.downgrade)
    ]
    kept = [
        tuple(it for it in pieces if it not in left_out and not _is_on_renamed_table(it, rename))
        for pieces, left_out in zip((draft.upgrade, draft.downgrade), sides, strict=True)
    ]
    lines = [tuple(line for it in side for line in it.code.splitlines() if line[:1] != "#") for side in sides]
    return replace(draft, upgrade=kept[0], downgrade=kept[1]), lines[0], lines[1]


def _drops_or_adds(piece: Piece, rename: ProbableRename) -> bool:
    names = rename.old_name, rename.new_name
    operation = piece.operation
    if isinstance(operation, ModifyTableOps) and len(operation.ops) == 1:
        operation = operation.ops[0]
    match operation:
        case CreateTableOp() | DropTableOp():
            return rename.column is None and piece.table in names
        case AddColumnOp(column=column):
            return piece.is_about(rename.table) and rename.column is not None and column.name in names
        case DropColumnOp(column_name=column_name):
            return piece.is_about(rename.table) and rename.column is not None and column_name in names
    return False


def _is_on_renamed_table(piece: Piece, rename: ProbableRename) -> bool:
    """Return whether a piece changes a renamed table: such changes are computed again after the rename."""
    return rename.column is None and piece.table in {rename.old_name, rename.new_name}


def _with_part_names(renaming: Renaming) -> Renaming:
    """Rename constraints and indexes where the server can; else the table is rebuilt, once for all that it needs."""
    divergences, upgrade, downgrade = list[Divergence](), list(renaming.upgrade), list(renaming.downgrade)
    for divergence in renaming.divergences:
        statements, back = _part_statements(divergence)
        moved = divergence
        if statements:
            backend = backend_for(divergence.target)
            with backend.engine(divergence.target, writing=True).begin() as connection:
                for statement in statements:
                    execute_verbatim(connection, statement.sql)
            upgrade.append(OnlyOn(backend.name, [ExecuteSql(statements)]))
            downgrade.insert(0, OnlyOn(backend.name, [ExecuteSql(back)]))
            moved = _read_again(divergence)
        divergences.append(moved)
    return Renaming(tuple(divergences), _only_differing(renaming.draft, divergences), tuple(upgrade), tuple(downgrade))


def _part_statements(divergence: Divergence) -> tuple[list[AlterStatement], list[AlterStatement]]:
    """Return the statements that rename parts of tables, and those that name them back."""
    alter, found = backend_for(divergence.target).alter, divergence.found
    statements, back = list[AlterStatement](), list[AlterStatement]()
    for table, named in wanted_names(found, divergence.wanted) if divergence.wanted else ():
        other = replace(found, tables=tuple(named if it is table else it for it in found.tables))
        forth, home = alter.alter_statements(found, other), alter.alter_statements(other, found)
        if all(_RENAMING.search(it.sql) for it in (*forth, *home)):
            statements += forth
            back += home
    return statements, back


def _only_differing(draft: Draft, divergences: Sequence[Divergence]) -> Draft:
    """Return the draft without pieces on tables that are right on each backend now."""
    right = {
        table.name
        for table in divergences[0].found.tables
        if all(it.wanted and _table(it.found, table.name) == _table(it.wanted, table.name) for it in divergences)
    }
    upgrade, downgrade = (
        tuple(it for it in pieces if it.table not in right) for pieces in (draft.upgrade, draft.downgrade)
    )
    return replace(draft, upgrade=upgrade, downgrade=downgrade)


def _table(snapshot: Snapshot, name: str) -> Table | None:
    return next((table for table in snapshot.tables if table.name == name), None)
