"""A statement with its place among the others, and names as these statements write them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TYPE_CHECKING

from dormatory.backends.postgresql.dialect import DIALECT
from dormatory.schema.snapshot import Index, RewriteRule
from dormatory.sql.lexer import tokenize_statement

if TYPE_CHECKING:
    from collections.abc import Collection

    from dormatory.schema.describe import Part
    from dormatory.schema.snapshot import TableId

quoted = DIALECT.quote_identifier


class Phase(IntEnum):
    """The order of statements: what is in the way goes first, what needs the rest comes last."""

    RELEASE_SEQUENCES = auto()
    ADD_LABELS = auto()
    DROP_VIEWS = auto()
    DROP_ATTACHED = auto()
    DROP_FOREIGN_KEYS = auto()
    DROP_CONSTRAINTS = auto()
    DROP_INDEXES = auto()
    DROP_TABLES = auto()
    CREATE_NAMESPACES = auto()
    SET_TYPES_ASIDE = auto()
    CREATE_TYPES = auto()
    DROP_IDENTITIES = auto()  # their sequences have the names that those of a serial column get
    CREATE_SEQUENCES = auto()
    ALTER_COLUMNS = auto()
    CREATE_TABLES = auto()
    COMPLETE_COLUMNS = auto()
    FILL = auto()
    REQUIRE = auto()
    DROP_COLUMNS = auto()
    DROP_SEQUENCES = auto()
    OWN_SEQUENCES = auto()
    SET_COUNTERS = auto()
    RENAME_PARTS = auto()
    CREATE_INDEXES = auto()
    ADD_KEYS = auto()
    ADD_CHECKS = auto()
    ADD_FOREIGN_KEYS = auto()
    SET_TABLES = auto()
    DROP_TYPES = auto()
    DROP_NAMESPACES = auto()
    CREATE_VIEWS = auto()
    CREATE_ATTACHED = auto()
    ANNOTATE = auto()


@dataclass(frozen=True, slots=True)
class AlterStep:
    """A statement, with the tables that existed before and that it locks or reads; for `is_online` see AlterStatement.

    `makes` names, as COMMENT ON does, the objects that have no comment and no grants after it.
    """

    phase: Phase
    sql: str
    tables: frozenset[TableId] = frozenset()
    is_online: bool = False
    makes: tuple[str, ...] = ()


def short_name(id_: tuple[str | None, str]) -> str:
    """Return the name of an object as SQL writes it: without the namespace public."""
    namespace, name = id_
    return DIALECT.qualified_name(None if namespace == "public" else namespace, name)


def part_target(owner: TableId, part: Part) -> str:
    """Return the name of a part of a table or a view for COMMENT ON."""
    if isinstance(part, Index):
        return f"INDEX {short_name((owner[0], part.name))}"
    kind = "RULE" if isinstance(part, RewriteRule) else type(part).__name__.upper()
    return f"{kind} {quoted(part.name or '')} ON {short_name(owner)}"


def mentions(text: str, names: Collection[str]) -> bool:
    """Return whether a text from the catalogs has one of these names outside of its strings."""
    return bool(names) and any(token.is_name and token.text in names for token in tokenize_statement(text, DIALECT))
