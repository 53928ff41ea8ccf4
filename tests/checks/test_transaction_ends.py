"""What a revision does to its transaction is decided by what a replay measured, not by its text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.checks.finding import Severity
from dormatory.checks.source import ApplicationModules, check_source
from dormatory.project.revision_files import read_scripts
from dormatory.replay.replay import replay_history
from tests.scratch import BACKENDS, scratch_maker

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding
    from tests.conftest import SmallProject

# As `alembic init` writes it: the transaction begins with the first statement that changes rows.
PLAIN_ENV = """
from alembic import context
from sqlalchemy import NullPool, create_engine, event
engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=NullPool)
{}
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
INSERT = 'op.execute("INSERT INTO a (id) VALUES (77)")\n'
SESSION = f"""from sqlalchemy.orm import Session
{INSERT}session = Session(op.get_bind())
session.execute(sa.text("SELECT 1"))
"""


def played_findings(
    project: SmallProject, backend: str, upgrade: str, request: pytest.FixtureRequest, env: str = ""
) -> list[Finding]:
    """Return the findings in the text of a revision that was played in a project with an env.py of its own."""
    (project.root / "scripts" / "env.py").write_text(PLAIN_ENV.format(env))
    project.write_table_revisions("a")
    project.write_revision("002", upgrade, 'op.execute("DELETE FROM a WHERE id = 77")')
    recording = replay_history(project.project, scratch_maker(backend, request))
    application = ApplicationModules(frozenset())
    found = check_source(read_scripts(project.project), application, backends=(backend,), recordings=(recording,))
    return [each for each in found if each.revision == "002"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("upgrade", "expected"),
    [
        (
            f"{SESSION}session.execute(sa.text('INSERT INTO a (id) VALUES (77)'))\nsession.rollback()",
            ["rollback() of a session rolls back"],
        ),
        (f"{SESSION}session.commit()", []),
        (f"{INSERT}op.get_bind().commit()", ["commit() ends"]),
        (f'{INSERT}op.execute("COMMIT")', ["COMMIT ends"]),
        (f'if op.get_bind().dialect.name == "mysql":\n    op.execute("COMMIT")\n{INSERT}', []),
        (f"{INSERT}if sa.inspect(op.get_bind()).has_table('never'):\n    op.get_bind().commit()", []),
        (f"{INSERT}with op.get_bind().begin_nested() as part:\n    part.rollback()", []),
        (f"{SESSION}try:\n    1 / 0\nexcept ArithmeticError:\n    session.rollback()\n    raise", []),
        (
            (
                f"def undo():\n    op.get_bind().rollback()\n    raise ValueError('rows')\n{INSERT}"
                "try:\n    undo()\nexcept ValueError:\n    print('never mind')"
            ),
            ["rollback() rolls back"],
        ),
    ],
    ids=[
        "session rolled back",
        "session committed",
        "commit",
        "commit in SQL",
        "other dialect",
        "never taken",
        "savepoint",
        "rolled back and raised",
        "raised and caught by the caller",
    ],
)
def test_only_what_ended_the_transaction_in_a_replay_is_reported(
    small_project: SmallProject, backend: str, upgrade: str, expected: list[str], request: pytest.FixtureRequest
) -> None:
    found = played_findings(small_project, backend, upgrade, request)
    ended = [each for each in found if each.rule == "transaction-ended"]
    rest = " the transaction that the revision runs in"
    assert [each.message for each in ended] == [f"{text}{rest}" for text in expected]
    assert {each.severity for each in ended} <= {Severity.ERROR}


PRAGMA_OFF, PRAGMA_ON = (f'op.execute("PRAGMA foreign_keys = {word}")\n' for word in ("OFF", "ON"))
BLOCK = "with op.get_context().autocommit_block():\n    "
ENFORCE = """@event.listens_for(engine, "connect")
def enforce(connection, record):
    connection.execute("PRAGMA foreign_keys = ON")"""


@pytest.mark.parametrize(
    ("upgrade", "env", "expected"),
    [
        (INSERT + PRAGMA_OFF + PRAGMA_ON, ENFORCE, ["SQLite ignored this PRAGMA"]),
        (PRAGMA_OFF + INSERT, ENFORCE, ["foreign keys stay off"]),
        (PRAGMA_OFF + 'op.add_column("a", sa.Column("b", sa.Text))\n' + PRAGMA_ON, ENFORCE, []),
        (f"{INSERT}{BLOCK}{PRAGMA_OFF}{BLOCK}{PRAGMA_ON}", ENFORCE, []),
        (INSERT + PRAGMA_OFF, "", []),
        (PRAGMA_ON, "", ["foreign keys stay on"]),
    ],
    ids=["ignored", "left off", "in force", "in blocks", "were off", "left on"],
)
def test_sqlite_is_asked_whether_a_pragma_was_in_force(
    small_project: SmallProject, upgrade: str, env: str, expected: list[str], request: pytest.FixtureRequest
) -> None:
    found = played_findings(small_project, "sqlite", upgrade, request, env)
    pragmas = [each.message for each in found if each.rule == "pragma-foreign-keys"]
    assert [text[: len(start)] for text, start in zip(pragmas, expected, strict=True)] == expected


def test_a_call_that_a_backend_has_executed_is_not_for_the_other_one_only(
    small_project: SmallProject, request: pytest.FixtureRequest
) -> None:
    upgrade = """
    def on_the_server(sql):
        op.execute(sql)
    runs = {"postgresql": lambda: on_the_server("COMMENT ON TABLE a IS 'x'")}
    runs.get(op.get_bind().dialect.name, lambda: None)()
    if op.get_bind().dialect.name == "sqlite":
        return
    on_the_server("UPDATE a SET id = id::int")
    """
    assert played_findings(small_project, "sqlite", upgrade, request) == []
