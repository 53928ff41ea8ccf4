"""Gives new revisions the next number and requires a title; writes no file if nothing changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from dormatory.errors import MessageTooShortError
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.runtime.enum_types import add_enum_types
from dormatory.runtime.server_names import leave_out_server_names
from dormatory.system.file_lock import lock_until_exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alembic.operations import MigrationScript
    from alembic.runtime.migration import MigrationContext

_MIN_TITLE_WORDS = 2


def checked_title(message: str | None) -> str:
    """Return a revision's title without extra white space; raises MessageTooShortError for fewer than two words."""
    words = (message or "").split()
    if len(words) < _MIN_TITLE_WORDS:
        raise MessageTooShortError(" ".join(words))
    return " ".join(words)


def process_revision_directives(
    context: MigrationContext, _heads: Iterable[Any] | str, directives: list[MigrationScript]
) -> None:
    """Give the revision that Alembic is about to write its number, or prevent an empty one.

    It is the `process_revision_directives` of every `alembic revision`; `alembic check` writes none.
    """
    config = context.config
    if not directives or config is None or not hasattr(config.cmd_opts, "autogenerate"):
        return
    directive, options = directives[0], config.cmd_opts
    directive.message = checked_title(directive.message)
    operations = directive.upgrade_ops
    if getattr(options, "autogenerate", False) and operations is not None and operations.is_empty():
        if hasattr(options, "cmd"):  # plain Alembic: the task compares more, and says what it found
            print("autogenerate found no change, nothing written", file=sys.stderr)  # noqa: T201
        directives.clear()
        return
    if getattr(options, "autogenerate", False):
        _complete(context, directive)
    if getattr(options, "rev_id", None) is None:
        project = Project.from_config(config)
        if hasattr(options, "cmd"):  # plain Alembic writes the file later, and the task holds the lock itself
            lock_until_exit(project.script_location)
        directive.rev_id = History.read(project).next_id()


def complete_directives(
    context: MigrationContext, _heads: Iterable[Any] | str, directives: list[MigrationScript]
) -> None:
    """Complete what autogenerate has found for an env.py that has no hook of ours; write no file if that is nothing."""
    if directives and all(operations.is_empty() for operations in directives[0].upgrade_ops_list):
        directives.clear()
    for directive in directives:
        _complete(context, directive)


def _complete(context: MigrationContext, directive: MigrationScript) -> None:
    """Write what autogenerate leaves out, and leave out what it should not write."""
    add_enum_types(context, directive)
    leave_out_server_names(context, directive)
