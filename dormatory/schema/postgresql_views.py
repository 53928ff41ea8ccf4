"""What a view's text looks like on one PostgreSQL major version and not on another."""

from __future__ import annotations

from functools import lru_cache

from dormatory.schema.tokens import Syntax, canonical


@lru_cache(maxsize=4096)
def view_definition(text: str, version: int) -> str:
    """Return the query of a view, in the form that the newest version gives it."""
    del version
    return canonical(text.rstrip().removesuffix(";"), Syntax.POSTGRESQL)
