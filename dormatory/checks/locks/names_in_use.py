"""Rules of names that programs may still use while a revision takes them away, or cannot serve yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.checks.locks.upgrade import full_name
from dormatory.sql.operations import Act, Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Played, Scene
    from dormatory.schema.snapshot import Table

_KNOWN = "the models of the base reference use it"
_LATER = "drop it one release after the last program that uses it:"
_UNKNOWN = "programs of the last release may use it until they are gone"


def in_use(scene: Scene, used: Mapping[str, Collection[str]] | None) -> Iterator[Finding]:
    """Report tables and columns whose names are gone afterwards, and columns that old programs must fill.

    `used` are the columns of each table that the models of the base reference use; None where nobody knows.
    """
    if scene.step.after is None:
        return
    relations = {full_name(table) for table in scene.step.after.tables} | {view.name for view in scene.step.after.views}
    for table in scene.step.before.tables:
        name = full_name(table)
        if name not in relations:
            if used is None or table.name in used:
                yield from _table(scene, name, _KNOWN if used else _UNKNOWN)
        elif now := scene.after(name):
            wanted = None if used is None else used.get(table.name, ())
            yield from _columns(scene, table, now, wanted)
            yield from _required(scene, table, now)
    yield from _labels(scene, used)


def _labels(scene: Scene, used: Mapping[str, Collection[str]] | None) -> Iterator[Finding]:
    """Report labels of enumerations that programs write and read by a name that is gone."""
    known = {full_name(enum) for enum in scene.step.before.enums}
    for played, act in ((each, act) for each in scene.played for act in each.acts):
        if act.verb is not Verb.RENAME_LABEL or act.kind not in known:
            continue
        columns = [
            f"{full_name(table)}.{column.name}"
            for table in scene.step.before.tables
            for column in table.columns
            if column.type.removesuffix("[]") == act.kind and (used is None or column.name in used.get(table.name, ()))
        ]
        if columns:
            message = f"the label {act.name} of {', '.join(columns)} is renamed to {act.new}; "
            message += _KNOWN if used is not None else _UNKNOWN
            hint = (
                f"op.execute(\"ALTER TYPE {act.kind} ADD VALUE '{act.new}'\")  # in an autocommit block\n"
                f"# release 1 reads both, release 2 writes {act.new}; then the rows that say {act.name}, in batches"
            )
            yield scene.finding("renamed-in-use", played, message, hint, f"{act.kind}.{act.name}")


def _table(scene: Scene, name: str, who: str) -> Iterator[Finding]:
    found = _last(scene, name, Verb.RENAME_TABLE, Verb.DROP_TABLE)
    if found is None:
        return
    played, act = found
    if act.verb is Verb.DROP_TABLE:
        hint = f'{_LATER}\nop.drop_table("{name}")'
        yield scene.finding("table-in-use-dropped", played, f"{name} is dropped; {who}", hint, name)
    else:
        message = f"{name} is renamed to {act.new}; {who}"
        hint = f'leave the old name until then:\nop.execute("CREATE VIEW {name} AS TABLE {act.new}")'
        yield scene.finding("renamed-in-use", played, message, hint, name)


def _columns(scene: Scene, before: Table, after: Table, used: Collection[str] | None) -> Iterator[Finding]:
    name = full_name(before)
    kept = {column.name for column in after.columns}
    for column in before.columns:
        if column.name in kept or (used is not None and column.name not in used):
            continue
        who, place = _KNOWN if used is not None else _UNKNOWN, f"{name}.{column.name}"
        found = _last(scene, name, Verb.DROP_COLUMN, Verb.RENAME_COLUMN, column=column.name)
        found = found or _last(scene, name, Verb.DROP_TABLE)
        if found is None:
            continue
        played, act = found
        if act.verb is Verb.RENAME_COLUMN:
            hint = (
                f'op.add_column("{name}", sa.Column("{act.new}", …))\n'
                f"# release 1 writes both, release 2 reads {act.new}, release 3 drops {column.name}"
            )
            message = f"{place} is renamed to {act.new}; {who}"
            yield scene.finding("renamed-in-use", played, message, hint, place)
        else:
            hint = (
                f'drop it one release after the last program that uses it:\nop.drop_column("{name}", "{column.name}")'
            )
            yield scene.finding("column-in-use-dropped", played, f"{place} is dropped; {who}", hint, place)


def _required(scene: Scene, before: Table, after: Table) -> Iterator[Finding]:
    """Report columns that are new and that every program must fill."""
    name, known = full_name(before), {column.name for column in before.columns}
    renamed = {act.new for played in scene.played for act in played.acts if act.verb is Verb.RENAME_COLUMN}
    for column in after.columns:
        fills_itself = column.default is not None or column.identity or column.generated
        if column.name in known | renamed or column.nullable or fills_itself:
            continue
        found = _last(scene, name, Verb.ADD_COLUMN, Verb.SET_NOT_NULL, Verb.ALTER_COLUMN, column=column.name)
        if found is not None:
            message = f"{name}.{column.name} is required and has no default: programs that do not know it cannot insert"
            hint = (
                f'op.add_column("{name}", sa.Column("{column.name}", …, server_default=…, nullable=False))\n'
                "# a later release takes the default away"
            )
            yield scene.finding("required-column", found[0], message, hint, f"{name}.{column.name}")


def _last(scene: Scene, table: str, *verbs: Verb, column: str = "") -> tuple[Played, Act] | None:
    """Return the last act of these kinds on a table that was there, or on one of its columns."""
    found = [
        (played, act)
        for played in scene.played
        for act in played.acts
        if act.verb in verbs and act.table == table and column in {"", act.name}
    ]
    return found[-1] if found else None
