"""Rules of indexes that are built or dropped while others wait, be it for a constraint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dormatory.checks.locks.upgrade import blocking
from dormatory.sql.operations import Act, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Played, Scene

_BLOCK = "with op.get_context().autocommit_block():  # alone in its revision"
_INDEX = re.compile(r"\b(CREATE\s+(?:UNIQUE\s+)?INDEX)\b", re.IGNORECASE)


def building(scene: Scene) -> Iterator[Finding]:
    """Report indexes that are built, rebuilt or dropped without CONCURRENTLY, also on behalf of a constraint."""
    for played, act in scene.deeds(Verb.CREATE_INDEX):
        if not act.is_gentle:
            message = f"{act.name or 'an index'} is built under {blocking(played.lock(act.table))}"
            yield scene.finding("index-not-concurrent", played, message, _built(scene, played, act), act.name)
    for played, act in scene.deeds(Verb.DROP_INDEX):
        if not act.is_gentle:
            message = f"{act.name} is dropped under {blocking(played.lock(act.table))}"
            call = f'op.drop_index("{act.name}", table_name="{act.table}", postgresql_concurrently=True)'
            yield scene.finding("index-drop-not-concurrent", played, message, f"{_BLOCK}\n    {call}", act.name)
    for played in scene.played:
        if any(act.verb is Verb.REINDEX and not act.is_gentle for act in played.acts) and played.statement.rewritten:
            message = f"{', '.join(played.statement.rewritten)} built anew, and nobody can write to the table meanwhile"
            hint = f'{_BLOCK}\n    op.execute("REINDEX … CONCURRENTLY …")'
            yield scene.finding("index-not-concurrent", played, message, hint, played.statement.rewritten[0])
    yield from _for_constraints(scene)


def _built(scene: Scene, played: Played, act: Act) -> str:
    """Return how this index is built while others write."""
    if scene.before(act.table).kind == "partitioned table":
        return (
            f"a partitioned table has no CONCURRENTLY: CREATE INDEX {act.name} ON ONLY {act.table}, "
            "the same CONCURRENTLY on each partition, then ALTER INDEX … ATTACH PARTITION"
        )
    if not act.columns:
        sql = _INDEX.sub(r"\1 CONCURRENTLY", played.statement.sql, count=1).replace('"""', "'''")
        return f'{_BLOCK}\n    op.execute("""{sql}""")'
    unique = ", unique=True" if act.kind else ""
    call = f'op.create_index("{act.name}", "{act.table}", {_list(act.columns)}{unique}, postgresql_concurrently=True)'
    return f"{_BLOCK}\n    {call}"


def _for_constraints(scene: Scene) -> Iterator[Finding]:
    for played, act in scene.deeds(Verb.ADD_CONSTRAINT):
        if act.kind in {"UNIQUE", "PRIMARY KEY", "EXCLUDE"} and not act.is_gentle:
            name = act.name or f"the {act.kind} of {act.table}"
            message = f"{name} builds its index under {blocking(played.lock(act.table))}"
            yield scene.finding("constraint-builds-index", played, message, _using_index(act), act.name or act.table)
    for played, act in scene.deeds(Verb.ADD_COLUMN):
        kind = "UNIQUE" if "unique" in act.words else "PRIMARY KEY" if "primary" in act.words else ""
        if kind:
            message = f"the {kind} of {act.table}.{act.name} builds its index under {blocking(played.lock(act.table))}"
            wanted = Act(Verb.ADD_CONSTRAINT, act.table, f"uq_{act.table}_{act.name}", kind=kind, columns=(act.name,))
            hint = f"the column alone first, then\n{_using_index(wanted)}"
            yield scene.finding("constraint-builds-index", played, message, hint, f"{act.table}.{act.name}")


def _using_index(act: Act) -> str:
    if act.kind == "EXCLUDE":
        return "there is no way around: build it while nobody needs the table, under a short lock_timeout"
    name = act.name or f"{act.table}_{'_'.join(act.columns)}_key"
    index = f'op.create_index("{name}", "{act.table}", {_list(act.columns)}, unique=True, postgresql_concurrently=True)'
    constraint = f'op.execute("ALTER TABLE {act.table} ADD CONSTRAINT {name} {act.kind} USING INDEX {name}")'
    return f"{_BLOCK}\n    {index}\n    {constraint}"


def _list(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
