"""What an owner who is no superuser is refused is found by trying it, and nothing of the trial stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.privileges import check_privileges
from dormatory.project.history import History
from dormatory.replay.replay import replay_history

if TYPE_CHECKING:
    from dormatory.checks.finding import Finding
    from tests.conftest import SmallProject

C_FUNCTION = "CREATE FUNCTION now_in_c() RETURNS timestamptz AS 'now' LANGUAGE internal"
IN_LOOP = "DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY ARRAY['a'] LOOP EXECUTE format('{}', r); END LOOP; END $$"
REFUSED = {
    "setting": "SET LOCAL session_replication_role = replica",
    "setting by function": "SELECT set_config('session_replication_role', 'origin', true)",
    "triggers of foreign keys": "ALTER TABLE b DISABLE TRIGGER ALL",
    "in a block": IN_LOOP.format("ALTER TABLE b DISABLE TRIGGER ALL"),
    "event trigger": "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION note()",
    "program": "COPY a TO PROGRAM 'cat > /dev/null'",
    "file": "COPY a TO '/dev/null'",
    "extension": "CREATE EXTENSION pageinspect",
    "language": C_FUNCTION,
    "leakproof": "CREATE FUNCTION one() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'",
    "attribute of a role": "ALTER ROLE CURRENT_USER SUPERUSER",
    "all tables": "CREATE PUBLICATION everything FOR ALL TABLES",
}
ALLOWED = {
    "setting": "SET LOCAL lock_timeout = '3s'",
    "setting of another kind": "SET LOCAL default_statistics_target = 50",
    "setting by function": "SELECT set_config('search_path', 'public', true)",
    "own triggers": "ALTER TABLE b DISABLE TRIGGER USER",
    "in a block": IN_LOOP.format("ALTER TABLE b DISABLE TRIGGER USER"),
    "trusted extension": "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "function": "CREATE FUNCTION two() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 2'",
    "grant": "GRANT SELECT ON a TO pg_monitor",
    "default privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor",
    "some tables": "CREATE PUBLICATION few FOR TABLE a",
    "owner": "ALTER TABLE a OWNER TO CURRENT_USER",
    "storage": "ALTER TABLE a SET (fillfactor = 90)",
    "collation": "CREATE COLLATION plain (locale = 'C')",
    "replica identity": "ALTER TABLE a REPLICA IDENTITY FULL",
    "text search": "CREATE TEXT SEARCH CONFIGURATION words (COPY = simple)",
    "percent sign": "DO $$ BEGIN RAISE DEBUG 'all of % done, 100%%', 1; END $$",
}


def execute_call(text: str) -> str:
    return f'op.execute("""{text}""")'


def write_revision(project: SmallProject, name: str, upgrade: str) -> None:
    """Write a revision without a downgrade: only the upgrade is played, and what it made stays."""
    file = project.write_revision(name, upgrade)
    file.write_text(file.read_text().partition("def downgrade")[0])


def played_findings(project: SmallProject, server: throwaway.Server) -> list[Finding]:
    """Return what is found in a history; its upgrades must all succeed."""
    recording = replay_history(project.project, lambda: throwaway.scratch_postgresql(server))
    assert [str(leg.failure) for step in recording.steps for leg in step.legs[:1] if leg.failure] == []
    return list(check_privileges(recording, History.read(project.project)))


def write_tables(project: SmallProject) -> None:
    """Write a first revision with two tables, a foreign key and a trigger function."""
    project.write_revision(
        "001",
        """
        op.create_table("a", sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.Text))
        key = sa.Column("id", sa.Integer, primary_key=True)
        op.create_table("b", key, sa.Column("a_id", sa.Integer, sa.ForeignKey("a.id")))
        op.execute("CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'")
        """,
        'op.drop_table("b")\nop.drop_table("a")\nop.execute("DROP FUNCTION note")',
    )


def test_what_the_server_refuses_an_ordinary_owner_is_reported_and_nothing_else(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    write_tables(small_project)
    statements = [*REFUSED.values(), *ALLOWED.values()]
    for number, statement in enumerate(statements, start=2):
        write_revision(small_project, f"{number:03d}", execute_call(statement))
    found = played_findings(small_project, postgres_server)
    names = {f"{number:03d}": name for number, name in enumerate(REFUSED, start=2)}
    assert [names.get(each.revision, each.sql) for each in found] == list(REFUSED)
    assert {each.rule for each in found} == {"needs-superuser"}
    assert 'permission denied to set parameter "session_replication_role"' in found[0].message
    assert found[0].location.line == 11


def test_what_cannot_be_tried_in_a_transaction_is_known_from_its_text(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    block = "with op.get_context().autocommit_block():\n    "
    write_revision(small_project, "001", block + execute_call("ALTER SYSTEM RESET work_mem"))
    write_revision(small_project, "002", block + execute_call("ALTER ROLE CURRENT_USER SUPERUSER"))
    write_revision(small_project, "003", block + execute_call("CREATE EXTENSION IF NOT EXISTS plpgsql"))
    write_revision(small_project, "004", block + execute_call("/* of two\\nlines */ ALTER SYSTEM RESET work_mem"))
    assert [each.revision for each in played_findings(small_project, postgres_server)] == ["001", "002", "004"]


@pytest.mark.parametrize(
    ("security", "condition", "expected"),
    [
        ("FORCE", "word = current_setting('app.word', true)", "this statement reaches 0 of "),
        ("FORCE", "word = current_setting('app.word')", "this statement fails: unrecognized configuration parameter"),
        ("FORCE", "true", ""),
        ("ENABLE", "false", ""),
    ],
    ids=["hidden", "setting missing", "all shown", "not forced"],
)
def test_rows_that_forced_row_security_hides_from_the_owner_are_counted(
    small_project: SmallProject, postgres_server: throwaway.Server, security: str, condition: str, expected: str
) -> None:
    write_tables(small_project)
    statements = ("ALTER TABLE a ENABLE ROW LEVEL SECURITY", f"ALTER TABLE a {security} ROW LEVEL SECURITY")
    policy = f"CREATE POLICY p ON a USING ({condition})"
    write_revision(small_project, "002", "\n".join(map(execute_call, (*statements, policy))))
    update = 'op.execute(sa.text("UPDATE a SET word = :new").bindparams(new="x"))'
    write_revision(small_project, "003", update)
    found = played_findings(small_project, postgres_server)
    assert [each.rule for each in found] == (["rows-hidden-by-policy"] if expected else [])
    assert all(f"row level security of a is forced: as an ordinary owner, {expected}" in each.message for each in found)


def test_sqlite_has_no_privileges(small_project: SmallProject) -> None:
    small_project.write_table_revisions("a")
    recording = replay_history(small_project.project, scratch_sqlite)
    assert list(check_privileges(recording, History.read(small_project.project))) == []
