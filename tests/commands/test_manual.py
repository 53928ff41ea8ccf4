"""README.md and MIGRATIONS.md are true: tasks, options, exit codes, errors, files, links."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.cli.exit import ExitCode
from dormatory.system import process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke.collection import Collection
    from invoke.parser.argument import Argument

ROOT = Path(__file__).resolve().parents[2]
README, MIGRATIONS, CHANGELOG, RULES = (ROOT / f"{name}.md" for name in ("README", "MIGRATIONS", "CHANGELOG", "RULES"))
CONTRIBUTING, TESTS = ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md"
SETUP, TEST = (f"pip install -e '.[dev]' && {command}" for command in ("inv db.upgrade", "nox"))


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> Collection:
    """The tasks, loaded again for each test: Invoke removes each help text from its task when it reads it."""
    for name in [name for name in sys.modules if name.startswith("dormatory.cli.tasks")]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Collection = module.namespace
    return found


def typed_commands(document: str) -> list[str]:
    return re.findall(r"^\$ (.+)$", document, re.MULTILINE)


def manual_section(heading: str) -> str:
    """Return the text of one section of the manual."""
    return MIGRATIONS.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_two_commands_complete_the_setup() -> None:
    assert typed_commands(README.read_text()) == [SETUP, TEST]
    assert typed_commands(MIGRATIONS.read_text())[0] == SETUP  # run by test_documents.py
    assert TEST in (ROOT / ".ci/run").read_text().splitlines()


def test_every_task_and_option_is_in_the_manual(namespace: Collection) -> None:
    documented: dict[str, set[str]] = {}
    task = ""
    for row in re.finditer(r"^\| (?:`(db\.[\w-]+)`)? ?\| (?:`([^`]+)`)? ?\|", manual_section("Commands"), re.MULTILINE):
        task = row[1] or task
        documented.setdefault(task, set()).update([re.sub(r"(?<= )\W?[A-Z]+", "VALUE", row[2])] if row[2] else [])

    tasks = {
        name: {documented_usage(item) for item in namespace[name].get_arguments() if item.name != "x"}
        for name in namespace.task_names
    }
    assert documented == tasks


def test_the_manual_names_the_tasks_that_take_no_x(namespace: Collection) -> None:
    words = manual_section("Commands").partition("All tasks take it but those that do not run `env.py`: ")[2]
    without = [
        name for name in namespace.task_names if not any(item.name == "x" for item in namespace[name].get_arguments())
    ]
    assert sorted(re.findall(r"`(db\.[\w-]+)`", words.partition("\n\n")[0])) == sorted(without)


def test_every_task_and_option_has_help(namespace: Collection) -> None:
    for name in namespace.task_names:
        assert namespace[name].__doc__, name
        assert all(item.help for item in namespace[name].get_arguments()), name


def documented_usage(item: Argument) -> str:
    """Return an argument in the form that the manual uses."""
    if item.positional:
        return str(item.name).upper()
    return f"--{item.names[0]}" + (" VALUE]" if item.optional else " VALUE" if item.takes_value else "")


def test_only_tasks_that_exist_are_recommended(namespace: Collection) -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("*.py"), *ROOT.glob("dormatory/**/*.py")]
    recommended = {name for path in texts for name in re.findall(r"inv (db\.[\w-]+)", path.read_text())}

    assert recommended <= set(namespace.task_names)


def test_every_exit_code_is_in_the_manual() -> None:
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", manual_section("Exit codes"), re.MULTILINE)] == sorted(
        ExitCode
    )


def test_every_family_of_errors_is_in_the_troubleshooting() -> None:
    assert [words for words in error_phrases() if words not in manual_section("Troubleshooting")] == []


def error_phrases() -> Iterator[str]:
    """Yield the longest constant part of the first words of each error."""
    texts = [file.read_text() for file in sorted((ROOT / "dormatory/errors").glob("*.py"))]
    for node in ast.walk(ast.parse("\n".join(texts).replace("from __future__ import annotations", ""))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__" and len(node.args) == 1:
            whole = node.args[0]
            for words in (whole.body, whole.orelse) if isinstance(whole, ast.IfExp) else (whole,):
                pieces = [item.value for item in ast.walk(words) if isinstance(item, ast.Constant)]
                yield max((str(piece).strip(" :,") for piece in pieces), key=len)


@pytest.mark.parametrize("document", [README, MIGRATIONS], ids=lambda path: path.stem)
def test_every_file_that_a_layout_names_exists(document: Path) -> None:
    blocks = re.findall(r"^```text\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)

    assert blocks
    for line in "".join(blocks).splitlines():
        assert (ROOT / line.split()[0]).exists(), line


@pytest.mark.parametrize("document", [CONTRIBUTING, TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_page_for_contributors_names_exists(document: Path) -> None:
    named = re.findall(r"`([\w/.]+(?:/|\.\w+))`", document.read_text())

    assert named
    assert [name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "dormatory"))] == []


@pytest.mark.parametrize("document", [README, MIGRATIONS, CHANGELOG, RULES], ids=lambda path: path.stem)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        if path.startswith("https:"):
            continue
        page = document.parent / path if path else document
        headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target


def test_every_nox_session_in_the_documents_exists() -> None:
    known = process.run_program([sys.executable, "-m", "nox", "--list", "--json"], cwd=ROOT).stdout
    names = {item[key] for item in json.loads(known) for key in ("name", "session")}
    run_on_purpose = re.compile(r"^@nox.session\(default=False\)\ndef (\w+)", re.MULTILINE)
    names |= set(run_on_purpose.findall((ROOT / "noxfile.py").read_text()))

    named = re.findall(
        r"nox -s \"?([\w-]+(?:\([\w-]+\))?)", README.read_text() + MIGRATIONS.read_text() + CONTRIBUTING.read_text()
    )

    assert named
    assert set(named) <= names
