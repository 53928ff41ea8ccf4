"""Columns of tables: how one is written, and the statements that add, alter, fill and drop them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.alter.casts import using_clause
from dormatory.backends.postgresql.alter.pairs import is_of_type
from dormatory.backends.postgresql.alter.step import AlterStep, Phase, quoted, short_name
from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.sql.lexer import TokenKind, tokenize
from dormatory.sql.literals import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.alter.pairs import TablePair
    from dormatory.schema.alteration import Conversions
    from dormatory.schema.snapshot import Column

_IDENTITY_OPTION = re.compile(r"([A-Z]+) (-?\d+|True)")
_USUAL_IDENTITY = {
    "INCREMENT": "INCREMENT 1",
    "START": "START 1",
    "MINVALUE": "NO MINVALUE",
    "MAXVALUE": "NO MAXVALUE",
    "CACHE": "CACHE 1",
    "CYCLE": "NO CYCLE",
}
_USUAL_STORAGE = {"numeric": "main", "inet": "main", "cidr": "main"}
_MAX_NAME = 63


def column_text(column: Column) -> str:
    """Return a column as CREATE TABLE has it."""
    parts = [_typed_name(column)]
    if column.generated is not None:
        parts.append(f"GENERATED ALWAYS AS ({column.generated}) {column.storage}")
    elif column.identity:
        parts.append(_identity_text(column.identity))
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if not column.nullable:
        parts.append("NOT NULL")
    return " ".join(parts)


def option_actions(before: Column | None, after: Column) -> Iterator[str]:
    """Yield what ALTER COLUMN does to give a column its options."""
    old, new = _options(before) if before else {}, _options(after)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name == "storage":
            usual = _USUAL_STORAGE.get(re.split(r"[(\[]", after.type)[0], "extended")
            yield f"SET STORAGE {new.get(name, usual).upper()}"
        elif name == "compression":
            yield f"SET COMPRESSION {new.get(name, 'default')}"
        elif name == "statistics":
            yield f"SET STATISTICS {new.get(name, '-1')}"
        else:
            yield f"SET ({name} = {new[name]})" if name in new else f"RESET ({name})"


class ColumnSteps:
    """The statements that give a table that stays its columns."""

    def __init__(self, pair: TablePair, conversions: Conversions) -> None:
        self._pair = pair
        self._conversions = {name: text for (table, name), text in conversions.items() if table == pair.after.id}
        self._table, self._tables = short_name(pair.after.id), frozenset([pair.after.id])

    def steps(self) -> Iterator[AlterStep]:
        """Yield the statements."""
        if self._pair.after.inherits:
            return  # the parent has them
        lost = [old.name for old, new in self._pair.columns if old.identity and not new.identity]
        yield from self._alter(Phase.DROP_IDENTITIES, [f"ALTER COLUMN {quoted(name)} DROP IDENTITY" for name in lost])
        early, late = self._drops()
        actions = [f"DROP COLUMN {quoted(name)}" for name in early]
        for old, new in self._pair.columns:
            actions += (f"ALTER COLUMN {quoted(new.name)} {action}" for action in self._column_actions(old, new))
        added = sorted(self._pair.added, key=lambda column: column.generated is not None)
        actions += (f"ADD COLUMN {self._added_text(column)}" for column in added)
        made = tuple(f"COLUMN {self._table}.{quoted(column.name)}" for column in added)
        yield from (replace(step, makes=made) for step in self._alter(Phase.ALTER_COLUMNS, actions))
        for column in self._pair.added:
            yield from self._completion(column)
        for old, new in self._pair.columns:
            yield from self._fill(new) if new.name not in self._pair.retyped_names else ()
            yield from self._require(new) if old.nullable and not new.nullable else ()
            if new.identity and not old.identity:
                yield from self._identify(new)
        yield from self._alter(Phase.DROP_COLUMNS, [f"DROP COLUMN {quoted(name)}" for name in late])

    def _drops(self) -> tuple[list[str], list[str]]:
        """Return the columns to drop at once, and those that a conversion may still read."""
        names = [column.name for column in self._pair.removed]
        is_early = dict.fromkeys(names, not self._conversions) | dict.fromkeys(self._pair.remade_names, True)
        is_early |= {column.name: True for column in self._pair.removed if column.generated is not None}
        return [name for name in names if is_early[name]], [name for name in names if not is_early[name]]

    def _column_actions(self, old: Column, new: Column) -> Iterator[str]:
        """Yield what ALTER COLUMN does to a column that stays."""
        is_retyped = new.name in self._pair.retyped_names
        if old.generated is not None and new.generated is None:
            yield "DROP EXPRESSION"
        if old.default is not None and (is_retyped or new.default is None):
            yield "DROP DEFAULT"
        if new.nullable and not old.nullable:
            yield "DROP NOT NULL"
        if is_retyped:
            yield self._type_action(old, new)
        if new.default is not None and (is_retyped or new.default != old.default):
            yield f"SET DEFAULT {new.default}"
        if old.identity and new.identity and old.identity != new.identity:
            yield _identity_change(old.identity, new.identity)
        yield from option_actions(old, new)

    def _type_action(self, old: Column, new: Column) -> str:
        name = quoted(new.name)
        collation = f" COLLATE {new.collation}" if new.collation else ""
        if new.name in self._conversions:
            using = f" USING ({self._conversions[new.name]})::{new.type}"
        else:
            is_exchanged = is_of_type(old, self._pair.exchanged_types)
            using = using_clause(name, old.type, new.type, is_exchanged=is_exchanged)
        return f"TYPE {new.type}{collation}{using}"

    def _value(self, column: Column) -> str | None:
        """Return the expression that fills a column, if there is one."""
        old = next((it for it in self._pair.before.columns if it.name == column.name), None)
        previous = old.generated if old else None  # a computed value becomes a stored one
        return self._conversions.get(column.name, previous) if column.generated is None else None

    def _added_text(self, column: Column) -> str:
        value = self._value(column)
        if value is not None and _is_constant(value):
            return f"{_typed_name(column)} DEFAULT {value}{'' if column.nullable else ' NOT NULL'}"
        is_filled_later = column.default is None and column.generated is None and not column.identity
        if value is not None or (is_filled_later and not column.nullable):
            return _typed_name(column)
        return column_text(column)

    def _completion(self, column: Column) -> Iterator[AlterStep]:
        """Yield what gives a new column its values and what its text in ADD COLUMN lacks."""
        value, name = self._value(column), quoted(column.name)
        actions = [f"ALTER COLUMN {name} {action}" for action in option_actions(None, column)]
        if value is not None and column.default is not None:
            actions.append(f"ALTER COLUMN {name} SET DEFAULT {column.default}")
        elif value is not None and _is_constant(value):
            actions.append(f"ALTER COLUMN {name} DROP DEFAULT")
        yield from self._alter(Phase.COMPLETE_COLUMNS, actions)
        if value is not None and not _is_constant(value):
            yield from self._fill(column)
        if not column.nullable and "NOT NULL" not in self._added_text(column):
            yield from self._require(column)
        if value is not None and column.identity:
            yield from self._identify(column)

    def _fill(self, column: Column) -> Iterator[AlterStep]:
        value = self._value(column)
        if value is not None:
            name = quoted(column.name)
            sql = f"UPDATE {self._table} SET {name} = {value} WHERE {name} IS DISTINCT FROM ({value})"  # noqa: S608  # quoted
            yield AlterStep(Phase.FILL, sql, self._tables, is_online=True)

    def _require(self, column: Column) -> Iterator[AlterStep]:
        """Yield NOT NULL in steps that read the rows without keeping anybody out."""
        name = quoted(column.name)
        check = quoted(f"ck_{self._pair.after.name}_{column.name}_not_null"[:_MAX_NAME])
        for action in (
            f"ADD CONSTRAINT {check} CHECK ({name} IS NOT NULL) NOT VALID",
            f"VALIDATE CONSTRAINT {check}",
            f"ALTER COLUMN {name} SET NOT NULL",
            f"DROP CONSTRAINT {check}",
        ):
            yield AlterStep(Phase.REQUIRE, f"ALTER TABLE {self._table} {action}", self._tables, is_online=True)

    def _identify(self, column: Column) -> Iterator[AlterStep]:
        """Yield what makes an identity of a column with rows, and counts behind its highest value."""
        action = f"ALTER COLUMN {quoted(column.name)} ADD {_identity_text(column.identity or '')}"
        yield from self._alter(Phase.REQUIRE, [action])
        sequence = f"pg_get_serial_sequence({quote_literal(self._table)}, {quote_literal(column.name)})"
        yield counter_step(sequence, self._table, column.name, self._tables)

    def _alter(self, phase: Phase, actions: list[str]) -> Iterator[AlterStep]:
        if actions:
            yield AlterStep(phase, f"ALTER TABLE {self._table} {', '.join(actions)}", self._tables)


def counter_step(sequence: str, table: str, column: str, tables: frozenset[tuple[str | None, str]]) -> AlterStep:
    """Return the statement that sets a sequence, an expression, behind the highest value of a column."""
    name = quoted(column)
    sql = f"SELECT setval({sequence}, max({name})) FROM {table} HAVING max({name}) > 0"  # noqa: S608  # quoted
    return AlterStep(Phase.SET_COUNTERS, sql, tables, is_online=True)


def _typed_name(column: Column) -> str:
    collation = f" COLLATE {column.collation}" if column.collation else ""
    return f"{quoted(column.name)} {column.type}{collation}"


def _identity_text(identity: str) -> str:
    kind, options = identity.partition(" (")[0], " ".join(_identity_options(identity).values())
    return f"GENERATED {kind} AS IDENTITY{f' ({options})' if options else ''}"


def _identity_change(old: str, new: str) -> str:
    """Return what ALTER COLUMN does to an identity; an option that goes gets its usual value."""
    before, after = _identity_options(old), _identity_options(new)
    old_kind, new_kind = (identity.partition(" (")[0] for identity in (old, new))
    parts = [f"SET GENERATED {new_kind}"] * (old_kind != new_kind)
    for name, usual in _USUAL_IDENTITY.items():
        if before.get(name) != after.get(name):
            parts.append(f"SET {after.get(name, usual)}")
    return " ".join(parts)


def _identity_options(identity: str) -> dict[str, str]:
    """Return the options of an identity as SQL has them, by their first word."""
    options = _IDENTITY_OPTION.findall(identity.partition(" (")[2])
    return {name: "CYCLE" if name == "CYCLE" else f"{name} {value}" for name, value in options}


def _options(column: Column) -> dict[str, str]:
    """Return the options of a column by name: `storage main`, or `n_distinct=5, n_distinct_inherited=2`."""
    found: dict[str, str] = {}
    for text in column.options:
        if "=" in text:
            found |= dict(part.split("=", 1) for part in text.split(", "))
        elif not text.startswith("foreign "):
            name, _, value = text.partition(" ")
            found[name] = value
    return found


def _is_constant(expression: str) -> bool:
    """Return whether an expression is one literal, perhaps with a cast."""
    tokens = tokenize(expression, DIALECT)
    is_value = tokens[0].kind in {TokenKind.STRING, TokenKind.NUMBER} or tokens[0].word in {"null", "true", "false"}
    return is_value and (len(tokens) == 1 or tokens[1].word == "::")
