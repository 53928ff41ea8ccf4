"""What is lost with a view, table or function that is dropped and created again is named, and only that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.recreated import check_recreated
from dormatory.project.history import History
from dormatory.replay.replay import replay_history

if TYPE_CHECKING:
    from dormatory.backends.parts import ScratchMaker
    from dormatory.checks.finding import Finding
    from tests.conftest import SmallProject

COLUMNS = "id integer PRIMARY KEY, size integer, word text"
VIEW = "CREATE VIEW v AS SELECT id, size FROM a"
MATERIALIZED = "CREATE MATERIALIZED VIEW m AS SELECT id, size FROM a"
FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
TRIGGER = "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f()"
TABLE_AGAIN = f"DROP TABLE a CASCADE; CREATE TABLE a ({COLUMNS})"

# Name of the case: what exists before, the upgrade, what is lost (None: nothing), and a part of the remedy.
POSTGRESQL = {
    "index of a view": (
        f"{MATERIALIZED}; CREATE UNIQUE INDEX ux ON m (id)",
        f"DROP MATERIALIZED VIEW m; {MATERIALIZED}",
        "materialized view m: index ux",
        "CREATE UNIQUE INDEX ux ON m (id)",
    ),
    "index built again under another name": (
        f"{MATERIALIZED}; CREATE INDEX ix ON m (id)",
        f"DROP MATERIALIZED VIEW m; {MATERIALIZED}; CREATE INDEX other ON m (id)",
        None,
        "",
    ),
    "index of a column that is gone": (
        f"{MATERIALIZED}; CREATE INDEX ix ON m (size)",
        "DROP MATERIALIZED VIEW m; CREATE MATERIALIZED VIEW m AS SELECT id FROM a",
        None,
        "",
    ),
    "index dropped on purpose": (
        f"{MATERIALIZED}; CREATE INDEX ix ON m (id)",
        f"DROP INDEX ix; DROP MATERIALIZED VIEW m; {MATERIALIZED}",
        None,
        "",
    ),
    "grants and comments": (
        f"{VIEW}; GRANT SELECT ON v TO pg_monitor; COMMENT ON VIEW v IS 'it''s'; COMMENT ON COLUMN v.id IS 'key'",
        f"DROP VIEW v; {VIEW}",
        "view v: comment of id, comment, grant of SELECT to pg_monitor",
        "COMMENT ON VIEW v IS 'it''s'",
    ),
    "replaced in place": (
        f"{VIEW}; GRANT SELECT ON v TO pg_monitor",
        "CREATE OR REPLACE VIEW v AS SELECT id, size FROM a WHERE id > 0",
        None,
        "",
    ),
    "grant revoked on purpose": (
        f"{VIEW}; GRANT SELECT ON v TO pg_monitor",
        f"REVOKE ALL ON v FROM pg_monitor; DROP VIEW v; {VIEW}",
        None,
        "",
    ),
    "owner": (
        f"{VIEW}; ALTER VIEW v OWNER TO pg_monitor",
        f"DROP VIEW v; {VIEW}",
        "view v: owner pg_monitor",
        "ALTER VIEW v OWNER TO pg_monitor",
    ),
    "owner given again": (
        f"{VIEW}; ALTER VIEW v OWNER TO pg_monitor",
        f"DROP VIEW v; {VIEW}; ALTER VIEW v OWNER TO pg_monitor",
        None,
        "",
    ),
    "option of a view": (
        "CREATE VIEW v WITH (security_barrier = true) AS SELECT id FROM a",
        "DROP VIEW v; CREATE VIEW v AS SELECT id FROM a",
        "view v: option security_barrier=true",
        "ALTER VIEW v SET (security_barrier=true)",
    ),
    "row security and policy": (
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a USING (size > 1)",
        TABLE_AGAIN,
        "table a: policy p, row level security",
        "CREATE POLICY p ON a FOR ALL TO public USING (size > 1)",
    ),
    "table under another name first": (
        "CREATE INDEX ix ON a (size); GRANT SELECT ON a TO pg_monitor",
        f"ALTER TABLE a RENAME TO old; CREATE TABLE a ({COLUMNS}); INSERT INTO a SELECT * FROM old; DROP TABLE old",
        "table a: index ix, grant of SELECT to pg_monitor",
        "CREATE INDEX ix ON a (size)",
    ),
    "statistics": (
        "CREATE STATISTICS s ON size, word FROM a",
        TABLE_AGAIN,
        "table a: statistics s",
        "CREATE STATISTICS",
    ),
    "foreign key from elsewhere": (
        "CREATE TABLE b (id integer PRIMARY KEY, a_id integer CONSTRAINT fk REFERENCES a (id))",
        TABLE_AGAIN,
        "table a: constraint fk on b",
        "ALTER TABLE b ADD CONSTRAINT fk FOREIGN KEY (a_id) REFERENCES a(id)",
    ),
    "view on a table": (VIEW, TABLE_AGAIN, "table a: view v", ""),
    "trigger of a function": (
        f"{FUNCTION}; {TRIGGER}",
        f"DROP FUNCTION f() CASCADE; {FUNCTION}",
        "function f: trigger t on a",
        "CREATE TRIGGER t",
    ),
    "function dropped for good": (f"{FUNCTION}; {TRIGGER}", "DROP FUNCTION f() CASCADE", None, ""),
    "all created again": (
        f"{MATERIALIZED}; CREATE INDEX ix ON m (id); GRANT SELECT ON m TO pg_monitor",
        f"DROP MATERIALIZED VIEW m; {MATERIALIZED}; CREATE INDEX ix ON m (id); GRANT SELECT ON m TO pg_monitor",
        None,
        "",
    ),
}
BATCH = """with op.batch_alter_table("a") as batch:
    batch.alter_column("word", existing_type=sa.Text(), nullable=True, server_default="x")
"""
SQLITE_TRIGGER = "CREATE TRIGGER t AFTER UPDATE ON a BEGIN SELECT 1; END"
SQLITE = {
    "trigger in a batch": ([SQLITE_TRIGGER], BATCH, "table a: trigger t"),
    "trigger created again": ([SQLITE_TRIGGER], f'{BATCH}op.execute("{SQLITE_TRIGGER}")', None),
    "index of an expression in a batch": (["CREATE INDEX ix ON a (lower(word))"], BATCH, "table a: index ix"),
    "plain index in a batch": (["CREATE INDEX ix ON a (word)"], BATCH, None),
    "index dropped in a batch": (["CREATE INDEX ix ON a (word)"], f'{BATCH}    batch.drop_index("ix")', None),
    "index by hand": (
        ["CREATE INDEX ix ON a (size)"],
        f"""op.execute("CREATE TABLE a2 ({COLUMNS})")
op.execute("INSERT INTO a2 SELECT * FROM a")
op.execute("DROP TABLE a")
op.execute("ALTER TABLE a2 RENAME TO a")""",
        "table a: index ix",
    ),
}


def played_findings(project: SmallProject, maker: ScratchMaker, before: list[str], upgrade: str) -> list[Finding]:
    """Return what is found where a revision with this upgrade, and no downgrade, follows on these statements."""
    for name, statements in (("001", [f"CREATE TABLE a ({COLUMNS})"]), ("002", before)):
        write_upgrade(project, name, "\n".join(f'op.execute("""{sql}""")' for sql in statements))
    write_upgrade(project, "003", upgrade)
    recording = replay_history(project.project, maker)
    assert [str(leg.failure) for step in recording.steps for leg in step.legs[:1] if leg.failure] == []
    return list(check_recreated(recording, History.read(project.project)))


def write_upgrade(project: SmallProject, name: str, code: str) -> None:
    file = project.write_revision(name, code)
    file.write_text(file.read_text().partition("def downgrade")[0])


@pytest.mark.parametrize("name", POSTGRESQL)
def test_what_is_lost_on_postgresql_is_named_with_its_remedy(
    name: str, small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    before, upgrade, lost, remedy = POSTGRESQL[name]
    code = "\n".join(f'op.execute("""{sql}""")' for sql in upgrade.split("; ") if "$$" not in upgrade)
    maker = lambda: throwaway.scratch_postgresql(postgres_server)  # noqa: E731
    found = played_findings(small_project, maker, [before], code or f'op.execute("""{upgrade}""")')
    assert [labels(each) for each in found] == ([lost] if lost else [])
    assert all(remedy in each.hint for each in found)


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")  # as Alembic loses the index
@pytest.mark.parametrize("name", SQLITE)
def test_what_is_lost_on_sqlite_is_named(name: str, small_project: SmallProject) -> None:
    before, upgrade, lost = SQLITE[name]
    found = played_findings(small_project, scratch_sqlite, before, upgrade)
    assert [labels(each) for each in found] == ([lost] if lost else [])


def labels(finding: Finding) -> str:
    """Return a finding as the object, and what it lost."""
    return finding.message.replace(" is dropped and created again, without what it had", "")
