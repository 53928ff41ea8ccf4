"""The position of a database: for a reader, and as a JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.report.layout import column_after, wrap_words
from dormatory.report.styles import PLAIN, text_of
from dormatory.system.text import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dormatory.commands.status import Status
    from dormatory.project.script import Revision
    from dormatory.report.styles import Line, TextStyle

_JSON_VERSION = 1
_INDENT = " " * 10
_MAX_LISTED = 3


def status_text(status: Status, style: TextStyle = PLAIN, *, lists_all: bool = False) -> str:
    """Return the position for a reader; of many pending revisions the first and the last, unless `lists_all`."""
    server = ", ".join(text for text in (status.server, status.environment) if text)
    database = f"{'database':<{len(_INDENT)}}{status.target}"
    lines: list[Line] = [
        ((database, "strong"), (column_after(database, server, style.width) if status.exists else "", ""))
    ]
    for label, value in _rows(status, lists_all=lists_all):
        first, *others = wrap_words(value, style.width, _INDENT)
        lines.append(((f"{label:<{len(_INDENT)}}", "strong"), (first[len(_INDENT) :], "")))
        lines += [((line, ""),) for line in others]
    return text_of(lines, style)


def _rows(status: Status, *, lists_all: bool) -> Iterator[tuple[str, str]]:
    """Yield the rows below the database, each with its label, or "" where it belongs to the one above."""
    yield from _rows_of("at", _position(status))
    if status.unknown:
        yield "unknown", f"{', '.join(status.unknown)}: not in this checkout"
    if status.overlapping:
        yield "overlap", f"{', '.join(status.overlapping)}: {_names_to_keep(status)} builds on it"
    pending = status.pending if not status.unknown and not status.locked else None
    yield from _rows_of("pending", _pending(pending, lists_all=lists_all))
    if status.running:
        yield "running", status.running
    if status.exists:
        yield "changed", _changed_by_hand(status)
    if following := _following_command(status):
        yield "next", following


def _rows_of(label: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from ((label if not number else "", value) for number, value in enumerate(values))


def _position(status: Status) -> list[str]:
    if not status.exists:
        missing = f"its directory {status.missing_directory}" if status.missing_directory else "the database"
        return [f"nothing: {missing} does not exist yet"]
    if status.locked:
        return [f"not read: {status.locked}"]
    return [f"{name}  {status.titles.get(name, '')}".rstrip() for name in status.current] or ["base"]


def _pending(pending: Sequence[Revision] | None, *, lists_all: bool) -> list[str]:
    """Return a line for each pending revision, or one for many; None where nobody knows."""
    if not pending:
        return ["unknown" if pending is None else "nothing"]
    titles = [f"{item.id}  {item.title}" for item in pending]
    if lists_all or len(titles) <= _MAX_LISTED:
        return titles
    return [f"{len(titles)}: {titles[0]} … {titles[-1]}  (--all lists them)"]


def _changed_by_hand(status: Status) -> str:
    by_hand = status.by_hand
    if by_hand is None:
        return "not compared while that is running"
    if by_hand.problem:
        return f"not compared: {by_hand.problem}"
    if by_hand.changes:
        return f"{quantity(len(by_hand.changes), 'difference')} by hand: inv db.check --live"
    return "nothing by hand"


def _following_command(status: Status) -> str:
    """Return what to type next, "" where nothing is left to do or the database cannot be moved from here now."""
    if status.running or status.locked or status.unknown:
        return ""
    if status.overlapping:
        return f"inv db.stamp --purge --to {_names_to_keep(status)}"
    if status.by_hand and status.by_hand.changes and not status.current:
        return "it has no revision: if it matches one, write that with: inv db.stamp --to REVISION"
    if not status.pending:
        return ""
    if not status.exists:
        return _creating_command(status)
    return "inv db.upgrade" if status.environment != "production" else "inv db.rehearse, then inv db.upgrade"


def _creating_command(status: Status) -> str:
    if status.missing_directory:
        return "create that directory, or correct DATABASE_URL"
    return "inv db.upgrade" if status.is_file else "inv db.create, then inv db.upgrade"


def _names_to_keep(status: Status) -> str:
    return " ".join(name for name in status.current if name not in status.overlapping)


def status_json(status: Status) -> str:
    """Return the position of a database as a JSON document, which has a version."""
    document = {
        "version": _JSON_VERSION,
        "target": status.target,
        "server": status.server or "-",
        "environment": status.environment,
        "exists": status.exists,
        "running": status.running,
        "locked": status.locked,
        "current": list(status.current),
        "heads": list(status.heads),
        "unknown": list(status.unknown),
        "overlapping": list(status.overlapping),
        "drift": None  # the key is older than the words "by hand"
        if status.by_hand is None
        else {
            "problem": status.by_hand.problem,
            "changes": [str(change) for change in status.by_hand.changes],
        },
        "pending": [{"revision": item.id, "title": item.title} for item in status.pending],
    }
    import json  # noqa: PLC0415  # the daily commands need it rarely

    return json.dumps(document, indent=2, ensure_ascii=False)
