"""What files were at a git reference; the checkout is not touched."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

from dormatory.database.process import run
from dormatory.errors import UnknownReferenceError


def files_at(reference: str, directory: Path) -> dict[Path, bytes]:
    """Return the files below a directory as a git reference has them, by the paths they have here.

    A directory that it does not have holds nothing. Raises UnknownReferenceError where git does not know the reference,
    or the directory is in no repository.
    """
    asked = f"{reference}^{{commit}}"
    commit = run(["git", "rev-parse", "--verify", "--end-of-options", asked], cwd=directory, check=False)
    if commit.code:
        raise UnknownReferenceError(reference, next(iter(commit.stderr.splitlines()), ""))
    name = commit.stdout.strip()
    if not run(["git", "ls-tree", "--name-only", name, "./"], cwd=directory).stdout:
        return {}
    with tempfile.TemporaryDirectory() as home:
        archive = Path(home) / "files.tar"
        run(["git", "archive", "--format=tar", f"--output={archive}", name, "./"], cwd=directory)
        with tarfile.open(archive) as opened:
            members = [(member, opened.extractfile(member)) for member in opened if member.isfile()]
            return {directory / member.name: stream.read() for member, stream in members if stream}


def merge_base(reference: str, directory: Path) -> str:
    """Return the commit at which the checkout and a reference parted, "" where they have nothing in common."""
    found = run(["git", "merge-base", "HEAD", reference], cwd=directory, check=False)
    return found.stdout.strip() if found.code == 0 else ""
