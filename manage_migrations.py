"""The older commands, such as `python manage_migrations.py upgrade`: each one runs the task of that name."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.program import Program

HOME = Path(__file__).resolve().parent

USAGE = """\
usage: python manage_migrations.py COMMAND

  init                    set up alembic.ini, alembic/ and the database; changes nothing that exists
  create "MESSAGE"        write the next migration from what changed in the models
  upgrade [REV]           upgrade to a revision, default head; --verbose shows every statement
  downgrade [REV]         downgrade to a revision, default one step
  current                 show the revision that the database is at
  history                 show all revisions
  stamp REV               write a revision into the database without running anything
  show REV                show one revision
"""


def task_arguments(command: str, rest: list[str]) -> list[str] | None:
    """Return the arguments of `inv` for a command, or None if the command is unknown."""
    flags = [word for word in rest if word.startswith("--")]
    match command, [word for word in rest if not word.startswith("--")]:
        case (("init" | "current" | "history" | "upgrade" | "downgrade"), []):
            arguments = [f"db.{command}"]
        case (("upgrade" | "downgrade" | "stamp"), [revision]):
            arguments = [f"db.{command}", f"--to={revision}"]
        case "show", [revision]:
            arguments = ["db.show", revision]
        case "create", [message]:
            arguments = ["db.create", f"--message={message}"]
        case _:
            return None
    return arguments + flags


def main(arguments: list[str]) -> int:
    """Run one command as its task and return the exit code."""
    task = task_arguments(arguments[0], arguments[1:]) if arguments else None
    if task is None:
        is_help = arguments[:1] in (["--help"], ["-h"], ["help"])
        print(USAGE, end="", file=sys.stdout if is_help else sys.stderr)
        return 0 if is_help else 2
    Program().run(["inv", "--search-root", str(HOME), *task])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
