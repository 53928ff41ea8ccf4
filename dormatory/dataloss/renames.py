"""Finds what a revision drops and adds again under another name: a rename, it seems, that loses all values.

Autogenerate writes such revisions, because it does not see renames. Dropping one thing and adding an unrelated one in
the same revision is everyday work, so the same type is not enough. It is taken for a rename if the names resemble each
other, if constraints or indexes are the same but for the name, or if three lesser facts agree; two are a suspicion.
What holds different values already after the upgrade is no empty copy and never taken for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from dormatory.dataloss.matching import canonical_column
from dormatory.schema.renames import has_equal_parts_after_rename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.dataloss.timeline import TableTransition, TimelineLeg
    from dormatory.schema.snapshot import Column, Table

_WORDS_WITHOUT_MEANING = frozenset({"at", "by", "date", "has", "id", "is", "name", "no", "of", "on", "time", "type"})
_MIN_CONTAINED_LENGTH = 4  # characters of a name that is a part of another one: mail and email
_MIN_SIMILARITY = 0.75
_SURE = 3  # facts
#: How many facts are a suspicion.
SUSPECTED = 2
_MIN_COMMON_COLUMNS = 0.6  # the share that two tables of similar names have in common
_MIN_TELLING_COLUMNS = 4  # two tables with only id and name are often unrelated


@dataclass(frozen=True, slots=True)
class LikelyRename:
    """The name under which something was added again, why it seems so, and whether that is enough."""

    new_name: str
    evidence: str
    is_sure: bool


def likely_column_rename(transition: TableTransition, name: str) -> LikelyRename | None:
    """Return the added column that seems to be a dropped one, None if there is none or more than one."""
    table, table_after = transition.table, transition.table_after
    if table_after is None:
        return None
    column = next(it for it in table.columns if it.name == name)
    known = {it.name for it in table.columns}
    added = [
        it
        for it in table_after.columns
        if it.name not in known and it.type == column.type and it.generated is None and _is_empty(transition, it.name)
    ]
    facts = [(rename_facts(table, table_after, column, it), it) for it in added]
    best = max((len(them) for them, _ in facts), default=0)
    likely = [(them, it) for them, it in facts if len(them) == best]
    if best < SUSPECTED or len(likely) != 1:
        return None
    ((found, new),) = likely
    return LikelyRename(new.name, f"same type, {', '.join(dict.fromkeys(found))}", is_sure=best >= _SURE)


def likely_table_rename(leg: TimelineLeg, table: Table) -> LikelyRename | None:
    """Return the created, empty table that seems to be a dropped one, None if there is none or more than one."""
    known = {it.id for it in leg.before.schema.tables} | {
        (table.namespace, name) for name in leg.dataflow.renames.values()
    }
    filled = {it.id for it in leg.after.contents.tables if it.rows}
    created = [
        it
        for it in leg.after.schema.tables
        if it.id not in known and it.id not in filled and it.namespace == table.namespace and it.kind == table.kind
    ]
    found = [rename for it in created if (rename := resembling_table(table, it)) is not None]
    return found[0] if len(found) == 1 else None


def is_similar_name(one: str, other: str) -> bool:
    """Return whether two names resemble each other, apart from words that many names have."""
    short, long = sorted((one.lower(), other.lower()), key=len)
    if len(short) >= _MIN_CONTAINED_LENGTH and short in long:
        return True
    words, other_words = (set(re.findall(r"[a-z]+", it)) - _WORDS_WITHOUT_MEANING for it in (short, long))
    if words & other_words:
        return True
    text, other_text = ("".join(sorted(it)) for it in (words, other_words))
    if not text or not other_text:
        return False
    is_abbreviated = text.startswith(other_text) or other_text.startswith(text)
    return is_abbreviated or SequenceMatcher(None, text, other_text).ratio() >= _MIN_SIMILARITY


def rename_facts(table: Table, table_after: Table, old: Column, new: Column) -> list[str]:
    """Return what speaks for a rename of a column of equal type; what is enough on its own is repeated."""
    facts = ["a similar name"] * _SURE * is_similar_name(old.name, new.name)
    facts += ["the same constraints or indexes"] * _SURE * has_equal_parts_after_rename(old, new, table, table_after)
    facts += ["the same size"] * ("(" in old.type)
    facts += ["NOT NULL as well"] * (not old.nullable and not new.nullable)
    facts += ["the same default"] * (old.default is not None and old.default == new.default)
    facts += ["the same comment"] * (old.comment is not None and old.comment == new.comment)
    return facts + ["the same place"] * (
        _next_column(table.columns, old) == _next_column(table_after.columns, new) != ""
    )


def _next_column(columns: Sequence[Column], column: Column) -> str:
    """Return the name of the column behind one, "" for the last one, which any new column becomes."""
    names = [it.name for it in columns]
    return next(iter(names[names.index(column.name) + 1 :]), "")


def _is_empty(transition: TableTransition, name: str) -> bool:
    """Return whether a column holds no value, or the same one in all rows."""
    rows = transition.rows_after
    return rows is not None and name in rows.columns and len(set(canonical_column(rows, name))) <= 1


def resembling_table(old: Table, new: Table) -> LikelyRename | None:
    """Return why a table seems to be another one under a new name, None if it does not."""
    columns, new_columns = ({(it.name, it.type) for it in table.columns} for table in (old, new))
    share = len(columns & new_columns) / len(columns | new_columns)
    if is_similar_name(old.name, new.name) and share >= _MIN_COMMON_COLUMNS:
        return LikelyRename(new.name, "a similar name and the same columns", is_sure=True)
    if share < 1:
        return None
    evidence = f"the same {len(columns)} column{'s' * (len(columns) > 1)}"
    return LikelyRename(new.name, evidence, is_sure=len(columns) >= _MIN_TELLING_COLUMNS)
