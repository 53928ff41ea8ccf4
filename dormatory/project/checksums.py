"""`versions.sum`: one line per revision, with the digest of what it does, so that no published one changes unseen.

    001 v1:5f0c...
    002 v1:91ab...  # why it was changed after all
    003 removed     # squashed into 004

The newest stands last, so that two branches that add one each meet as a conflict in git. A digest is of the syntax
tree: layout, comments and docstrings do not count, for they do nothing. It is the same on every version of Python, so
`v1` names our own way to write a tree down and no version of `ast.dump`.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dormatory.errors import UnknownReferenceError, UnwritableFileError
from dormatory.project.history import History
from dormatory.project.revision_files import scripts, scripts_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dormatory.project.project import Project
    from dormatory.project.revision_files import Script

FILE_NAME = "versions.sum"
REMOVED = "removed"
_MAIN_REFERENCES = ("origin/HEAD", "main", "master", "HEAD")
FILE_HEADER = (
    "# Digests of the revisions, the newest last. Written by db.revision and db.sum; a change needs a reason.\n"
)
_LINE = re.compile(r"(?P<id>\S+)\s+(?P<digest>v1:[0-9a-f]{64}|removed)\s*(?:#\s*(?P<reason>.*\S)\s*)?")
_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment"})
_NODES_WITH_DOCSTRING = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Checksum:
    """One line: a revision, its digest or REMOVED, the reason where it was changed or removed, and its number."""

    id: str
    digest: str
    reason: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ChecksumFile:
    """All lines of the file; `unread` are those that say nothing that can be read, by their numbers."""

    path: Path
    lines: tuple[Checksum, ...] = ()
    invalid_lines: tuple[tuple[int, str], ...] = ()

    @classmethod
    def parse(cls, path: Path, text: str) -> ChecksumFile:
        """Return what a file says; of a revision that has two lines, the second is not read."""
        found: dict[str, Checksum] = {}
        invalid: list[tuple[int, str]] = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line.strip())
            if match and match["id"] not in found:
                found[match["id"]] = Checksum(match["id"], match["digest"], match["reason"] or "", number)
            else:
                invalid.append((number, line))
        return cls(path, tuple(found.values()), tuple(invalid))

    @property
    def by_id(self) -> Mapping[str, Checksum]:
        """The lines by the ids of their revisions."""
        return {item.id: item for item in self.lines}


def read_checksums(project: Project) -> ChecksumFile | None:
    """Return the sums that a project keeps beside its revisions, None where it keeps none."""
    path = project.script_location / FILE_NAME
    return ChecksumFile.parse(path, path.read_text(encoding="utf-8")) if path.exists() else None


def tree_digest(tree: ast.Module) -> str:
    """Return the digest of a syntax tree, which is the same wherever and however the text was written."""
    return "v1:" + hashlib.sha256("".join(_serialize(tree)).encode("ascii")).hexdigest()


def write_checksums(project: Project, *, reason: str = "", reference: str = "") -> Path:
    """Write the file anew, a line for each revision, and return it; what nobody has run yet may have changed.

    Published is what a git reference has, by default the repository's main branch; where there is no repository,
    nothing is known to be. A published revision that changed or went needs a reason, `REV: why`; without one its line
    stays as it was, and the check goes on to report it. Raises UnknownReferenceError, UnknownRevisionError,
    BrokenHistoryError.
    """
    path = project.script_location / FILE_NAME
    found = read_checksums(project) or ChecksumFile(path)
    name, _, reason_text = (part.strip() for part in reason.partition(":"))
    published = _published_digests(project, reference)
    if name and name not in {*published, *found.by_id}:
        name = History.read(project).get(name).id
    _write_file(path, _file_text(project, found, published, {name: reason_text} if reason_text else {}))
    return path


def add_checksums(project: Project) -> bool:
    """Add the lines of new revisions to the file of a project that keeps one; return whether it does.

    Lines that are there stay as they are: what changed since is for the check to report.
    """
    found = read_checksums(project)
    if found is not None:
        published = {item.id: item.digest for item in found.lines}
        _write_file(found.path, _file_text(project, found, published, {}))
    return found is not None


def create_checksums(project: Project) -> None:
    """Write the file of a project that keeps none yet, with a line for each revision that is there."""
    path = project.script_location / FILE_NAME
    _write_file(path, _file_text(project, ChecksumFile(path), {}, {}))


def _write_file(path: Path, text: str) -> None:
    from dormatory.system.atomic_file import replace_file  # noqa: PLC0415  # the daily command only reads

    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise UnwritableFileError(path, error.strerror or str(error)) from error


def add_checksums_with(script: Any, project: Project) -> None:
    """Let each revision that Alembic writes through this ScriptDirectory get its line, as keep() would give it."""
    written = script.generate_revision

    def generate_revision(*arguments: Any, **options: Any) -> Any:
        made = written(*arguments, **options)
        add_checksums(project)
        return made

    script.generate_revision = generate_revision


def script_digests(files: Sequence[Script]) -> dict[str, str]:
    """Return the digest of each revision that parses, by its id; of two with one id, of the first."""
    found: dict[str, str] = {}
    for script in files:
        if script.revision is not None:
            found.setdefault(script.revision.id, _script_digest(script))
    return found


def _published_digests(project: Project, reference: str) -> dict[str, str]:
    """Return the digests of the revisions that must not change."""
    if reference:
        return script_digests(scripts_at(project, reference))
    for name in _MAIN_REFERENCES:
        with contextlib.suppress(UnknownReferenceError):
            return script_digests(scripts_at(project, name))
    return {}


def _file_text(project: Project, found: ChecksumFile, published: Mapping[str, str], reasons: Mapping[str, str]) -> str:
    """Return what the file has to say: what was removed, then a line for each revision."""
    now, known = script_digests(scripts(project)), found.by_id
    lines = []
    for name in dict.fromkeys((*known, *published)):
        before, reason = known.get(name), reasons.get(name, "")
        if name not in now and (reason or (before and before.digest == REMOVED)):
            lines.append(Checksum(name, REMOVED, reason or (before.reason if before else "")))
        elif name not in now and name in published:
            lines.append(before or Checksum(name, published[name]))
    for item in History.read(project).revisions:
        name = item.id
        lines.append(_checksum_for(name, now[name], known.get(name), published.get(name, ""), reasons.get(name, "")))
    return FILE_HEADER + "".join(
        f"{item.id} {item.digest}{f'  # {item.reason}' * bool(item.reason)}\n" for item in lines
    )


def _checksum_for(name: str, now: str, before: Checksum | None, published: str, reason: str) -> Checksum:
    """Return the line of a revision that is there."""
    reason = reason or (before.reason if before and before.digest == now else "")
    if published and published != now and not reason:
        return before or Checksum(name, published)
    return Checksum(name, now, reason)


def _script_digest(script: Script) -> str:
    assert script.tree is not None  # noqa: S101  # it has a revision
    return tree_digest(script.tree)


def _serialize(value: Any) -> Iterator[str]:
    """Yield a tree in a form that depends on nothing but what it means."""
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for name in sorted(value._fields):
            item: Any = getattr(value, name, None)
            if name == "body" and isinstance(value, _NODES_WITH_DOCSTRING):
                item = _without_docstring(item)
            elif name == "values" and isinstance(value, ast.JoinedStr):
                item = _merge_constants(item)
            # A field that is empty, or that a newer Python has added, is left out; None as a constant is a value.
            if name not in _IGNORED_FIELDS and (isinstance(value, ast.Constant) or (item is not None and item != [])):
                yield f" {name}="
                yield from _serialize(item)
        yield ")"
    elif isinstance(value, (list, tuple, frozenset)):
        yield "["
        for item in value:
            yield from _serialize(item)
            yield ","
        yield "]"
    else:
        # In ASCII: which characters repr() shows as they are depends on the tables of a Python's Unicode.
        yield f"{type(value).__name__}:{value!a}"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            # A function of nothing but a docstring does what one of nothing but pass does.
            return rest or [ast.Pass()]
    return body


def _merge_constants(values: list[ast.expr]) -> list[ast.expr]:
    """Return the parts of an f-string, constants side by side as one: Python 3.12 parts them otherwise than 3.11."""
    parts: list[ast.expr] = []
    for part in values:
        last = parts[-1] if parts else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            parts[-1] = ast.Constant(value=str(last.value) + str(part.value))
        elif not (isinstance(part, ast.Constant) and part.value == ""):
            parts.append(part)
    return parts
