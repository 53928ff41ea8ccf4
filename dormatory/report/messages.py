"""The wording of every result: one function for each, which returns plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dormatory.backends.url import Target
    from dormatory.commands.history import DatabasePlace
    from dormatory.commands.restore import Restored
    from dormatory.commands.revision_proof import ExecutedSql
    from dormatory.commands.schema_dump import DumpDifference
    from dormatory.commands.upgrade import MoveResult
    from dormatory.project.history import History
    from dormatory.project.script import Revision
    from dormatory.safety.backups import StoredBackup


def created_line(created: Target | Path, *, is_new: bool) -> str:
    """Return the line that says whether a database or a file was created or existed before."""
    return f"{created} {'created' if is_new else 'exists'}"


def written_line(file: Path, *, is_changed: bool) -> str:
    """Return the line that says whether writing a file changed it."""
    return f"{file} {'written' if is_changed else 'unchanged'}"


def move_result_line(result: MoveResult) -> str:
    """Return the position of a database after a command that moves it."""
    return _position_line(result.target, result.revisions) + ("" if result.moved else ", nothing to do")


def restored_lines(restored: Restored) -> Iterator[str]:
    """Yield the backup that replaced a database, and the position that the database is at now."""
    yield f"{restored.target} restored from {restored.file}"
    yield restored.problem or _position_line(restored.target, restored.revisions)


def emptied_line(target: object, backup: Path) -> str:
    """Return what to do where a reset emptied a database, and the upgrade after it failed."""
    return f"{target} was emptied before that; to put its backup {backup} back: inv db.undo"


def _position_line(target: str, revisions: Sequence[str]) -> str:
    return f"{target} is at {', '.join(revisions) or 'base'}"


def revision_line(revision: Revision, *, marks: Sequence[str] = ()) -> str:
    """Return a revision in one line: parents, id, marks, title."""
    parents = ", ".join(revision.parents) or "base"
    notes = f" ({', '.join(marks)})" if marks else ""
    return f"{parents} -> {revision.id}{notes}  {revision.title}"


def history_lines(history: History, place: DatabasePlace) -> Iterator[str]:
    """Yield the history, newest first; heads, what is pending, and where the database is are marked."""
    marked = (("head", set(history.heads)), ("pending", place.pending), ("your database", place.current))
    for revision in reversed(history.revisions):
        marks = [mark for mark, revisions in marked if revision.id in revisions]
        yield revision_line(revision, marks=[*marks, *revision.labels])


def head_lines(history: History) -> Iterator[str]:
    """Yield the heads of the history."""
    for head in history.heads:
        yield revision_line(history.get(head))


def current_lines(history: History, current: Sequence[str]) -> Iterator[str]:
    """Yield the revisions that a database is at, with their titles."""
    if not current:
        yield "base"
    for revision in history.revisions:
        if revision.id in current:
            yield f"{revision.id}{' (head)' if revision.id in history.heads else ''}  {revision.title}"


def revision_details(revision: Revision) -> str:
    """Return everything that a revision file declares, and its docstring."""
    rows = [
        ("revision", revision.id),
        ("parents", ", ".join(revision.parents) or "base"),
        *((("depends on", ", ".join(revision.depends_on)),) if revision.depends_on else ()),
        *((("labels", ", ".join(revision.labels)),) if revision.labels else ()),
        ("file", str(revision.path)),
    ]
    return _table(rows) + f"\n\n{revision.description}"


def backup_lines(backups: Sequence[StoredBackup]) -> Iterator[str]:
    """Yield the backups with their time in UTC, database, revision, size in bytes and file, in columns.

    One whose command is not known to have changed the database is marked.
    """
    rows = [
        (
            f"{item.taken_at:%Y-%m-%d %H:%M:%SZ}",
            item.database,
            item.revision,
            f"{item.size_bytes:,} bytes",
            f"{item.file}{' (its command changed nothing, or was killed)' if item.is_pending else ''}",
        )
        for item in backups
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for taken, database, revision, size, file in rows:
        yield f"{taken}  {database:<{widths[1]}}  {revision:<{widths[2]}}  {size:>{widths[3]}}  {file}"


def text_diff(file: Path, before: str, after: str) -> str:
    """Return the unified diff from the committed text of a file to the text it should have; empty if they are equal."""
    names = (f"{file} (committed)", f"{file} (from the history)")
    from difflib import unified_diff  # noqa: PLC0415

    return "".join(unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), *names))


def dump_difference_lines(difference: DumpDifference) -> Iterator[str]:
    """Yield the differences of two dumps, first as sentences, then as SQL."""
    yield f"-- {difference.backend}"
    if difference.before == difference.after:
        yield "no difference"
        return
    yield from (str(change) for change in difference.changes)
    before, after = difference.before.splitlines(), difference.after.splitlines()
    from difflib import unified_diff  # noqa: PLC0415

    yield from unified_diff(before, after, "before", "after", lineterm="")


def executed_sql_lines(executed: ExecutedSql) -> Iterator[str]:
    """Yield the SQL that a new revision executed on one backend."""
    yield f"-- {executed.backend}"
    if not executed.statements:
        yield "-- nothing"
    yield from (f"{statement};" for statement in executed.statements)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in rows)
