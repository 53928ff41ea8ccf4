"""The tasks, a module for each group of the manual: each one parses, calls a command, prints.

What a command needs is imported when it runs, so that `inv --list` and completion are instant.
"""

from __future__ import annotations

from dormatory.cli.task_list import install_task_groups
from dormatory.cli.usage import install_usage_errors

install_usage_errors()
install_task_groups()
