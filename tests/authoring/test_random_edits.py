"""Random edits of DORMATORY's models are written as revisions that prove themselves on each backend."""

from __future__ import annotations

import ast
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, Phase, given, seed, settings

from dormatory.backends.names import BACKEND_NAMES
from dormatory.checks.finding import Severity
from dormatory.commands import check
from dormatory.commands.collect_backend import collect_backend_evidence
from dormatory.commands.revision import write_revision
from dormatory.commands.revision_proof import prove_revision
from dormatory.runtime.progress import ignore_progress
from tests.authoring.model_edits import ModelEdit, model_edits, models_source
from tests.conftest import REPOSITORY, SmallProject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dormatory.commands.evidence import Evidence, EvidenceRequest
    from dormatory.project.project import Project

_ENV = (
    "from pathlib import Path",
    "from tests.authoring.model_edits import load_models",
    ("environment.run(load_models(Path(__file__).with_name('models.txt')))"),
)
# A long run: `nox -s authoring`; a failure is repeated with the seed of its run.
EXAMPLES, SEED = int(os.environ.get("DORMATORY_EXAMPLES", "8")), int(os.environ.get("DORMATORY_SEED", "1"))
EDITS = int(os.environ.get("DORMATORY_EDITS", "1"))
HISTORY = REPOSITORY / "alembic" / "versions"
_EXAMPLE = re.compile(r'op\.execute\("(.*)"\)', re.DOTALL)


@pytest.fixture(autouse=True)
def collect_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play each backend in this process, one after the other: starting workers takes longer."""

    def collect(
        project: Project, backends: Sequence[str], request: EvidenceRequest, on_step: object
    ) -> tuple[Evidence, ...]:
        del on_step
        return tuple(collect_backend_evidence(request, project, name, lambda _: None) for name in backends)

    monkeypatch.setattr(check, "collect_evidence", collect)


def edited_project(home: Path, source: str) -> Project:
    """Make a project whose models have this source."""
    small = SmallProject(home)
    small.write_env(*_ENV)
    (home / "scripts" / "models.txt").write_text(source)
    shutil.copytree(HISTORY, small.versions, dirs_exist_ok=True)
    return small.project


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(edits=model_edits(most=EDITS))
def test_whatever_changes_in_the_models_is_written_as_a_proven_revision(
    edits: list[ModelEdit],
) -> None:
    check_edits(edits)


def check_edits(edits: Sequence[ModelEdit]) -> None:
    """Write a revision for edits of the models, answer its questions and prove it."""
    source = models_source()
    for edit in edits:
        source = edit.apply(source)
    with tempfile.TemporaryDirectory() as home:
        project = edited_project(Path(home), source)
        file = write_revision(project, "Change the models", empty=False, ask=lambda _: True)
        assert file or source == models_source(), "nothing was written"
        if file is None:
            return
        answer_questions(file, edits)
        proof = prove_revision(project, file, BACKEND_NAMES, ignore_progress)
        found = [f"{it.rule}: {it.message}" for it in proof.outcome.findings if it.severity is not Severity.NOTE]
        assert found == [], "\n".join((*found, file.read_text()))


def answer_questions(file: Path, edits: Sequence[ModelEdit]) -> None:
    """Write in place of each open question what its message says; the nodes of a function come in their order."""
    lines = file.read_text().splitlines(keepends=True)
    questions = [it for it in ast.walk(ast.parse("".join(lines))) if isinstance(it, ast.Raise)]
    for node in sorted(questions, key=lambda it: it.lineno, reverse=True):
        assert isinstance(node.exc, ast.Call)
        answer = _answer(ast.literal_eval(node.exc.args[0]), edits)
        lines[node.lineno - 1 : node.end_lineno] = [f"{' ' * node.col_offset}{answer}\n"]
    file.write_text("".join(lines))


def _answer(question: str, edits: Sequence[ModelEdit]) -> str:
    """Return the example of a question with the value that an edit has for the column."""
    found = _EXAMPLE.search(question)
    if "delete this line" in question or not found:
        return "pass"
    values = [it.value for it in edits if it.value and question.split(maxsplit=1)[0].split(".")[1] in it.new]
    return f"op.execute({found[1].replace('...', (values or ['NULL'])[0])!r})"
