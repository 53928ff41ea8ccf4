"""Tables: created, dropped, and their own properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.columns import ColumnSteps, column_text, option_actions
from dormatory.backends.postgresql.alter.constraints import inline_constraint
from dormatory.backends.postgresql.alter.step import AlterStep, Phase, quoted, short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.backends.postgresql.alter.pairs import SnapshotPair
    from dormatory.schema.alteration import Conversions
    from dormatory.schema.snapshot import Table, TableId

_PLAIN = "ALTER TABLE"


def table_steps(snapshots: SnapshotPair, conversions: Conversions) -> Iterator[AlterStep]:
    """Yield the statements for tables and their columns, without what else belongs to a table."""
    stays = frozenset(snapshots.pairs)
    for table in reversed(_in_order(snapshots.removed_tables)):
        referred = frozenset(it.references.table_id for it in table.constraints if it.references) & stays
        yield AlterStep(Phase.DROP_TABLES, f"DROP TABLE {short_name(table.id)}", referred)
    for table in _in_order(snapshots.added_tables):
        yield AlterStep(Phase.CREATE_TABLES, _create_table(table))
        yield from _set_properties(None, table, frozenset())
        for column in table.columns:
            for action in option_actions(None, column):
                sql = f"{_PLAIN} {short_name(table.id)} ALTER COLUMN {quoted(column.name)} {action}"
                yield AlterStep(Phase.SET_TABLES, sql)
    for pair in snapshots.pairs.values():
        yield from ColumnSteps(pair, conversions).steps()
        yield from _set_properties(pair.before, pair.after, frozenset([pair.after.id]))


def foreign_keys_in_circles(tables: Iterable[Table]) -> frozenset[tuple[TableId, str]]:
    """Return the foreign keys between dropped tables that must go before their tables do."""
    place = {table.id: at for at, table in enumerate(_in_order(tuple(tables)))}
    return frozenset(
        (table.id, it.name or "")
        for table in tables
        for it in table.constraints
        if it.references and place.get(it.references.table_id, -1) > place[table.id]
    )


def _create_table(table: Table) -> str:
    name, kind = short_name(table.id), "UNLOGGED TABLE" if table.persistence == "unlogged" else "TABLE"
    parents = table.inherits
    if table.partition_bound:
        head = f"CREATE {kind} {name} PARTITION OF {parents[0]} {table.partition_bound}"
    else:
        parts = [column_text(column) for column in table.columns]
        parts += filter(None, map(inline_constraint, table.constraints))
        body = "({})".format(", ".join(parts))
        head = f"CREATE {kind} {name} {body}" + (f" INHERITS ({', '.join(parents)})" if parents else "")
    if table.partition_key:
        head += f" PARTITION BY {table.partition_key}"
    for option in table.options:
        if option.startswith("access method "):
            head += f" USING {quoted(option.removeprefix('access method '))}"
    parameters = _parameters(table)
    if parameters:
        head += f" WITH ({', '.join(f'{key} = {value}' for key, value in parameters.items())})"
    return head


def _set_properties(before: Table | None, after: Table, tables: frozenset[TableId]) -> Iterator[AlterStep]:
    """Yield the statements that give a table its properties; one that is created has the first ones already."""
    actions = list(_property_actions(before, after)) if before else []
    actions += _replica_identity(before, after)
    actions += _row_security(before, after)
    for action in actions:
        yield AlterStep(Phase.SET_TABLES, f"{_PLAIN} {short_name(after.id)} {action}", tables)


def _property_actions(before: Table, after: Table) -> Iterator[str]:
    if before.persistence != after.persistence:
        yield f"SET {'UNLOGGED' if after.persistence == 'unlogged' else 'LOGGED'}"
    old, new = _parameters(before), _parameters(after)
    if gone := sorted(old.keys() - new.keys()):
        yield f"RESET ({', '.join(gone)})"
    if changed := [f"{key} = {value}" for key, value in new.items() if old.get(key) != value]:
        yield f"SET ({', '.join(changed)})"
    methods = [_option(table, "access method ") or "heap" for table in (before, after)]
    if methods[0] != methods[1]:
        yield f"SET ACCESS METHOD {quoted(methods[1])}"


def _replica_identity(before: Table | None, after: Table) -> Iterator[str]:
    old, new = _option(before, "replica identity "), _option(after, "replica identity ")
    if old != new:
        yield f"REPLICA IDENTITY {(new or 'default').upper()}"


def _row_security(before: Table | None, after: Table) -> Iterator[str]:
    old, new = (table.row_security if table else None for table in (before, after))
    was_enabled, is_enabled = (state in {"enabled", "forced"} for state in (old, new))
    was_forced, is_forced = (state is not None and state.startswith("forced") for state in (old, new))
    if was_enabled != is_enabled:
        yield f"{'ENABLE' if is_enabled else 'DISABLE'} ROW LEVEL SECURITY"
    if was_forced != is_forced:
        yield f"{'FORCE' if is_forced else 'NO FORCE'} ROW LEVEL SECURITY"


def _parameters(table: Table) -> dict[str, str]:
    """Return the storage parameters of a table, those of its TOAST table included."""
    return dict(option.split("=", 1) for option in table.options if "=" in option)


def _option(table: Table | None, start: str) -> str | None:
    found = (it.removeprefix(start) for it in (table.options if table else ()) if it.startswith(start))
    return next(found, None)


def _in_order(tables: tuple[Table, ...]) -> list[Table]:
    """Return tables after those that they refer to or inherit from; in a circle by name."""
    names = {short_name(table.id): table for table in tables}
    by_id = {table.id: table for table in tables}
    order: dict[TableId, Table] = {}

    def visit(table: Table, path: frozenset[TableId]) -> None:
        needed = [by_id.get(it.references.table_id) for it in table.constraints if it.references]
        needed += [names.get(parent) for parent in table.inherits]
        for other in needed:
            if other and other.id not in order and other.id not in path:
                visit(other, path | {other.id})
        order.setdefault(table.id, table)

    for table in tables:
        visit(table, frozenset([table.id]))
    return list(order.values())
