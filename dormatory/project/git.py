"""Files as a git reference has them; the checkout is not touched."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dormatory.errors import ProgramFailedError, UnknownReferenceError
from dormatory.system.process import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator


def files_at(reference: str, directory: Path) -> dict[Path, bytes]:
    """Return the files below a directory as a git reference has them, by their paths in the checkout.

    The result is empty if the reference has no such directory. Raises UnknownReferenceError if git does not know the
    reference, or the directory is in no repository.
    """
    commit = _commit_id(reference, directory)
    if not run_program(["git", "ls-tree", "--name-only", commit, "./"], cwd=directory).stdout:
        return {}
    with _archived_files(commit, directory) as files:
        return {directory / path: stream.read() for path, stream in files}


@contextmanager
def repository_copy(reference: str, directory: Path) -> Iterator[tuple[Path, Path]]:
    """Copy the whole repository as a git reference has it; yield the copy and the original.

    Links are left out. Raises UnknownReferenceError as files_at() does.
    """
    commit = _commit_id(reference, directory)
    top = Path(run_program(["git", "rev-parse", "--show-toplevel"], cwd=directory).stdout.rstrip("\n"))
    with tempfile.TemporaryDirectory(prefix="dormatory-reference-") as home, _archived_files(commit, top) as files:
        for path, stream in files:
            file = Path(home, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as written:
                shutil.copyfileobj(stream, written)
        yield Path(home).resolve(), top.resolve()


def _commit_id(reference: str, directory: Path) -> str:
    revision_name = f"{reference}^{{commit}}"
    commit = run_program(
        ["git", "rev-parse", "--verify", "--end-of-options", revision_name], cwd=directory, check=False
    )
    if commit.code:
        raise UnknownReferenceError(reference, next(iter(commit.stderr.splitlines()), ""))
    return commit.stdout.strip()


@contextmanager
def _archived_files(commit: str, directory: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Yield the files that a commit has below a directory, by relative path; read each before taking the next."""
    with tempfile.TemporaryDirectory() as home:
        archive = Path(home) / "files.tar"
        run_program(["git", "archive", "--format=tar", f"--output={archive}", commit, "./"], cwd=directory)
        with tarfile.open(archive) as opened:
            members = ((member.name, opened.extractfile(member)) for member in opened if member.isfile())
            yield ((name, stream) for name, stream in members if stream)


def merge_base(reference: str, directory: Path) -> str:
    """Return the commit from which the checkout and a reference diverged, "" if they have none in common."""
    found = run_program(["git", "merge-base", "HEAD", reference], cwd=directory, check=False)
    return found.stdout.strip() if found.code == 0 else ""


def uncommitted_edits(directory: Path) -> str:
    """Return how the Python files of the repository differ from the last commit, without lines of context.

    It is "" where the directory is in no repository, or git is not installed.
    """
    options = ["--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"]
    try:
        found = run_program(["git", "diff", *options, "HEAD", "--", ":(top)*.py"], cwd=directory, check=False)
    except ProgramFailedError:
        return ""
    return found.stdout if found.code == 0 else ""
