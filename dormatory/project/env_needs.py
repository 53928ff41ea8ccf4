"""What another project's env.py needs around it: modules, a wrapper, Flask's application.

It imports nothing of this package, for the reader of published models loads it alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_FLASK = re.compile(r"^\s*from flask import .*\bcurrent_app\b", re.MULTILINE)


def is_flask(file: Path) -> bool:
    """Return whether an env.py asks Flask for the current application."""
    return file.exists() and bool(_FLASK.search(file.read_text(encoding="utf-8", errors="replace")))


def run_with_needs(run: Callable[[], object], *, prelude: Sequence[str], wrapper: str, needs_flask: bool) -> None:
    """Call the function that runs env.py: after the imports of `prelude`, in what `wrapper` or Flask gives it."""
    for name in prelude:
        importlib.import_module(name)
    if wrapper:
        module, _, function = wrapper.partition(":")
        getattr(importlib.import_module(module), function)(run)
        return
    with _flask_application() if needs_flask else contextlib.nullcontext():
        run()


@contextlib.contextmanager
def _flask_application() -> Iterator[None]:
    """Enter the context of the application that the command `flask` finds: FLASK_APP, wsgi.py or app.py."""
    cli: Any = importlib.import_module("flask.cli")
    cli.load_dotenv()
    with cli.ScriptInfo(os.environ.get("FLASK_APP")).load_app().app_context():
        yield
