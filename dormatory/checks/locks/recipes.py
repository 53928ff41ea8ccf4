"""Code that several recipes of lock rules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dormatory.schema.snapshot import Index

_AUTOCOMMIT = "with op.get_context().autocommit_block():"


def autocommit_block(*lines: str, comment: str = "") -> str:
    """Return lines of Python in an autocommit block."""
    first = f"{_AUTOCOMMIT}  # {comment}" if comment else _AUTOCOMMIT
    return "\n".join((first, *(f"    {line}" for line in lines)))


def python_list(names: Iterable[str]) -> str:
    """Return names as a list of strings in Python."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def index_statement(index: Index, table: str, words: str = "INDEX") -> str:
    """Return the statement that creates an index; `words` stand before its name."""
    unique, rest = "UNIQUE " * index.unique, index.definition.removeprefix("UNIQUE ")
    return f"CREATE {unique}{words} {index.name} ON {table} {rest}"
