"""`inv --list` with the tasks in groups, by what a person wants to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.program import Program

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = {
    "Every day": (
        "init",
        "create",
        "status",
        "revision",
        "upgrade",
        "downgrade",
        "reset",
        "undo",
        "sum",
        "shell",
        "current",
    ),
    "Review": ("check", "round-trip", "schema-dump", "diagram", "history", "show", "heads"),
    "Production": ("rehearse", "backup", "backups", "restore", "stamp"),
}
_OTHERS = "Other tasks"
_display = Program.display_with_columns


def install_task_groups() -> None:
    """Let Invoke list our tasks in groups, for which it has no hook; the tasks of others follow."""
    Program.display_with_columns = _display_in_groups  # type: ignore[method-assign,assignment]


def _display_in_groups(program: Program, pairs: Sequence[tuple[str, str | None]], extra: str = "") -> None:
    groups = {f"db.{name}": group for group, names in GROUPS.items() for name in names}
    if program.list_format != "flat" or not any(name in groups for name, _ in pairs):
        _display(program, pairs, extra)
        return
    width = max(len(name) for name, _ in pairs)
    places = {name: place for place, name in enumerate(groups)}
    for group in (*GROUPS, _OTHERS):
        chosen = [(name, words) for name, words in pairs if groups.get(name, _OTHERS) == group]
        if chosen:
            print(f"{group}:\n")
            ordered = sorted(chosen, key=lambda it: places.get(it[0], len(places)))
            program.print_columns([(name.ljust(width), words) for name, words in ordered])
