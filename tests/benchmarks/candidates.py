"""The candidates that are compared: ways to replay a history, each run in its own process by `python -m` this module.

Its arguments are a way, an ini file, and the URL of an empty database; for `ours` a backend and, where it has a server,
the directory of its socket and its version. It prints one line of JSON: what was measured.
"""

from __future__ import annotations

import json
import logging
import pickle
import re
import resource
import sqlite3
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import psycopg2
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, event, make_url

from dormatory.backends.postgresql import tracer
from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.project.project import Project
from dormatory.replay import replay
from dormatory.runtime.scratch import databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from dormatory.recording.model import Step

_READ_VERBS = ("SELECT", "PRAGMA", "SHOW")


def ours(ini: str, backend: str, *server: str) -> dict[str, Any]:
    """Replay a history as `inv db.round-trip` does, with rows and recording."""
    return _replay(ini, backend, *server, second_databases=partial(databases, backend))


def _replay(ini: str, backend: str, socket: str = "", version: str = "0", **options: Any) -> dict[str, Any]:
    server = throwaway.Server(int(version), Path(), Path(socket))
    maker = scratch_sqlite if backend == "sqlite" else lambda: throwaway.scratch_postgresql(server)
    moments: list[float] = []

    def on_step(_step: Step) -> None:
        moments.append(perf_counter())

    began = perf_counter()
    recording = replay.replay_history(Project.read(Path(ini)), maker, on_step, **options)
    seconds = perf_counter() - began
    broken = [step.revision for step in recording.steps if not step.is_clean]
    broken += [route.kind.value for route in recording.routes if not route.is_clean]
    return {
        "seconds": seconds,
        "first": moments[0] - began,
        "steps": len(recording.steps),
        "broken": broken,
        "unfilled": len(recording.unfilled),
    }


def unwatched(*arguments: str) -> dict[str, Any]:
    """Replay it in this process, without querying locks, rewrites and scans."""
    with patch.object(tracer, "statement_tracer", return_value=None):
        return inside(*arguments)


def inside(*arguments: str) -> dict[str, Any]:
    """Replay it as we do, but in this process."""
    with patch.object(replay, "call_in_worker", _call_in_process):
        return _replay(*arguments)


def _call_in_process(_project: Project, function: Callable[..., Any], *arguments: Any, on_message: Any = None) -> Any:
    return function(*arguments, *([on_message] if on_message else []))


def stairway(ini: str, url: str) -> dict[str, Any]:
    """Upgrade, downgrade and upgrade each revision by Alembic's own commands: the test that many projects have."""
    config = Config(ini)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    began = perf_counter()
    revisions = list(reversed(list(ScriptDirectory.from_config(config).walk_revisions("base", "heads"))))
    for script in revisions:
        command.upgrade(config, script.revision)
        command.downgrade(config, str(script.down_revision or "-1"))
        command.upgrade(config, script.revision)
    return {"seconds": perf_counter() - began, "steps": len(revisions)}


def capture(ini: str, url: str, file: str) -> dict[str, Any]:
    """Replay the same legs in one run of env.py, and store every statement that writes and every commit."""
    engine = create_engine(url, poolclass=NullPool)
    sent: list[tuple[str, Any]] = []
    _capture_statements(engine, sent)
    config = Config(ini)
    config.attributes["connection"] = engine
    script = ScriptDirectory.from_config(config)
    revisions = list(reversed(list(script.walk_revisions("base", "heads"))))

    def legs(_heads: Any, context: Any) -> Iterator[Any]:
        context._transaction_per_migration = True
        up, down = MigrationStep.upgrade_from_script, MigrationStep.downgrade_from_script
        for revision in revisions:
            for make in (up, down, up):
                context.impl.memo.clear()  # the types that a run has created: each leg starts like a new run
                yield make(script.revision_map, revision)

    with EnvironmentContext(config, script, fn=legs, destination_rev="heads"):
        script.run_env()
    Path(file).write_bytes(pickle.dumps(sent))
    return {"seconds": 0.0, "statements": len(sent)}


def bare(_ini: str, url: str, file: str) -> dict[str, Any]:
    """Send what was captured through one connection of the driver itself."""
    parsed = make_url(url)
    connection: Any
    if parsed.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(parsed.database))
    else:
        connection = psycopg2.connect(
            host=parsed.query["host"], port=parsed.query["port"], user=parsed.username, dbname=parsed.database
        )
    sent = pickle.loads(Path(file).read_bytes())  # noqa: S301  # capture() wrote it
    began = perf_counter()
    for sql, parameters in sent:
        if not sql:
            connection.commit()
            continue
        cursor = connection.cursor()
        several = isinstance(parameters, list)
        (cursor.executemany if several else cursor.execute)(sql, parameters or ())
        cursor.close()  # SQLite commits nothing while an INSERT .. RETURNING waits to be read
    connection.commit()
    seconds = perf_counter() - began
    connection.close()
    return {"seconds": seconds, "statements": len(sent)}


def _capture_statements(engine: Engine, sent: list[tuple[str, Any]]) -> None:
    def executed(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        if not sql.lstrip().upper().startswith(_READ_VERBS):
            sent.append((sql, parameters))

    def committed(_connection: Any) -> None:
        sent.append(("", None))

    event.listen(engine, "before_cursor_execute", executed)
    event.listen(engine, "commit", committed)


_WAYS: dict[str, Callable[..., dict[str, Any]]] = {
    "ours": ours, "inside": inside, "unwatched": unwatched, "stairway": stairway, "capture": capture, "bare": bare,
}  # fmt: skip


def main(way: str, *arguments: str) -> None:
    """Run a candidate, and print what was measured; memory is the sum of the peaks of our processes."""
    peaks: dict[str, int] = {}
    Thread(target=_record_peak_memory, args=(peaks,), daemon=True).start()
    result = _WAYS[way](*arguments)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + sum(peaks.values())
    print(json.dumps(result | {"memory_mb": used / 1024}))  # noqa: T201  # its output


def _record_peak_memory(peaks: dict[str, int]) -> None:
    """Record the peak memory of each child process in kB, until the program ends."""
    while True:
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):  # it has just ended
                for child in (task / "children").read_text().split():
                    name, status = (Path("/proc", child, file).read_text() for file in ("comm", "status"))
                    if (found := re.search(r"VmHWM:\s+(\d+)", status)) and name.startswith("python"):
                        peaks[child] = int(found[1])
        time.sleep(0.1)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(*sys.argv[1:])
