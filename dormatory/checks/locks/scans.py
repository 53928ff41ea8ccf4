"""Rules of tables that are read from end to end or written anew while others wait for them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.checks.locks.upgrade import blocking, blocks_writers, full_name
from dormatory.sql.operations import Act, Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.checks.locks.upgrade import Played, Scene

_BLOCK = "with op.get_context().autocommit_block():"


def validating(scene: Scene) -> Iterator[Finding]:
    """Report constraints whose rows are checked under their own lock, seen by the tables that were read."""
    for played, act in scene.deeds(Verb.ADD_CONSTRAINT, Verb.VALIDATE):
        if _is_checked_under_lock(scene, played, act):
            if act.kind == "NOT NULL":
                yield _not_null(scene, played, act.table, act.columns[0])
                continue
            name = act.name or f"the {act.kind} of {act.table}"
            message = f"{name}: the rows of {act.table} are checked under {_locked(played, act)}"
            yield scene.finding("constraint-validated-under-lock", played, message, _apart(act), act.name or act.table)
    for played, act in scene.deeds(Verb.SET_NOT_NULL):
        if played.reads_all_of(act.table) and act.table not in played.statement.rewritten:
            yield _not_null(scene, played, act.table, act.name)


_UNTOLD = frozenset({Verb.ADD_COLUMN, Verb.ALTER_COLUMN, Verb.ALTER_TABLE, Verb.OTHER})


def reading(scene: Scene, blamed: Collection[int]) -> Iterator[Finding]:
    """Report tables that a statement locks and reads for a reason its form does not tell, such as a domain's CHECK.

    `blamed` are the lines of which another rule has told the reason.
    """
    for played in scene.played:
        verbs = {act.verb for act in played.acts}
        if played.statement.line in blamed or not verbs <= _UNTOLD:
            continue
        own = {lock.table for lock in played.statement.locks}
        for table in played.statement.scanned:
            lock, is_query = played.lock(table), Verb.OTHER in verbs and table not in own
            if blocks_writers(lock) and not is_query and scene.stays(table):
                message = f"the rows of {table} are checked under {blocking(lock)}"
                hint = "let a validated CHECK ... NOT VALID say the same before, so that no row need be read"
                yield scene.finding("constraint-validated-under-lock", played, message, hint, table)


def rewriting(scene: Scene) -> Iterator[Finding]:
    """Report tables and indexes that a statement wrote anew, with what made it do so."""
    for played in scene.played:
        if any(act.verb is Verb.REINDEX for act in played.acts):
            continue
        tables = {full_name(table) for table in scene.step.before.tables}
        for name in played.statement.rewritten:
            if name in tables and scene.stays(name):
                act = min((act for act in played.acts if act.table == name), key=_likelihood, default=None)
                message = f"{name} is written anew under {blocking(played.lock(name))}; {_cause(act)}"
                yield scene.finding("table-rewrite", played, message, _around(act, name), _object(act, name))
        yield from _views(scene, played)
        if not tables & set(played.statement.rewritten):
            yield from _indexes_alone(scene, played)


def _views(scene: Scene, played: Played) -> Iterator[Finding]:
    """Report materialised views that are filled anew while nobody can read them."""
    for view in scene.step.before.views:
        name = full_name(view)
        if name in played.statement.rewritten and "not populated" not in view.options:
            message = f"{name} is filled anew under {blocking(played.lock(name))}"
            hint = f"over a unique index without a condition:\nREFRESH MATERIALIZED VIEW CONCURRENTLY {name}"
            yield scene.finding("table-rewrite", played, message, hint, name)


def _indexes_alone(scene: Scene, played: Played) -> Iterator[Finding]:
    """Report indexes that a change of type makes anew although the table stays as it is."""
    act = next((act for act in played.acts if act.verb is Verb.ALTER_TYPE and act.table), None)
    if act and played.statement.rewritten and scene.stays(act.table):
        names = ", ".join(played.statement.rewritten)
        message = f"{names} built anew under {blocking(played.lock(act.table))}; {_cause(act)}"
        yield scene.finding("table-rewrite", played, message, _around(act, act.table), _object(act, act.table))


def _is_checked_under_lock(scene: Scene, played: Played, act: Act) -> bool:
    """Say whether rows were read for a constraint while nobody could write.

    To check a foreign key the server may go through an index, which is no scan; it reads all rows all the same.
    """
    if act.verb is Verb.VALIDATE:
        return act.table in played.held and blocks_writers(played.held[act.table])
    if act.is_gentle or act.kind not in {"FOREIGN KEY", "CHECK", "NOT NULL"}:
        return False
    if act.kind == "FOREIGN KEY":
        known = {column.name for column in scene.before(act.table).columns}
        return played.reads_all_of(act.table) or known >= set(act.columns)
    return played.reads_all_of(act.table)


def _locked(played: Played, act: Act) -> str:
    """Return what is locked meanwhile; a foreign key locks both tables alike."""
    lock, other = played.lock(act.table), played.lock(act.refers[0])
    if lock and other and lock.mode == other.mode and lock.table != other.table:
        lock = replace(lock, table=f"{lock.table} and {other.table}")
        return re.sub(r"\bit\b", "them", blocking(lock))
    return blocking(lock)


def _apart(act: Act) -> str:
    """Return how the constraint is added under a short lock and its rows checked under none that blocks."""
    name = act.name or f"fk_{act.table}_{'_'.join(act.columns)}"
    validate = f'    op.execute("ALTER TABLE {act.table} VALIDATE CONSTRAINT {name}")'
    if act.verb is Verb.VALIDATE:
        return f"in a later revision, or in its own transaction:\n{_BLOCK}\n{validate}"
    if act.kind == "FOREIGN KEY":
        other, columns = act.refers
        local, remote = ("[" + ", ".join(f'"{each}"' for each in side) + "]" for side in (act.columns, columns))
        call = (
            f'op.create_foreign_key("{name}", "{act.table}", "{other}", {local}, {remote}, postgresql_not_valid=True)'
        )
    else:
        call = f'op.create_check_constraint("{name}", "{act.table}", …, postgresql_not_valid=True)'
    return f"{_BLOCK}\n    {call}\n{validate}"


def _not_null(scene: Scene, played: Played, table: str, column: str) -> Finding:
    message = f"NOT NULL of {table}.{column} reads all of {table} under {blocking(played.lock(table))}"
    check = f"ck_{table}_{column}_not_null"
    steps = (
        f"ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID",
        f"VALIDATE CONSTRAINT {check}",
        f"ALTER COLUMN {column} SET NOT NULL",
        f"DROP CONSTRAINT {check}",
    )
    hint = "\n".join((_BLOCK, *(f'    op.execute("ALTER TABLE {table} {step}")' for step in steps)))
    return scene.finding("not-null-scan", played, message, hint, f"{table}.{column}")


_CAUSES = (Verb.ALTER_TYPE, Verb.SET_STORAGE, Verb.CLUSTER, Verb.VACUUM)


def _likelihood(act: Act) -> int:
    """Return the rank of what a statement does among the causes of a rewrite, the likeliest first."""
    if act.verb in _CAUSES:
        return _CAUSES.index(act.verb)
    is_new = act.verb is Verb.ADD_COLUMN and _cause_in_column(act)
    is_computed = act.verb is Verb.ALTER_COLUMN and "expression" in act.words
    return len(_CAUSES) + (not is_new and not is_computed)


def _cause(act: Act | None) -> str:
    """Return what makes a statement write a table anew."""
    match act:
        case Act(verb=Verb.ALTER_TYPE, name=column):
            return f"the new type of {column} is stored differently"
        case Act(verb=Verb.ADD_COLUMN):
            return _cause_in_column(act) or "the statement copies it"
        case Act(verb=Verb.SET_STORAGE, words=words):
            return f"SET {' '.join(words[:2]).upper()} copies it"
        case Act(verb=Verb.ALTER_COLUMN, name=column, words=words) if "expression" in words:
            return f"{column} gets other values"
        case Act(verb=Verb.CLUSTER | Verb.VACUUM as verb):
            return f"{verb.value} copies it"
    return "the statement copies it"


def _cause_in_column(act: Act) -> str:
    if "stored" in act.words:
        return f"{act.name} is generated and stored"
    if "identity" in act.words or any(word.strip("0123456789").endswith("serial") for word in act.words):
        return f"{act.name} counts the rows that are there"
    if "default" in act.words:
        return f"the default of {act.name} is another one for each row"
    return ""


def _around(act: Act | None, table: str) -> str:
    """Return how the same is had without copying the table at once."""
    match act:
        case Act(verb=Verb.ALTER_TYPE, name=column):
            return (
                f'op.add_column("{table}", sa.Column("{column}_new", …, nullable=True))\n'
                f"# a trigger or the program fills both; a later revision the old rows, in batches; then {column} goes"
            )
        case Act(verb=Verb.ADD_COLUMN, name=column, words=words):
            if "default" in words:
                return (
                    f'op.add_column("{table}", sa.Column("{column}", …, nullable=True))\n'
                    f'op.alter_column("{table}", "{column}", server_default=…)  # for new rows only\n'
                    "# a later revision fills the old rows in batches"
                )
            return (
                f'op.add_column("{table}", sa.Column("{column}", …, nullable=True))\n# filled in batches, by a trigger'
            )
        case Act(verb=Verb.CLUSTER | Verb.VACUUM):
            return "pg_repack does it while others work; it is no business of a revision"
    return "make a new table, fill it in batches while a trigger keeps it up to date, and change the names"


def _object(act: Act | None, table: str) -> str:
    is_column = act is not None and act.verb in {Verb.ALTER_TYPE, Verb.ADD_COLUMN, Verb.ALTER_COLUMN}
    return f"{table}.{act.name}" if act is not None and is_column else table
