"""Removes values of rows from the message of a failed revision: only words that occur in its own code are kept."""

from __future__ import annotations

import re
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dormatory.errors.location import NOWHERE
from dormatory.recording.leg import Failure
from dormatory.sql.masking import without_row_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.errors import DormatoryError

_RAISE_STATEMENT = re.compile(r"\b(?:raise|assert)\b")
_PLPGSQL_EXCEPTION = "RaiseException"  # psycopg's and psycopg2's name for the error that PL/pgSQL's RAISE makes


def redacted_failure(error: DormatoryError) -> Failure:
    """Return why a revision failed, with an ellipsis for what it may have read from a row.

    Messages of a database or of Python are masked in any case. A message that code composes may contain a value like
    any other word: only the words that occur in that code, or in the revision, are kept.
    """
    failure = _masked_failure(error)
    known = frozenset(_source_words(error))
    if failure.is_declared or not known:
        return failure
    kind, _, message = failure.why.partition(": ")
    shown = [chunk if known.issuperset(re.findall(r"\w+", chunk)) else "…" for chunk in message.split()]
    kept = [chunk for chunk, before in zip(shown, ["", *shown], strict=False) if (chunk, before) != ("…", "…")]
    return replace(failure, why=f"{kind}: {' '.join(kept)}")


def _masked_failure(error: DormatoryError) -> Failure:
    """Return why something failed, without the values of rows that a database or Python quotes; names stay."""
    failure = Failure.from_error(error)
    why = failure.why if failure.is_declared else without_row_values(failure.why)
    return replace(failure, what=without_row_values(failure.what), why=why)


def _source_words(error: DormatoryError) -> Iterator[str]:
    """Yield the words of the code that composed the message of an error, none for an error of another origin."""
    cause = error.__cause__
    frames = traceback.extract_tb(cause.__traceback__) if cause else []
    if not frames:
        return
    of_function = type(getattr(cause, "orig", None)).__name__ == _PLPGSQL_EXCEPTION
    of_python = not isinstance(cause, SQLAlchemyError) and _RAISE_STATEMENT.search(frames[-1].line or "")
    revision = getattr(error, "location", NOWHERE).path
    if of_function or of_python:
        for file in {frame.filename for frame in frames if frame is frames[-1] or frame.filename.endswith(revision)}:
            yield from re.findall(r"\w+", Path(file).read_text(encoding="utf-8", errors="replace"))
