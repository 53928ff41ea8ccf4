"""Functions run in worker processes: what passes to a worker and back, and what its end becomes."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import pytest

from dormatory.backends.names import validate_backend_name
from dormatory.errors import EnvironmentFailedError, UnsupportedBackendError
from dormatory.runtime import worker
from dormatory.runtime.worker import call_in_parallel, call_in_worker

if TYPE_CHECKING:
    from dormatory.project.project import Project
    from tests.conftest import SmallProject


@pytest.fixture
def external(small_project: SmallProject) -> Project:
    """A project whose env.py we did not write: its code runs in workers only."""
    (small_project.root / "scripts" / "env.py").write_text("")
    return small_project.project


def test_the_program_of_a_worker_names_functions_that_exist() -> None:
    imports = re.findall(r"from (dormatory[\w.]+) import (\w+)", worker._WORKER_CODE)
    assert len(imports) == 2
    assert all(callable(getattr(import_module(module), name)) for module, name in imports)


def test_a_project_with_our_env_is_run_in_this_process(small_project: SmallProject) -> None:
    assert call_in_worker(small_project.project, os.getpid) == os.getpid()


def test_another_project_is_run_in_a_process_of_its_own(external: Project) -> None:
    assert call_in_worker(external, os.getpid) != os.getpid()


def test_a_known_error_is_raised_again(external: Project) -> None:
    with pytest.raises(UnsupportedBackendError, match="mysql"):
        call_in_worker(external, validate_backend_name, "mysql")


def test_a_project_that_exits_is_an_error_of_its_env(external: Project) -> None:
    with pytest.raises(EnvironmentFailedError, match=re.escape("it called sys.exit(3)")):
        call_in_worker(external, sys.exit, 3)


def test_a_process_that_dies_is_reported_with_its_exit_code(external: Project) -> None:
    with pytest.raises(EnvironmentFailedError, match="the process ended with exit code 7"):
        call_in_worker(external, os._exit, 7)


def test_a_programming_error_keeps_its_traceback(external: Project) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        call_in_worker(external, divmod, 1, 0)


def test_parallel_calls_return_their_results_by_name(external: Project) -> None:
    results = call_in_parallel(external, ("a", "bb"), lambda name: (len(name), "real"), getattr, lambda *_: None)
    assert results == {"a": 1, "bb": 2}


def test_messages_arrive_with_the_name_of_their_call(external: Project) -> None:
    received: list[tuple[str, Any]] = []
    send_two = methodcaller("__call__", 2)  # a worker imports no module of tests
    call_in_parallel(external, ("a", "b"), lambda _: (), send_two, lambda name, value: received.append((name, value)))
    assert sorted(received) == [("a", 2), ("b", 2)]
