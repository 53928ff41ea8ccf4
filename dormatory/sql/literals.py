"""Literals of SQL, and the values they stand for."""

from __future__ import annotations

from decimal import Decimal


def quote_literal(text: str) -> str:
    """Return a text as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def string_value(literal: str) -> str:
    """Return the text that a plain string literal stands for; a literal of another form is returned as it is."""
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else literal


def text_form(value: object) -> str:
    """Return a value, which is not NULL, in the text form that PostgreSQL reads.

    Numbers, booleans, bytes and text have a form of their own; every other type is expected as text already.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return repr(value)
