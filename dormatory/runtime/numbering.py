"""Gives new revisions the next number and requires a title; writes no file if nothing changed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dormatory.errors import HeadChangedError, MessageTooShortError
from dormatory.project.history import History
from dormatory.project.project import Project
from dormatory.runtime.enum_types import add_enum_types
from dormatory.runtime.server_names import leave_out_server_names
from dormatory.system.file_lock import lock_until_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from alembic.operations import MigrateOperation, MigrationScript
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

_MIN_TITLE_WORDS = 2
#: In `config.attributes`: the RevisionOperations to write in place of what autogenerate finds.
OPERATIONS_ATTRIBUTE = "dormatory_operations"

#: In `config.attributes`: the CompleteScript of env.py, for plain Alembic; or None.
COMPLETE_ATTRIBUTE = "dormatory_complete"


@dataclass(frozen=True, slots=True)
class RevisionOperations:
    """The operations of a revision in both directions; Alembic adds the imports that their code needs."""

    upgrade: tuple[MigrateOperation, ...]
    downgrade: tuple[MigrateOperation, ...]


CompleteScript: TypeAlias = "Callable[[MigrationContext, MigrationScript], RevisionOperations]"


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
    if getattr(options, "autogenerate", False):
        complete: CompleteScript | None = config.attributes.get(COMPLETE_ATTRIBUTE)
        if hasattr(options, "cmd") and complete:  # plain Alembic
            _write_operations(context, directive, complete(context, directive))
        else:
            _write_operations(context, directive, config.attributes.get(OPERATIONS_ATTRIBUTE))
        if all(operations.is_empty() for operations in directive.upgrade_ops_list):
            if hasattr(options, "cmd"):  # plain Alembic: the task says itself what it found
                print("no change found, nothing written", file=sys.stderr)  # noqa: T201
            directives.clear()
            return
    project, is_plain = Project.from_config(config), hasattr(options, "cmd")
    if is_plain:  # it writes the file later, and the task holds the lock itself
        lock_until_exit(project.script_location)
    history = History.read(project)
    if is_plain and getattr(options, "head", None) in {None, "head"} and context.script:
        _refuse_new_head(history, context.script)
    if getattr(options, "rev_id", None) is None:
        directive.rev_id = history.next_id()


def _refuse_new_head(history: History, read_before: ScriptDirectory) -> None:
    """Raise HeadChangedError if the head is another one than Alembic has read: both would build on the same parent."""
    heads = read_before.get_heads()
    if new := [name for name in history.heads if name not in heads]:
        raise HeadChangedError(new)


def complete_directives(
    context: MigrationContext, _heads: Iterable[Any] | str, directives: list[MigrationScript]
) -> None:
    """Write the given operations for an env.py that has no hook of ours; write no file if there are none."""
    attributes = context.config.attributes if context.config else {}
    for directive in directives:
        _write_operations(context, directive, attributes.get(OPERATIONS_ATTRIBUTE))
    if directives and all(operations.is_empty() for operations in directives[0].upgrade_ops_list):
        directives.clear()


def correct_script(context: MigrationContext, script: MigrationScript) -> None:
    """Write what autogenerate leaves out, and leave out what it should not write."""
    add_enum_types(context, script)
    leave_out_server_names(context, script)


def _write_operations(context: MigrationContext, script: MigrationScript, given: RevisionOperations | None) -> None:
    if given is None or script.upgrade_ops is None or script.downgrade_ops is None:
        correct_script(context, script)
        return
    script.upgrade_ops.ops[:] = given.upgrade
    script.downgrade_ops.ops[:] = given.downgrade
