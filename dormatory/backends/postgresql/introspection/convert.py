"""Convert rows of PostgreSQL's catalogs to values of a snapshot, one function for each kind of object."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.backends.postgresql.introspection.catalog_rows import ColumnRow, ConstraintRow, IndexRow
from dormatory.backends.postgresql.introspection.views import view_definition
from dormatory.schema.snapshot import (
    Column,
    Constraint,
    Function,
    Index,
    Policy,
    Reference,
    RewriteRule,
    Sequence,
    Table,
    Trigger,
    View,
)
from dormatory.sql.cursor import TokenCursor
from dormatory.sql.lexer import Token, TokenKind, canonical_sql, render, tokenize
from dormatory.sql.nesting import nesting_depths, split_at_commas, without_parentheses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.backends.postgresql.introspection.catalog_rows import (
        AttachedRow,
        FunctionRow,
        RelationRow,
        SequenceRow,
    )

    Row = Any

_CACHED_VALUES = 1 << 14  # values
_TABLE_KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table"}
_VIEW_KINDS = {"v": "view", "m": "materialized view"}
_PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
_STORAGE = {"p": "plain", "e": "external", "m": "main", "x": "extended"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}
_IDENTITY = {"a": "ALWAYS", "d": "BY DEFAULT"}
_GENERATED = {"s": "STORED", "v": "VIRTUAL"}
_CONSTRAINT_KINDS = {"c": "CHECK", "f": "FOREIGN KEY", "p": "PRIMARY KEY", "u": "UNIQUE", "x": "EXCLUDE"}
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", " ": "NO ACTION"}
_MATCHES = {"f": "FULL", "p": "PARTIAL", "s": "SIMPLE", " ": "SIMPLE"}
_FUNCTION_KINDS = {"f": "function", "p": "procedure", "w": "window function", "a": "aggregate"}
_ENABLED = {"O": "yes", "D": "no", "R": "replica", "A": "always"}
_COMMANDS = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "*": "ALL"}
_LARGEST_VALUES = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".(]+)'
_CHECK = re.compile(r"CHECK \((?P<expression>.*)\)(?P<rest>[A-Z ]*)", re.DOTALL)
_INDEX_HEAD = re.compile(rf"CREATE (UNIQUE )?INDEX {_NAME} ON (?:ONLY )?{_NAME}(?:\.{_NAME})? (?:USING btree )?")


def table(row: RelationRow) -> Table:
    """Return a table without its parts."""
    security = "forced" if row.forced else "enabled" if row.row_security else None
    if row.forced and not row.row_security:
        security = "forced but not enabled"
    return Table(
        row.namespace,
        row.name,
        _TABLE_KINDS[row.kind],
        persistence=_PERSISTENCE[row.persistence],
        options=_options(row),
        row_security=security,
        partition_key=row.partition_key,
        partition_bound=row.bound,
        inherits=tuple(row.parents),
        definition=row.foreign or None,
    )


def view(row: RelationRow, version: int) -> View:
    """Return a view without its parts."""
    return View(
        row.namespace, row.name, view_definition(row.view or "", version), _VIEW_KINDS[row.kind], options=_options(row)
    )


def _options(row: RelationRow) -> tuple[str, ...]:
    found = [*(row.options or ()), *(f"toast.{option}" for option in row.toast_options or ())]
    if row.access_method not in {None, "heap"}:
        found.append(f"access method {row.access_method}")
    if row.kind not in _VIEW_KINDS and row.replica_identity in {"n", "f"}:
        found.append(f"replica identity {'nothing' if row.replica_identity == 'n' else 'full'}")
    if row.of_type:
        found.append(f"of type {row.of_type}")
    if row.kind == "m" and not row.populated:
        found.append("not populated")
    return tuple(sorted(found))


# Most of a schema is equal from one step of a history to the next; the same objects are compared quickly.
@lru_cache(maxsize=_CACHED_VALUES)
def column(facts: tuple[Any, ...], identity: str, not_null_note: str | None, *, is_partition: bool) -> Column:
    """Return a column from the fields of a ColumnRow after the number; `identity` are the options of its sequence."""
    row = ColumnRow._make((0, 0, *facts))
    options = [row.options] * bool(row.options) + [f"foreign {row.foreign_options}"] * bool(row.foreign_options)
    if row.storage:
        options.append(f"storage {_STORAGE.get(row.storage, row.storage)}")
    if row.compression in _COMPRESSION:
        options.append(f"compression {_COMPRESSION[row.compression]}")
    if row.statistics is not None and row.statistics >= 0:
        options.append(f"statistics {row.statistics}")
    kind = _IDENTITY.get(row.identity)
    return Column(
        row.name,
        row.type,
        nullable=not row.not_null,
        not_null_note=not_null_note,
        default=None if row.generated in _GENERATED else row.default,
        # Since 17 a partition shows the identity of its parent; the parent has it in every version.
        identity=f"{kind}{identity}" if kind and not is_partition else None,
        generated=row.default if row.generated in _GENERATED else None,
        storage=_GENERATED.get(row.generated),
        collation=row.collation,
        options=tuple(sorted(filter(None, options))),
    )


def constraint(row: Row, names: Mapping[int, str], referred_names: Mapping[int, str]) -> Constraint:
    """Return a constraint from the fields of a ConstraintRow; the names of columns are given by their numbers."""
    columns = tuple(names.get(number, "?") for number in row[6] or ())
    referred = tuple(referred_names.get(number, "?") for number in row[10] or ())
    return _constraint(row[3:6], row[8:10], row[11:], columns, referred)


@lru_cache(maxsize=_CACHED_VALUES)
def _constraint(
    head: tuple[Any, ...],
    table: tuple[Any, ...],
    rest: tuple[Any, ...],
    columns: tuple[str, ...],
    referred: tuple[str, ...],
) -> Constraint:
    row = ConstraintRow._make((0, 0, 0, *head, None, 0, *table, None, *rest))
    definition, expression, reference = row.definition, None, None
    if row.kind == "c" and (found := _CHECK.fullmatch(definition)):
        expression = _without_parentheses(found["expression"])
        definition = f"CHECK ({expression}){found['rest']}"
    if row.options:
        definition += f" WITH ({row.options})"
    definition += " CLUSTER" * bool(row.clustered) + " REPLICA IDENTITY" * bool(row.replica_identity)
    if row.kind == "f":
        actions = (_ACTIONS[row.on_update], _ACTIONS[row.on_delete], _MATCHES[row.match])
        reference = Reference(row.referred_namespace, row.referred_table or "?", referred, *actions)
    return Constraint(_CONSTRAINT_KINDS[row.kind], row.name, definition, columns, expression, reference)


@lru_cache(maxsize=_CACHED_VALUES)
def index(facts: tuple[Any, ...]) -> Index:
    """Return an index from the fields of an IndexRow after the relation."""
    row = IndexRow._make((0, 0, *facts))
    rest, predicate = _INDEX_HEAD.sub("", row.definition, count=1), None
    if row.partial:
        rest, predicate = _without_predicate(rest)
    options = ["CLUSTER"] * row.clustered + ["REPLICA IDENTITY"] * row.replica_identity
    return Index(
        row.name,
        f"{'UNIQUE ' * row.unique}{rest}{f' WHERE {predicate}' if predicate else ''}",
        row.unique,
        _index_keys(rest),
        predicate,
        row.valid,
        tuple(options),
    )


def _without_predicate(definition: str) -> tuple[str, str]:
    """Return the definition of an index without its WHERE, and the condition of the WHERE."""
    head, found, condition = definition.partition(" WHERE ")
    if found and " WHERE " not in condition:
        return head, _without_parentheses(condition)
    tokens = tokenize(definition, DIALECT)
    depths = enumerate(nesting_depths(tokens))
    where = next(place for place, depth in depths if not depth and tokens[place].text == "WHERE")
    condition = render(without_parentheses(tokens[where + 1 :]), DIALECT, fold=False)
    return render(tokens[:where], DIALECT, fold=False), condition


def _index_keys(definition: str) -> tuple[str, ...]:
    """Return what stands between the first parentheses, cut at its commas."""
    start = definition.index("(") + 1
    if "(" not in definition[start:] and '"' not in definition:
        return tuple(definition[start : definition.index(")", start)].split(", "))
    listed = TokenCursor(tokenize(definition[start - 1 :], DIALECT)).take_group()
    return tuple(render(run, DIALECT, fold=False) for run in split_at_commas(listed))


def sequence(row: SequenceRow, owner: str | None) -> Sequence:
    """Return a sequence."""
    return Sequence(row.namespace, row.name, *row[3:10], owner=owner, persistence=_PERSISTENCE[row.persistence])


def identity_options(row: SequenceRow) -> str:
    """Return the options of an identity column's sequence that are not the defaults for its type."""
    low, high = (1, _LARGEST_VALUES[row.type]) if row.increment > 0 else (-_LARGEST_VALUES[row.type] - 1, -1)
    start = row.minimum if row.increment > 0 else row.maximum
    facts = (
        ("INCREMENT", row.increment, 1),
        ("START", row.start, start),
        ("MINVALUE", row.minimum, low),
        ("MAXVALUE", row.maximum, high),
        ("CACHE", row.cache, 1),
        ("CYCLE", row.cycle, False),
    )
    options = [f"{word} {value}" for word, value, usual in facts if value != usual]
    return f" ({' '.join(options)})" if options else ""


def function(row: FunctionRow) -> Function:
    """Return a function; a body in SQL or PL/pgSQL is compared as tokens."""
    definition = row.definition
    if row.kind != "a":
        tokens = tokenize(definition, DIALECT)
        if row.language in {"sql", "plpgsql"} and row.source and tokens[-1].kind is TokenKind.STRING:
            tokens[-1] = Token(TokenKind.STRING, f"$${canonical_sql(row.source, DIALECT)}$$")
        definition = render(tokens, DIALECT, fold=False)
    return Function(row.namespace, row.name, row.arguments, definition, _FUNCTION_KINDS[row.kind])


def attached_object(row: AttachedRow) -> Trigger | RewriteRule | Policy:
    """Return a trigger, a rule or a policy."""
    if row.kind == "policy":
        return Policy(
            row.name,
            _COMMANDS[row.state],
            bool(row.permissive),
            tuple(row.roles or ("public",)),
            _without_parentheses(row.using) if row.using else None,
            _without_parentheses(row.check) if row.check else None,
        )
    kind = Trigger if row.kind == "trigger" else RewriteRule
    definition = render(tokenize(row.definition or "", DIALECT), DIALECT, fold=False)
    return kind(row.name, definition, _ENABLED[row.state])


def grant_text(grantee: str, can_grant: bool, is_granted: bool, privileges: list[str], every: int) -> str:  # noqa: FBT001  # a row of the catalog
    """Return a grant in words; all privileges are called ALL, since which ones exist depends on the version."""
    names = "ALL" if len(privileges) == every > 1 else ", ".join(privileges)
    return f"{names} {'to' if is_granted else 'revoked from'} {grantee}{' with grant option' if can_grant else ''}"


@lru_cache(maxsize=_CACHED_VALUES)
def _without_parentheses(expression: str) -> str:
    """Return an expression without the parentheses around all of it."""
    if not expression.startswith("("):
        return expression
    inner = expression[1:-1]
    if "(" not in inner and ")" not in inner:
        return inner
    tokens = tokenize(expression, DIALECT)
    return inner if len(without_parentheses(tokens)) < len(tokens) else expression
