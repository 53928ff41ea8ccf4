"""Values as PostgreSQL reads them in a text."""

from __future__ import annotations

from decimal import Decimal


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
