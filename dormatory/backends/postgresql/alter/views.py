"""Views and materialised views: what reads a thing that is altered is dropped before it and made again after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.attached import create_rule, create_trigger
from dormatory.backends.postgresql.alter.indexes import create_index
from dormatory.backends.postgresql.alter.step import AlterStep, Phase, mentions, quoted, short_name
from dormatory.schema.snapshot import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.backends.postgresql.alter.pairs import SnapshotPair


ViewId = tuple[str | None, str]


def view_steps(snapshots: SnapshotPair) -> Iterator[AlterStep]:
    """Yield the statements for all views."""
    remade = _remade_views(snapshots)
    known = {_id(view) for view in snapshots.before.views} - remade
    for view in reversed(_in_order(snapshots.before.views)):
        if _id(view) in remade:
            yield AlterStep(Phase.DROP_VIEWS, f"DROP {view.kind.upper()} {short_name(_id(view))}")
    for view in _in_order(snapshots.after.views):
        if _id(view) not in known:
            yield from _create(view)


def _remade_views(snapshots: SnapshotPair) -> frozenset[ViewId]:
    """Return the views that do not stay: they change, or read what is altered, or read such a view."""
    now = {_id(view): view for view in snapshots.after.views}
    found = {
        _id(view)
        for view in snapshots.before.views
        if _facts(view) != (_facts(now[_id(view)]) if _id(view) in now else None) or snapshots.touches(view.definition)
    }
    while True:
        names = {name for _, name in found}
        more = {_id(it) for it in snapshots.before.views if mentions(it.definition, names)} - found
        if not more:
            return frozenset(found)
        found |= more


def _create(view: View) -> Iterator[AlterStep]:
    name = short_name(_id(view))
    options = ", ".join(it.replace("=", " = ", 1) for it in view.options if "=" in it)
    head = f"CREATE {view.kind.upper()} {name}" + f" WITH ({options})" * bool(options)
    rest = " WITH NO DATA" * ("not populated" in view.options)
    yield AlterStep(
        Phase.CREATE_VIEWS,
        f"{head} AS {view.definition}{rest}",
        is_online=view.kind == "materialized view" and not rest,  # it reads tables, which nothing may lock meanwhile
        makes=(f"{view.kind.upper()} {name}",),
    )
    for column in view.columns:
        if column.default is not None:
            sql = f"ALTER VIEW {name} ALTER COLUMN {quoted(column.name)} SET DEFAULT {column.default}"
            yield AlterStep(Phase.CREATE_VIEWS, sql)
    for index in view.indexes:
        yield from create_index(view, index, Phase.CREATE_VIEWS)
    for trigger in view.triggers:
        yield from create_trigger(_id(view), trigger)
    for rule in view.rules:
        yield from create_rule(_id(view), rule)


def _facts(view: View) -> View:
    """Return a view without its comments and grants, for which it need not be made again."""
    return replace(
        view,
        comment=None,
        grants=(),
        columns=tuple(replace(it, comment=None, grants=()) for it in view.columns),
        indexes=tuple(replace(it, comment=None) for it in view.indexes),
        triggers=tuple(replace(it, comment=None) for it in view.triggers),
        rules=tuple(replace(it, comment=None) for it in view.rules),
    )


def _in_order(views: Iterable[View]) -> list[View]:
    """Return views after those that they read."""
    waiting, order = list(views), list[View]()
    while waiting:
        ready = [
            it for it in waiting if not mentions(it.definition, {other.name for other in waiting if other is not it})
        ]
        order += ready or waiting[:1]  # a column may have the name of a view
        waiting = [it for it in waiting if it not in order]
    return order


def _id(view: View) -> ViewId:
    return view.namespace, view.name
