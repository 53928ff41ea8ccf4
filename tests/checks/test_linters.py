"""What squawk and sqlfluff report about SQL, at the line of the revision that it comes from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.finding import Severity
from dormatory.checks.registry import RULES_REPLACED_IN_SQUAWK
from dormatory.checks.sqlfluff import sql_snippets, sqlfluff_findings
from dormatory.checks.squawk import executed_ddl, squawk_findings
from dormatory.commands import linters
from dormatory.errors import ProgramFailedError, ProgramMissingError
from dormatory.project.history import History
from dormatory.project.revision_files import read_scripts
from dormatory.replay.replay import replay_history
from tests.conftest import SmallProject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dormatory.checks.finding import Finding, LinterMessage
    from dormatory.checks.squawk import ExecutedDDL
    from dormatory.recording.model import Recording

TABLES = """
op.create_table("a", sa.Column("id", sa.Integer, primary_key=True), sa.Column("size", sa.Integer, nullable=False))
op.create_table("b", sa.Column("id", sa.Integer, sa.ForeignKey("a.id"), primary_key=True))
"""
EXECUTED = """
op.create_table("c", sa.Column("id", sa.CHAR(3), primary_key=True))
op.create_index("ix_a", "a", ["size"])
op.execute("UPDATE a SET size = 1")
op.execute('''
    ALTER TABLE a
        ALTER COLUMN size DROP NOT NULL;''')
with op.get_context().autocommit_block():
    op.execute("TRUNCATE a CASCADE")
op.add_column("a", sa.Column("number", sa.Integer))
"""


@pytest.fixture(scope="module")
def recording_and_history(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: throwaway.Server
) -> tuple[Recording, History]:
    project = SmallProject(tmp_path_factory.mktemp("squawk"))
    down = 'raise NotImplementedError("only the upgrade is checked")'
    project.write_revision("001", TABLES, down)
    project.write_revision("002", EXECUTED, down)
    recording = replay_history(project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    assert [leg.failure for step in recording.steps for leg in step.legs[:1]] == [None, None]
    return recording, History.read(project.project)


def squawk_messages(ran: Mapping[str, ExecutedDDL], recording: Recording) -> tuple[LinterMessage, ...]:
    return linters.run_squawk({name: script.text for name, script in ran.items()}, home=Path(), server=recording.server)


def line_of(path: str, text: str) -> int:
    lines = Path(path).read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_squawk_findings_on_existing_tables_are_reported_unless_our_rules_measure_them(
    recording_and_history: tuple[Recording, History],
) -> None:
    ran = executed_ddl(*recording_and_history)
    found = list(
        squawk_findings(ran, squawk_messages(ran, recording_and_history[0]), replaced=RULES_REPLACED_IN_SQUAWK)
    )
    assert [(each.object, each.severity, each.revision) for each in found] == [
        ("ban-drop-not-null a", Severity.NOTE, "002"),
        ("ban-truncate-cascade", Severity.WARNING, "002"),
    ]
    assert found[0].location.line == line_of(found[0].location.path, "op.execute('''")
    assert found[1].location.line == line_of(found[1].location.path, "TRUNCATE")
    assert "(squawk: ban-truncate-cascade)" in found[1].message


def test_fewer_excluded_rules_give_more_squawk_findings(recording_and_history: tuple[Recording, History]) -> None:
    ran = executed_ddl(*recording_and_history)
    found = squawk_findings(
        ran, squawk_messages(ran, recording_and_history[0]), replaced=RULES_REPLACED_IN_SQUAWK, excluded=()
    )
    (bigint,) = [each for each in found if each.object == "prefer-bigint-over-int a"]
    assert bigint.location.line == line_of(bigint.location.path, "add_column")


def test_squawk_reads_ddl_in_the_transactions_it_ran_in(recording_and_history: tuple[Recording, History]) -> None:
    text = executed_ddl(*recording_and_history)["002"].text
    assert "UPDATE" not in text
    assert [line for line in text.splitlines() if line in {"BEGIN;", "COMMIT;"}] == ["BEGIN;", "COMMIT;"] * 2
    assert text.index("COMMIT;") < text.index("TRUNCATE") < text.rindex("BEGIN;")


def test_squawk_knows_nothing_of_sqlite(small_project: SmallProject) -> None:
    small_project.write_table_revisions("room")
    recording = replay_history(small_project.project, scratch_sqlite)
    assert executed_ddl(recording, History.read(small_project.project)) == {}


def test_a_missing_linter_is_not_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissingError, match=r"squawk was not found.*pip install squawk-cli"):
        linters.run_squawk({"001": "SELECT 1;"}, home=tmp_path)


def test_a_linter_that_breaks_is_not_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "squawk"
    program.write_text("#!/bin/sh\necho 'out of feathers' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ProgramFailedError, match="out of feathers"):
        linters.run_squawk({"001": "SELECT 1;"}, home=tmp_path)


def test_without_sql_no_linter_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert linters.run_squawk({}, home=tmp_path) == ()
    assert linters.run_sqlfluff({}, home=tmp_path) == ()
    assert linters.run_sqlfluff({"0": ("sqlite", "select 1")}, home=tmp_path) == ()  # no rules were chosen


HANDWRITTEN = '''
op.execute(
    """
    UPDATE a SET size = 1
    where size = :size
    """
)
op.execute(
    "DELETE FROM a "
    "where size = 2"
)
op.execute(sa.text(dedent("""\\
    SELECT 1
    from a
    """)))
if op.get_bind().dialect.name == "sqlite":
    op.execute("SELECT json_extract(size, '$') FROM a where TRUE")
op.execute("DELETE FROM " + table_name() + " where size = 2")
op.execute("DELETE FROM a WHERE (size = 2 OR")
op.execute("DELETE  FROM   a")
'''


@pytest.fixture(scope="module")
def sqlfluff_result(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Finding]]:
    """The path of a revision, and what sqlfluff reports about its SQL where capitals are required."""
    project = SmallProject(tmp_path_factory.mktemp("sqlfluff"))
    rules = '[tool.sqlfluff.core]\nrules = "CP01, LT01"\n[tool.sqlfluff.rules.capitalisation.keywords]\n'
    (project.root / "pyproject.toml").write_text(f'{rules}capitalisation_policy = "upper"\n')
    project.write_revision("001", HANDWRITTEN, extra="from textwrap import dedent")
    snippets = sql_snippets(read_scripts(project.project))
    reported = linters.run_sqlfluff(
        {name: (snippet.backend, snippet.executable_sql) for name, snippet in snippets.items()},
        home=project.root / "scripts",
    )
    (script,) = read_scripts(project.project)
    return str(script.path), list(sqlfluff_findings(snippets, reported))


def test_sqlfluff_findings_have_the_line_within_a_literal(sqlfluff_result: tuple[str, list[Finding]]) -> None:
    path, found = sqlfluff_result
    lines = Path(path).read_text().splitlines()
    shown = [lines[each.location.line - 1].strip() for each in found if each.rule == "sqlfluff"]
    assert sorted(shown) == sorted(
        [
            "where size = :size",
            '"DELETE FROM a "',  # the text itself has one line
            "from a",
            "op.execute(\"SELECT json_extract(size, '$') FROM a where TRUE\")",
        ]
    )
    assert {each.location.path for each in found} == {path}
    assert all("(sqlfluff: CP01)" in each.message for each in found if each.rule == "sqlfluff")


def test_a_text_is_read_in_the_dialect_that_its_guard_names(sqlfluff_result: tuple[str, list[Finding]]) -> None:
    backends = {each.sql.split()[1]: each.backend for each in sqlfluff_result[1] if each.rule == "sqlfluff"}
    assert backends["json_extract(size,"] == "sqlite"
    assert backends["a"] == "postgresql"


def test_what_sqlfluff_cannot_read_is_a_note(sqlfluff_result: tuple[str, list[Finding]]) -> None:
    (found,) = [each for each in sqlfluff_result[1] if each.rule == "sql-unparsable"]
    assert (found.severity, found.location.line) == (Severity.NOTE, line_of(found.location.path, '= 2 OR"'))


def test_parameters_and_escaped_colons_are_read_as_the_database_reads_them(small_project: SmallProject) -> None:
    small_project.write_revision(
        "001", r"""op.execute(sa.text("SELECT a\\:\\:int, b::int, ':x' FROM t WHERE c = :it"))"""
    )
    (snippet,) = sql_snippets(read_scripts(small_project.project)).values()
    assert snippet.executable_sql == "SELECT a::int, b::int, '11' FROM t WHERE c = 111"
