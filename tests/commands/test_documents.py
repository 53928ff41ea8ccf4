"""MIGRATIONS.md works as it is written: every command is run, every file of its examples is written.

Each section is followed from its beginning to its end in a scratch copy of the project, as a reader would. What the
document calls /home/you/dormatory is that copy, db.example.org is a throwaway server, and the worked examples continue
the history wherever it ends now, each from where the files of the first one lead.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from sqlalchemy import NullPool, create_engine

from dormatory.system import process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.server.throwaway import Server

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "MIGRATIONS.md"
INSTALL_COMMAND = "pip install -e '.[dev]' && "  # already done: the test runs in the environment that it creates

HOME, HOST = "/home/you/dormatory", "db.example.org"
URL = re.compile(rf"(://dorm:secret@){re.escape(HOST)}/(\w+)(\??)")
EXAMPLES, EXAMPLE, FIRST_EXAMPLE = "Daily work", "Example: ", 14
FIRST_MIGRATION = "Your first migration"


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A command, and the output that the document shows, in which `...` stands for any text."""

    line: int
    text: str
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file, and the text that a reader writes into it."""

    line: int
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class EditedFile:
    """A file, and the lines that a reader replaces in it."""

    line: int
    path: str
    before: str
    text: str


Step: TypeAlias = ShellCommand | WrittenFile | EditedFile


@dataclass(frozen=True, slots=True)
class Section:
    """The commands and files below one heading."""

    title: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.title.replace(" ", "-")


def sections(document: Path) -> Iterator[Section]:
    """Yield the sections that contain commands or files; each worked example is one."""
    chapter, title, steps, kind, body, start, indent = "top", "top", list[Step](), "", list[str](), 0, ""
    for number, line in enumerate([*document.read_text().splitlines(), "## end"], 1):
        if fence := re.fullmatch(r"( *)```(\w*)", line):
            if kind:
                steps += steps_in_block(kind, [text.removeprefix(indent) for text in body], start)
            indent, kind, body, start = fence[1], fence[2], [], number
        elif kind:
            body.append(line)
        elif (heading := re.fullmatch(r"(###?) (.+)", line)) and (heading[1] == "##" or chapter == EXAMPLES):
            if steps:
                yield Section(title, tuple(steps))
            chapter = heading[2] if heading[1] == "##" else chapter
            title, steps = EXAMPLE + heading[2] if chapter == EXAMPLES else chapter, []


def steps_in_block(kind: str, body: list[str], start: int) -> Iterator[Step]:
    """Yield the commands or the file of one code block."""
    if kind == "python":
        yield WrittenFile(start, body[0].removeprefix("# "), "\n".join(body[1:]) + "\n")
    elif kind == "diff":
        before, after = ("\n".join(line[1:] for line in body[1:] if line[:1] in sides) for sides in (" -", " +"))
        yield EditedFile(start, body[0].removeprefix("# "), before + "\n", after + "\n" if after else "")
    elif kind == "console":
        begins = [number for number, line in enumerate(body) if line.startswith("$ ")]
        for begin, end in pairwise([*begins, len(body)]):
            typed = 1 + sum(line.startswith("> ") for line in body[begin + 1 : end])
            text = "\n".join(line[2:] for line in body[begin : begin + typed])
            yield ShellCommand(start + begin + 1, text, tuple(body[begin + typed : end]))
    else:
        assert kind in {"text", "json"}, f"line {start}: this test does not know blocks of {kind}"


@dataclass(slots=True)
class Reader:
    """Runs the commands of a section in one shell, in a copy of the project."""

    home: Path
    environment: dict[str, str]
    socket: str = ""
    number_shift: int = 0
    exit_code: int = 0
    last_run: str = ""

    def follow_step(self, step: Step) -> None:
        """Run one step, and fail if it does not work as written."""
        if isinstance(step, WrittenFile):
            path = self.home / self.renumber(step.path)
            assert path.parent.is_dir(), f"line {step.line}: {step.path}"
            path.write_text(self.renumber(step.text))
            return
        if isinstance(step, EditedFile):
            path = self.home / step.path
            assert path.read_text().count(step.before) == 1, f"line {step.line}: {step.path}"
            path.write_text(path.read_text().replace(step.before, step.text))
            return
        text = step.text.removeprefix(INSTALL_COMMAND)
        # An exit code other than 0 is a failure, unless the next command is `echo $?`.
        if text != "echo $?":
            self.check_exit_code()
        output, shown = self.run_command(self.renumber(text)), self.renumber("\n".join(step.output))
        self.last_run = f"line {step.line}: $ {text}\nexit code {self.exit_code}, output:\n{output}"
        if shown and not re.fullmatch(output_pattern(shown), output):
            pytest.fail(f"{self.last_run}\nThe document shows:\n{shown}", pytrace=False)

    def run_command(self, text: str) -> str:
        """Run a command as the next one of this shell and return its output, in the words of the document."""
        state = self.home.parent / "environment"
        typed = URL.sub(self._real_url, text).replace(HOME, str(self.home))
        script = f'exec 2>&1\n(exit {self.exit_code})\n{typed}\ncode=$?\nenv -0 > "{state}"\nexit $code\n'
        done = process.run_program(["bash", "-c", script], env=self.environment, cwd=self.home, check=False)
        self.exit_code = done.code
        self.environment = dict(item.split("=", 1) for item in state.read_text().split("\0") if item)
        shown = done.stdout.replace(str(self.home), HOME)
        if self.socket:
            shown = re.sub(rf"@/(\w+)\?host={self.socket}(&?)", self._documented_url, shown).replace(self.socket, HOST)
        return "".join(f"{line.rstrip()}\n" for line in shown.splitlines())

    def check_exit_code(self) -> None:
        """Fail if the last command failed."""
        if self.exit_code != 0:
            pytest.fail(self.last_run, pytrace=False)

    def renumber(self, text: str) -> str:
        """Number the revisions of the worked examples after the last one of the history."""
        return re.sub(r"(?<!\d)01[3-5](?!\d)", lambda match: f"{int(match[0]) + self.number_shift:03d}", text)

    def _real_url(self, match: re.Match[str]) -> str:
        return f"{match[1]}/{match[2]}?host={self.socket}" + ("&" if match[3] else "")

    @staticmethod
    def _documented_url(match: re.Match[str]) -> str:
        return f"@{HOST}/{match[1]}" + ("?" if match[2] else "")


def output_pattern(shown: str) -> str:
    """Return a pattern for the shown output: `...` alone on a line stands for any lines, within a line for any text."""
    lines = [
        r"(?:.*\n)*" if line == "..." else re.escape(line.rstrip()).replace(r"\.\.\.", ".*") + r"\n"
        for line in shown.splitlines()
    ]
    return "".join(lines)


SECTIONS = tuple(sections(MIGRATIONS))
FIRST_FILES = next(
    tuple(step for step in section.steps if isinstance(step, WrittenFile))
    for section in SECTIONS
    if section.title.startswith(EXAMPLE)
)
LONGEST_FIRST = sorted(SECTIONS, key=lambda section: -len(section.steps))  # workers share them


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A reader in a copy of the project, without any environment variable of ours."""
    home = tmp_path / "dormatory"
    unneeded = shutil.ignore_patterns(".*", "*.db*", "*.egg-info", "build", "dist", "tests")
    shutil.copytree(ROOT, home, ignore=unneeded)
    ours = re.compile("DATABASE_URL|ALEMBIC_CONFIG|NO_COLOR|INVOKE_.*|PG.*|PYTHONPATH")
    environment = {key: value for key, value in os.environ.items() if not ours.fullmatch(key)}
    # Together in one stream, messages and results must come in the order in which they were written.
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    return Reader(home, environment)


@pytest.fixture
def example_org(postgres_server: Server) -> Iterator[str]:
    """The socket directory of a server on which `dorm` may create databases; afterwards it is as it was."""
    execute_as_administrator(postgres_server, "CREATE ROLE dorm LOGIN CREATEDB PASSWORD 'secret'")
    yield str(postgres_server.socket_directory)
    for name in ("dormatory", "dormatory_dev"):
        postgres_server.drop_database(name)
    execute_as_administrator(postgres_server, "DROP ROLE dorm")


def execute_as_administrator(server: Server, statement: str) -> None:
    """Execute one statement as the administrator of a server."""
    engine = create_engine(
        server.database("postgres").sqlalchemy_url(), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("section", LONGEST_FIRST, ids=str)
def test_every_command_works_as_written(section: Section, reader: Reader, request: pytest.FixtureRequest) -> None:
    if any(HOST in step.text for step in section.steps):
        reader.socket = request.getfixturevalue("example_org")
    given: tuple[Step, ...] = ()
    if section.title.startswith((EXAMPLE, FIRST_MIGRATION)):
        newest = max(path.name for path in (reader.home / "alembic/versions").glob("[0-9]*.py"))
        reader.number_shift = int(newest[:3]) + 1 - FIRST_EXAMPLE
    if section.title.startswith(EXAMPLE) and FIRST_FILES[0] not in section.steps:
        given = FIRST_FILES

    for step in (*given, *section.steps):
        reader.follow_step(step)

    reader.check_exit_code()
