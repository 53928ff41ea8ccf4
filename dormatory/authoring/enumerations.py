"""Values of enumerations that come, go or get another name: what the rows that hold them get."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dormatory.authoring.extra_operations import ExecuteSql, OnlyOn, Undecided
from dormatory.authoring.transition import column_key, on_each_backend, quoted_name, update_statement
from dormatory.schema.alteration import AlterStatement
from dormatory.sql.expression import portable_expression
from dormatory.sql.lexer import TokenKind, tokenize
from dormatory.sql.literals import quote_literal, string_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alembic.operations import MigrateOperation

    from dormatory.authoring.model_values import ModelValues
    from dormatory.authoring.transition import ColumnKey, Transition
    from dormatory.schema.alteration import ColumnId
    from dormatory.schema.snapshot import Column, Enum, Snapshot, Table
    from dormatory.sql.dialect import Dialect

_MIN_SPELT_LENGTH = 5
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class EnumeratedColumn:
    """A column with a fixed list of values; `type` is the enumeration's, None where a CHECK has the list."""

    id: ColumnId
    values: tuple[str, ...]
    column: Column
    type: Enum | None = None


@dataclass(frozen=True, slots=True)
class ValueChange:
    """The values of a column before and after; `on_backends` holds the column where the database knows the list."""

    key: ColumnKey
    before: tuple[str, ...]
    after: tuple[str, ...]
    on_backends: Mapping[str, tuple[EnumeratedColumn, EnumeratedColumn]]

    @property
    def removed(self) -> tuple[str, ...]:
        """The values that rows may hold and may not hold any longer."""
        return tuple(value for value in self.before if value not in self.after)

    @property
    def added(self) -> tuple[str, ...]:
        """The values that no row can hold yet."""
        return tuple(value for value in self.after if value not in self.before)

    @property
    def place(self) -> str:
        """The column as people call it."""
        return ".".join(filter(None, self.key))

    def renames(self, members: Mapping[str, str]) -> dict[str, str]:
        """Return the values that surely got another name: same order, and the same member of Python's or spelling.

        `members` are the names of the members by the values of the models.
        """
        pairs = [(old, new) for old in self.removed for new in self.added if _is_same_value(old, new, members)]
        found = {
            old: new
            for old, new in pairs
            if sum(it[0] == old for it in pairs) == sum(it[1] == new for it in pairs) == 1
        }
        common = [value for value in self.after if value in self.before or value in found.values()]
        kept = [found.get(value, value) for value in self.before if value in found or value in self.after]
        return found if kept == common else {}

    def without(self, renames: Mapping[str, str]) -> ValueChange:
        """Return the change once values have got their new names."""
        return replace(self, before=tuple(renames.get(value, value) for value in self.before))


@dataclass(slots=True)
class ValueAnswers:
    """What is executed first, and for each backend the expressions that give columns their values."""

    operations: list[MigrateOperation] = field(default_factory=list)
    conversions: dict[str, dict[ColumnId, str]] = field(default_factory=dict)

    def convert(self, backend: str, column: ColumnId, expression: str) -> None:
        """Give a column its values by an expression where its structure changes."""
        self.conversions.setdefault(backend, {})[column] = expression


def value_answers(transitions: Sequence[Transition], values: ModelValues, *, is_downgrade: bool) -> ValueAnswers:
    """Return what the rows get that hold a removed value, or ask for it."""
    answers = ValueAnswers()
    renamed_types = set[tuple[str, str | None, str]]()
    for change in value_changes(transitions):
        if not change.removed:
            continue
        renames = change.renames(values.member_names(change.key))
        if renames:
            _rename(change, renames, transitions, answers, renamed_types)
        left = change.without(renames)
        if left.removed and left.added:
            _ask_in_place(left, renames, transitions, answers)
        elif left.removed:
            _map_first(left, renames, transitions, answers, is_downgrade=is_downgrade)
    return answers


def value_changes(transitions: Sequence[Transition]) -> list[ValueChange]:
    """Return the columns whose list of values changes, as far as the backends know it."""
    found: dict[ColumnKey, dict[str, tuple[EnumeratedColumn, EnumeratedColumn]]] = {}
    for transition in transitions:
        old, new = (enumerated_columns(it, transition.dialect) for it in (transition.before, transition.after))
        for key in old.keys() & new.keys():
            if old[key].values != new[key].values:
                found.setdefault(key, {})[transition.backend] = old[key], new[key]
    changes = []
    for key, on_backends in sorted(found.items(), key=lambda it: it[0][1:]):
        one, other = next(iter(on_backends.values()))
        changes.append(ValueChange(key, one.values, other.values, on_backends))
    return changes


def enumerated_columns(snapshot: Snapshot, dialect: Dialect) -> dict[ColumnKey, EnumeratedColumn]:
    """Return the columns with a fixed list of values."""
    types = {dialect.qualified_name(it.namespace, it.name): it for it in snapshot.enums}
    types |= {dialect.quote_identifier(it.name): it for it in snapshot.enums if it.namespace == "public"}
    found: dict[ColumnKey, EnumeratedColumn] = {}
    for table in snapshot.tables:
        for column in table.columns:
            enum = types.get(column.type.removesuffix("[]"))
            values = enum.values if enum else _checked_values(table, column.name, dialect)
            if values:
                id_ = (table.id, column.name)
                found[column_key(table, column.name)] = EnumeratedColumn(id_, values, column, enum)
    return found


def _checked_values(table: Table, column: str, dialect: Dialect) -> tuple[str, ...]:
    """Return the texts to which a CHECK limits a column, in the order in which it lists them."""
    for constraint in table.constraints:
        expression = constraint.expression if constraint.kind == "CHECK" else None
        if expression and column.lower() in expression.lower():
            kind, *parts = portable_expression(expression, dialect)
            if kind in {"in", "="} and parts[0] == ("name", column) and all(it[0] == "string" for it in parts[1:]):
                strings = (it.text for it in tokenize(expression, dialect) if it.kind is TokenKind.STRING)
                return tuple(dict.fromkeys(map(string_value, strings)))
    return ()


def _rename(
    change: ValueChange,
    renames: Mapping[str, str],
    transitions: Sequence[Transition],
    answers: ValueAnswers,
    renamed_types: set[tuple[str, str | None, str]],
) -> None:
    """Give the rows of renamed values their new names; a type of the server gives it to them by itself."""
    literals = [(quote_literal(old), quote_literal(new)) for old, new in renames.items()]
    for transition in transitions:
        known, statements = change.on_backends.get(transition.backend), list[str]()
        if known is None:
            statements = [update_statement(transitions, change.key, new, f"{{}} = {old}") for old, new in literals]
        elif (enum := known[0].type) is None or known[1].type is None:
            answers.convert(transition.backend, known[1].id, _mapping(transition, known[0], renames))
        else:
            key = transition.backend, enum.namespace, enum.name
            if key not in renamed_types:
                renamed_types.add(key)
                name = transition.dialect.qualified_name(
                    None if enum.namespace == "public" else enum.namespace, enum.name
                )
                statements = [f"ALTER TYPE {name} RENAME VALUE {old} TO {new}" for old, new in literals]
        for sql in statements:
            answers.operations.append(OnlyOn(transition.backend, [ExecuteSql([AlterStatement(sql)])]))


def _ask_in_place(
    change: ValueChange, renames: Mapping[str, str], transitions: Sequence[Transition], answers: ValueAnswers
) -> None:
    """Ask which value rows get where new values come, too: only the statement that changes the list can write one."""
    removed = ", ".join(map(quote_literal, change.removed))
    added = ", ".join(map(quote_literal, change.added))
    answers.operations.append(
        Undecided(
            f"{change.place} may hold {removed}, which is not among the new values ({added} came): write what such "
            "rows get instead, on each backend below, behind THEN or SET; then delete this line"
        )
    )
    for transition in transitions:
        known = change.on_backends.get(transition.backend)
        if known:
            mapping = {value: value for value in change.removed}
            if _has_check(change, transition):
                mapping |= renames
            answers.convert(transition.backend, known[1].id, _mapping(transition, known[0], mapping))
        else:
            for value in map(quote_literal, change.removed):
                sql = update_statement(transitions, change.key, value, f"{{}} = {value}")
                answers.operations.append(OnlyOn(transition.backend, [ExecuteSql([AlterStatement(sql)])]))


def _map_first(
    change: ValueChange,
    renames: Mapping[str, str],
    transitions: Sequence[Transition],
    answers: ValueAnswers,
    *,
    is_downgrade: bool,
) -> None:
    """Replace removed values before the list is changed: by the column's default on the way back, else as answered.

    Where only the change of the list gives a renamed value its name, it still has the old one here.
    """
    old_names = {new: old for old, new in renames.items()}
    defaults = {
        string_value(token.text)
        for one, other in change.on_backends.values()
        for column in (one.column, other.column)
        for token in tokenize(column.default or "", transitions[0].dialect)[:1]
        if token.kind is TokenKind.STRING
    } & set(change.after)
    default = next(iter(defaults)) if len(defaults) == 1 else None
    for value in change.removed:
        new = default or change.after[0]
        statements = {
            it.backend: _replacement(
                change, transitions, it.backend, value, old_names.get(new, new) if _has_check(change, it) else new
            )
            for it in transitions
        }
        if default and is_downgrade:
            answers.operations += on_each_backend(statements, len(transitions))
        else:
            known = " in the older revision" if is_downgrade else ""
            answers.operations.append(
                Undecided(
                    f"{change.place} may hold {quote_literal(value)}, which is no value of it{known} any longer: write "
                    "here what such rows get, in place of this line, as in: "
                    f'op.execute("{next(iter(statements.values()))}")'
                )
            )


def _has_check(change: ValueChange, transition: Transition) -> bool:
    """Return whether a backend keeps the list of values in a CHECK, before the change or after it."""
    return any(it.type is None for it in change.on_backends.get(transition.backend, ()))


def _replacement(change: ValueChange, transitions: Sequence[Transition], backend: str, old: str, new: str) -> str:
    one, other = quote_literal(old), quote_literal(new)
    known = change.on_backends.get(backend)
    if known and known[0].column.type.endswith("[]"):
        return update_statement(transitions, change.key, f"array_replace({{}}, {one}, {other})", f"{one} = ANY ({{}})")
    return update_statement(transitions, change.key, other, f"{{}} = {one}")


def _mapping(transition: Transition, column: EnumeratedColumn, mapping: Mapping[str, str]) -> str:
    """Return an expression that replaces values of a column, the rest as it is."""
    name = quoted_name([transition], column.id[1])
    text = f"{name}::text" if column.type else name
    cases = " ".join(f"WHEN {quote_literal(old)} THEN {quote_literal(new)}" for old, new in mapping.items())
    return f"CASE {text} {cases} ELSE {text} END"


def _is_same_value(old: str, new: str, members: Mapping[str, str]) -> bool:
    """Return whether two values are the same member of Python's, or the same word in another spelling."""
    names = {_letters(members.get(old, old)), _letters(old)}
    return not names.isdisjoint({_letters(members.get(new, new)), _letters(new)}) or _is_other_spelling(old, new)


def _letters(value: str) -> str:
    return _NO_LETTERS.sub("", value).casefold()


def _is_other_spelling(one: str, other: str) -> bool:
    """Return whether one of two words has one letter more, which is not the first: canceled and cancelled."""
    short, long = sorted((_letters(one), _letters(other)), key=len)
    if len(short) < _MIN_SPELT_LENGTH or len(long) != len(short) + 1 or not (short + long).isalpha():
        return False
    return short[0] == long[0] and any(long[:at] + long[at + 1 :] == short for at in range(1, len(long)))
