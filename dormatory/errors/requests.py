"""Errors of wrong use: an unknown name, a value that is not allowed, a step that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dormatory.errors.base import DormatoryError

if TYPE_CHECKING:
    from collections.abc import Sequence


_NO_SUCH_NAME = "no branch, tag or commit has that name"  # git's own words say less


class MultipleHeadsError(DormatoryError):
    """The history ends in more than one head, so "head" is ambiguous."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.heads = tuple(sorted(heads))
        super().__init__(
            f"the history has {len(self.heads)} heads: {', '.join(self.heads)}",
            why="two revisions were written on top of the same parent",
            fix="name the other one as down_revision in the newer one, or join them with: "
            f'alembic merge -m "Join the branches" {" ".join(self.heads)}',
        )


class HeadChangedError(DormatoryError):
    """Another revision was written while Alembic was about to write one: both would build on the same one."""

    def __init__(self, new_heads: Sequence[str]) -> None:
        self.new_heads = tuple(new_heads)
        super().__init__(
            "no revision was written",
            why=f"another command has written {', '.join(self.new_heads)} meanwhile, on the same parent",
            fix="run the command again",
        )


class UnknownRevisionError(DormatoryError):
    """The user named a revision that is not in the history."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name = name
        span = f"it runs from {known[0]} to {known[-1]}" if known else "it is empty"
        super().__init__(f"there is no revision {name} in this history", why=span, fix="list them with: inv db.history")


class UnknownFormatError(DormatoryError):
    """The user named an unknown output format."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"there is no format {name}",
            why=f"the formats are {', '.join(self.known)}",
            fix=f"ask for one of these, such as: --format {self.known[0]}",
        )


class UnknownFamilyError(DormatoryError):
    """The user named an unknown family of rules."""

    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(
            f"there is no family of rules {name}",
            why=f"they are {', '.join(self.known)}",
            fix=f"name some of these, with commas between them: {','.join(self.known[:2])}",
        )


class UnknownRuleError(DormatoryError):
    """The user named an unknown rule."""

    def __init__(self, name: str, *, similar_names: Sequence[str]) -> None:
        self.name = name
        super().__init__(
            f"there is no rule {name}",
            why=f"the nearest are {', '.join(similar_names)}" if similar_names else "none has a name like that",
            fix="inv db.check names the rule at the end of each finding",
        )


class UnknownTableError(DormatoryError):
    """The user named a table that the schema does not have."""

    def __init__(self, name: str, *, similar_names: Sequence[str]) -> None:
        self.name = name
        super().__init__(
            f"there is no table {name}",
            why=f"the nearest are {', '.join(similar_names)}" if similar_names else "none has a name like that",
            fix="name a table that the history has at head, or a pattern such as room*",
        )


class UnknownReferenceError(DormatoryError):
    """The user named a git reference that this repository does not have."""

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(
            f"git knows no {reference} here",
            why=reason.removeprefix("fatal: ").replace("Needed a single revision", _NO_SUCH_NAME) or _NO_SUCH_NAME,
            fix="see what there is with: git branch --all; in a shallow clone, fetch it first: git fetch --unshallow",
        )


class WrongDirectionError(DormatoryError):
    """The user asked for an upgrade to an older revision, or for a downgrade to a newer one."""

    def __init__(self, command: str, to: str, revisions: Sequence[str]) -> None:
        self.to = to
        position = f"the database is at {' and '.join(revisions) or 'base'}"
        if command == "upgrade":
            why, other = f"{position}, which builds on it", "downgrade"
        else:
            why, other = f"{position}, before it", "upgrade"
        super().__init__(f"there is no {command} to {to}", why=why, fix=f"go there with: inv db.{other} --to {to}")


class EmptyDestinationError(DormatoryError):
    """The user gave an empty text instead of a revision."""

    def __init__(self) -> None:
        super().__init__(
            "--to names no revision",
            why="it is empty, perhaps a variable that is not set",
            fix="give one, such as --to 003, or leave --to out",
        )


class InvalidRowCountError(DormatoryError):
    """The user gave an invalid number of rows."""

    def __init__(self, option: str, given: str) -> None:
        super().__init__(
            f"--{option} {given} is no number of rows",
            why="it is a whole number from 1 on",
            fix=f"write --{option} 1000, or leave it out",
        )


class TooManyStepsError(DormatoryError):
    """The user asked for more steps than there are."""

    def __init__(self, steps: str) -> None:
        self.steps = steps
        super().__init__(
            f"there is no revision {steps} from here",
            why="the history has fewer steps in that direction",
            fix="see where the database is with: inv db.status",
        )


class DatabaseNotAtHeadError(DormatoryError):
    """Alembic would compare the models with a database that is not at head."""

    def __init__(self) -> None:
        super().__init__(
            "the database is not at head",
            why="Alembic compares the models with it as it stands",
            fix="run inv db.upgrade first, or inv db.revision, which compares with a scratch database",
        )


class OverlappingRevisionsError(DormatoryError):
    """The version table names a revision and another one that builds on it."""

    def __init__(self, masked_url: str, overlapping: Sequence[str], others: Sequence[str]) -> None:
        kept = " ".join(others)
        super().__init__(
            f"the version table of {masked_url} names {' and '.join((*overlapping, *others))}",
            why=f"{kept} builds on {' and '.join(overlapping)}, and each branch is named once",
            fix=f"write it again with: inv db.stamp --purge --to {kept}",
        )


class RevisionNotInCheckoutError(DormatoryError):
    """The database is at a revision that this checkout does not have."""

    def __init__(self, masked_url: str, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(
            f"{masked_url} is at revision {', '.join(self.ids)}, which this checkout does not have",
            why="it was migrated from another branch or a newer version",
            fix=f"find its branch with: git log --all --oneline -- '*{self.ids[0]}*'; check that out and go back from "
            "there with: inv db.downgrade; or begin anew here with: inv db.reset",
        )


class MessageTooShortError(DormatoryError):
    """The message of a new revision is too short to describe it."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"the message {given!r} says too little" if given else "the message is empty",
            why="it becomes the revision's title and file name",
            fix='say what it does in a few words: --message "Add user table"',
        )


class OptionConflictError(DormatoryError):
    """The user gave an option that has no effect with the others."""

    def __init__(self, option: str, why: str, *, fix: str) -> None:
        super().__init__(f"{option} has no effect here", why=why, fix=fix)
