"""What a revision makes others wait for: each rule fires where the server blocked, and not on similar statements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.finding import Severity
from dormatory.checks.locks import check_locks
from dormatory.project.history import History
from dormatory.replay.replay import replay_history
from tests.conftest import SmallProject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dormatory.checks.finding import Finding
    from dormatory.recording.model import Recording

AUTOCOMMIT = "with op.get_context().autocommit_block():\n    "
DELETE_ROWS = 'op.execute("DELETE FROM A WHERE id IS NOT NULL")\n'
TIMEOUT = "op.execute(\"SET LOCAL lock_timeout = '5s'\")\n"
ENV_IN_ONE_TRANSACTION = """
from alembic import context
from sqlalchemy import NullPool, create_engine
engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=NullPool)
with engine.begin() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def execute_call(text: str) -> str:
    return f'op.execute("""{text}""")'


@dataclass(frozen=True)
class Case:
    """An upgrade on tables a and b of its own, and the rules that report it, with the objects they are about."""

    upgrade: str
    found: tuple[str, ...] = ()


CASES = {
    "index": Case('op.create_index("ix_A", "A", ["word"])', ("index-not-concurrent ix_A",)),
    "index concurrently": Case(
        f'{AUTOCOMMIT}op.create_index("ix_A", "A", ["word"], postgresql_concurrently=True)',
    ),
    "index on a new table": Case(
        'op.create_table("A_new", sa.Column("id", sa.Integer))\nop.create_index("ix_A", "A_new", ["id"])'
    ),
    "index on an expression": Case(
        execute_call("CREATE INDEX ix_A ON A (lower(word))"), ("index-not-concurrent ix_A",)
    ),
    "index dropped": Case('op.drop_index("ix_A_size", table_name="A")', ("index-drop-not-concurrent ix_A_size",)),
    "index dropped concurrently": Case(
        f'{AUTOCOMMIT}op.drop_index("ix_A_size", table_name="A", postgresql_concurrently=True)'
    ),
    "index dropped with its table": Case(
        'op.drop_index("ix_A_size", table_name="A")\nop.drop_table("A")', ("table-in-use-dropped A",)
    ),
    "index rebuilt": Case(execute_call("REINDEX INDEX ix_A_size"), ("index-not-concurrent ix_A_size",)),
    "foreign key": Case(
        DELETE_ROWS + 'op.create_foreign_key("fk_A", "A", "B", ["size"], ["id"])',
        ("constraint-validated-under-lock fk_A",),
    ),
    "foreign key not valid": Case(
        'op.create_foreign_key("fk_A", "A", "B", ["size"], ["id"], postgresql_not_valid=True)'
    ),
    "foreign key of a new column": Case(
        execute_call("ALTER TABLE A ADD COLUMN b_id integer REFERENCES B (id)"), ("foreign-key-not-indexed A",)
    ),
    "foreign key validated in the same transaction": Case(
        DELETE_ROWS
        + execute_call("ALTER TABLE A ADD CONSTRAINT fk_A FOREIGN KEY (size) REFERENCES B (id) NOT VALID")
        + "\n"
        + execute_call("ALTER TABLE A VALIDATE CONSTRAINT fk_A"),
        ("constraint-validated-under-lock fk_A",),
    ),
    "foreign key validated afterwards": Case(
        DELETE_ROWS
        + AUTOCOMMIT
        + 'op.create_foreign_key("fk_A", "A", "B", ["size"], ["id"], postgresql_not_valid=True)\n    '
        + execute_call("ALTER TABLE A VALIDATE CONSTRAINT fk_A"),
    ),
    "check": Case(
        'op.create_check_constraint("ck_A", "A", "size <> 0 OR size = 0")', ("constraint-validated-under-lock ck_A",)
    ),
    "check not valid": Case(
        'op.create_check_constraint("ck_A", "A", "size > 0", postgresql_not_valid=True)',
    ),
    "not null": Case(DELETE_ROWS + 'op.alter_column("A", "word", nullable=False)', ("not-null-scan A.word",)),
    "not null after a check": Case(
        DELETE_ROWS
        + AUTOCOMMIT
        + "\n    ".join(
            execute_call(f"ALTER TABLE A {part}")
            for part in (
                "ADD CONSTRAINT ck_A CHECK (word IS NOT NULL) NOT VALID",
                "VALIDATE CONSTRAINT ck_A",
                "ALTER word SET NOT NULL",
            )
        )
    ),
    "type that is copied": Case('op.alter_column("A", "size", type_=sa.BigInteger())', ("table-rewrite A.size",)),
    "type that is not": Case('op.alter_column("A", "word", type_=sa.Text())'),
    "volatile default": Case(
        'op.add_column("A", sa.Column("key", sa.Uuid, server_default=sa.text("gen_random_uuid()")))',
        ("table-rewrite A.key",),
    ),
    "constant default": Case('op.add_column("A", sa.Column("level", sa.Integer, server_default="0", nullable=False))'),
    "stored column": Case(
        'op.add_column("A", sa.Column("twice", sa.Integer, sa.Computed("size * 2", persisted=True)))',
        ("table-rewrite A.twice",),
    ),
    "serial": Case(execute_call("ALTER TABLE A ADD COLUMN number bigserial"), ("table-rewrite A.number",)),
    "identity": Case(
        execute_call("ALTER TABLE A ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY"), ("table-rewrite A.number",)
    ),
    "unlogged": Case(execute_call("ALTER TABLE A SET UNLOGGED"), ("table-rewrite A",)),
    "cluster": Case(execute_call("CLUSTER A USING ix_A_size"), ("table-rewrite A",)),
    "unique": Case('op.create_unique_constraint("uq_A", "A", ["id", "word"])', ("constraint-builds-index uq_A",)),
    "unique using an index": Case(
        f'{AUTOCOMMIT}op.create_index("uq_A", "A", ["id", "word"], unique=True, postgresql_concurrently=True)\n    '
        + execute_call("ALTER TABLE A ADD CONSTRAINT uq_A UNIQUE USING INDEX uq_A")
    ),
    "exclude": Case(
        execute_call("ALTER TABLE A ADD CONSTRAINT ex_A EXCLUDE (id WITH =)"), ("constraint-builds-index ex_A",)
    ),
    "partition attached": Case(
        execute_call("CREATE TABLE A_all (id integer NOT NULL, word text, size integer) PARTITION BY RANGE (id)")
        + "\n"
        + execute_call("ALTER TABLE A ALTER word TYPE text")
        + "\n"
        + execute_call("ALTER TABLE A_all ATTACH PARTITION A FOR VALUES FROM (-2147483648) TO (MAXVALUE)"),
        ("constraint-validated-under-lock A",),
    ),
    "check of a new column": Case(
        execute_call("ALTER TABLE A ADD COLUMN level integer CHECK (level > 0)"), ("constraint-validated-under-lock A",)
    ),
    "column dropped": Case('op.drop_column("A", "word")', ("column-in-use-dropped A.word",)),
    "column renamed": Case('op.alter_column("A", "word", new_column_name="term")', ("renamed-in-use A.word",)),
    "table renamed": Case('op.rename_table("A", "A_two")', ("renamed-in-use A",)),
    "column renamed in a block": Case(
        execute_call("DO $$ BEGIN IF true THEN ALTER TABLE A RENAME word TO term; END IF; END $$"),
        ("renamed-in-use A.word",),
    ),
    "table moved to another schema": Case(
        execute_call("CREATE SCHEMA A_space") + "\n" + execute_call("ALTER TABLE A SET SCHEMA A_space"),
        ("renamed-in-use A",),
    ),
    "table renamed behind a view": Case(
        'op.rename_table("A", "A_two")\n' + execute_call("CREATE VIEW A AS TABLE A_two"),
    ),
    "required column": Case(
        'op.add_column("A", sa.Column("level", sa.Integer, server_default="0", nullable=False))\n'
        'op.alter_column("A", "level", server_default=None)',
        ("required-column A.level",),
    ),
    "rows under a lock": Case(
        'op.add_column("A", sa.Column("level", sa.Integer))\n' + execute_call("UPDATE A SET level = size"),
        ("backfill-with-ddl A",),
    ),
    "rows alone": Case(execute_call("UPDATE A SET size = 1 WHERE id > 0")),
    "all rows": Case(execute_call("UPDATE A SET size = 1"), ("whole-table-write A",)),
    "all rows deleted": Case(execute_call("DELETE FROM A"), ("whole-table-write A",)),
    "rows of another table": Case(execute_call("UPDATE A SET word = B.word FROM B WHERE B.id = A.id")),
    "rows of a new table": Case(
        'op.create_table("A_new", sa.Column("id", sa.BigInteger))\n' + execute_call("UPDATE A_new SET id = 1")
    ),
    "index in a block": Case(
        execute_call("DO $$ BEGIN EXECUTE 'CREATE INDEX ix_A_word ON A (word)'; END $$"),
        ("index-not-concurrent ix_A_word",),
    ),
    "two rewrites": Case(
        'op.alter_column("A", "size", type_=sa.BigInteger())\n'
        'op.alter_column("A", "word", type_=sa.Integer(), postgresql_using="length(word)")',
        ("table-rewrite A.size", "table-rewrite A.word", "altered-in-turn A"),
    ),
    "two columns": Case(
        'op.add_column("A", sa.Column("one", sa.Integer))\nop.add_column("A", sa.Column("two", sa.Integer))'
    ),
    "replica identity": Case(execute_call("ALTER TABLE A REPLICA IDENTITY FULL"), ("replica-identity-full A",)),
    "replica identity by key": Case(execute_call("ALTER TABLE A REPLICA IDENTITY DEFAULT")),
    "no vacuum": Case(execute_call("ALTER TABLE A SET (autovacuum_enabled = false)"), ("autovacuum-off A",)),
    "more vacuum": Case(execute_call("ALTER TABLE A SET (autovacuum_vacuum_scale_factor = 0.01)")),
    "foreign key that cascades": Case(
        execute_call("ALTER TABLE A ADD COLUMN b_id integer REFERENCES B (id) ON DELETE CASCADE"),
        ("foreign-key-not-indexed A",),
    ),
    "foreign key that cascades, indexed": Case(
        execute_call("ALTER TABLE A ADD COLUMN b_id integer REFERENCES B (id) ON DELETE CASCADE")
        + f'\nop.get_bind()\n{AUTOCOMMIT}op.create_index("ix_A_b", "A", ["b_id"], postgresql_concurrently=True)'
    ),
    "foreign key of another type": Case(
        execute_call("ALTER TABLE A ADD COLUMN b_id bigint UNIQUE REFERENCES B (id)"),
        ("constraint-builds-index A.b_id", "foreign-key-type-differs A.b_id"),
    ),
    "rows of a constant number": Case(
        'op.add_column("A", sa.Column("level", sa.Integer))\n'
        + execute_call("INSERT INTO B VALUES (999999999, 'x', 1)")
    ),
    "second table under a lock": Case(
        'op.add_column("A", sa.Column("one", sa.Integer))\nop.add_column("B", sa.Column("two", sa.Integer))',
        ("statements-after-lock A",),
    ),
    "same table under a lock": Case(
        'op.add_column("A", sa.Column("one", sa.Integer))\nop.add_column("A", sa.Column("two", sa.Integer))'
    ),
    "long name": Case(
        execute_call(f"ALTER TABLE A ADD COLUMN {'ä' * 32} integer"), (f"identifier-too-long {'ä' * 32}",)
    ),
    "name that just fits": Case(execute_call(f"ALTER TABLE A ADD COLUMN {'ä' * 31} integer")),
    "lock timeout": Case(TIMEOUT + 'op.add_column("A", sa.Column("one", sa.Integer))'),
}
# A replay starts again after each revision that loses rows: those come first, while there are few tables.
CASES_DELETING_ROWS = [name for name, case in CASES.items() if DELETE_ROWS in case.upgrade]
REVISION_NUMBERS = {name: number for number, name in enumerate(CASES_DELETING_ROWS, start=2)}
REVISION_NUMBERS |= {
    name: number
    for number, name in enumerate(
        [name for name in CASES if name not in CASES_DELETING_ROWS], len(CASES_DELETING_ROWS) + 3
    )
}


def table_names(number: int) -> tuple[str, str]:
    return f"a{number}", f"b{number}"


def with_table_names(text: str, number: int) -> str:
    """Return a text about A and B with the names of the case's own tables."""
    a, b = table_names(number)
    return re.sub(r"(?<![A-Za-z])[AB](?![A-Za-z])", lambda found: a if found[0] == "A" else b, text)


def create_table_code(table: str) -> str:
    key = 'sa.Column("id", sa.Integer, autoincrement=False)'
    columns = f'{key}, sa.Column("word", sa.String(9)), sa.Column("size", sa.Integer)'
    return (
        f'op.create_table("{table}", {columns}, sa.PrimaryKeyConstraint("id"))\n'
        f'op.create_index("ix_{table}_size", "{table}", ["size"])'
    )


def disable_lock_timeout(project: SmallProject) -> None:
    """Set no lock_timeout: only the revisions decide how long they wait for a lock."""
    project.write_ini("script_location = %(here)s/scripts", "[dormatory]", "lock_timeout = 0")


def write_revision(project: SmallProject, number: int, upgrade: str) -> None:
    """Write a revision without a downgrade: only the upgrade is checked, and a replay need not start again after it."""
    file = project.write_revision(f"{number:03d}", upgrade)
    file.write_text(file.read_text().partition("def downgrade")[0])


def table_creations(*names: str) -> Iterator[str]:
    """Yield the code that creates the tables of some cases."""
    for name in names:
        for letter in "AB":
            if with_table_names(letter, REVISION_NUMBERS[name]) in with_table_names(
                CASES[name].upgrade, REVISION_NUMBERS[name]
            ):
                yield create_table_code(with_table_names(letter, REVISION_NUMBERS[name]))


@pytest.fixture(scope="module")
def recording_and_history(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: throwaway.Server
) -> tuple[Recording, History]:
    """All cases, played as one history; where rows would not fit, they are deleted first."""
    project = SmallProject(tmp_path_factory.mktemp("locks"))
    disable_lock_timeout(project)
    write_revision(project, 1, "\n".join(table_creations(*CASES_DELETING_ROWS)))
    write_revision(
        project,
        len(CASES_DELETING_ROWS) + 2,
        "\n".join(table_creations(*(REVISION_NUMBERS.keys() - set(CASES_DELETING_ROWS)))),
    )
    for name, number in REVISION_NUMBERS.items():
        write_revision(project, number, with_table_names(CASES[name].upgrade, number))
    recording = replay_history(project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    failures = [leg.failure.why for step in recording.steps for leg in step.legs[:1] if leg.failure]
    assert failures == []
    return recording, History.read(project.project)


@pytest.fixture(scope="module")
def all_findings(recording_and_history: tuple[Recording, History]) -> tuple[Finding, ...]:
    """The findings of all cases."""
    return tuple(check_locks(*recording_and_history))


def findings_of(name: str, found: Iterable[Finding]) -> list[Finding]:
    """Return the findings of one case, without those about timeouts, which nearly every case has."""
    revision = f"{REVISION_NUMBERS[name]:03d}"
    return [each for each in found if each.revision == revision and each.rule != "no-lock-timeout"]


@pytest.mark.parametrize("name", CASES)
def test_blocking_operations_are_found_and_similar_ones_are_not(name: str, all_findings: tuple[Finding, ...]) -> None:
    number = REVISION_NUMBERS[name]
    found = tuple(f"{each.rule} {each.object}" for each in findings_of(name, all_findings))
    assert found == tuple(with_table_names(each, number) for each in CASES[name].found)


def test_a_finding_has_the_line_the_statement_and_the_lock(all_findings: tuple[Finding, ...]) -> None:
    (found,) = findings_of("foreign key", all_findings)
    a, b = table_names(REVISION_NUMBERS["foreign key"])
    assert "create_foreign_key" in Path(found.location.path).read_text().splitlines()[found.location.line - 1]
    assert found.sql.startswith(f"ALTER TABLE {a} ADD CONSTRAINT")
    assert f"SHARE ROW EXCLUSIVE on {a} and {b}: nobody can write to them" in found.message
    assert f'op.create_foreign_key("fk_{a}", "{a}", "{b}", ["size"], ["id"], postgresql_not_valid=True)' in found.hint
    assert found.backend == "postgresql"


def test_the_remedy_of_an_index_is_the_same_index_built_concurrently(all_findings: tuple[Finding, ...]) -> None:
    (plain,), (expression,) = findings_of("index", all_findings), findings_of("index on an expression", all_findings)
    a = table_names(REVISION_NUMBERS["index"])[0]
    assert f'op.create_index("ix_{a}", "{a}", ["word"], postgresql_concurrently=True)' in plain.hint
    assert "CREATE INDEX CONCURRENTLY" in expression.hint
    assert "lower(word)" in expression.hint


def test_unused_names_may_be_removed(recording_and_history: tuple[Recording, History]) -> None:
    a = table_names(REVISION_NUMBERS["column dropped"])[0]
    found = list(check_locks(*recording_and_history, used_columns={a: frozenset({"id"})}))
    assert [
        each for name in ("column dropped", "column renamed", "table renamed") for each in findings_of(name, found)
    ] == []


def test_names_in_use_are_reported_as_in_use(recording_and_history: tuple[Recording, History]) -> None:
    a = table_names(REVISION_NUMBERS["column dropped"])[0]
    (found,) = findings_of("column dropped", check_locks(*recording_and_history, used_columns={a: frozenset({"word"})}))
    assert "the models of the base reference use it" in found.message


def test_a_revision_without_a_timeout_is_found_where_others_have_one(all_findings: tuple[Finding, ...]) -> None:
    found = {each.revision: each for each in all_findings if each.rule == "no-lock-timeout"}
    numbers = {name: f"{number:03d}" for name, number in REVISION_NUMBERS.items()}
    assert found[numbers["constant default"]].severity is Severity.WARNING
    assert numbers["lock timeout"] not in found
    assert numbers["index"] not in found


def test_a_history_without_any_timeout_is_reported_once(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    write_revision(small_project, 1, create_table_code("a"))
    write_revision(small_project, 2, 'op.add_column("a", sa.Column("one", sa.Integer))')
    write_revision(small_project, 3, 'op.add_column("a", sa.Column("two", sa.Integer))')
    disable_lock_timeout(small_project)
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    found = list(check_locks(recording, History.read(small_project.project)))
    assert [(each.rule, each.severity, each.revision) for each in found] == [("no-lock-timeout", Severity.NOTE, "002")]


def test_what_the_environment_sets_is_a_timeout(small_project: SmallProject, postgres_server: throwaway.Server) -> None:
    write_revision(small_project, 1, create_table_code("a"))
    write_revision(small_project, 2, 'op.add_column("a", sa.Column("one", sa.Integer))')
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    assert list(check_locks(recording, History.read(small_project.project))) == []


def test_a_statement_that_failed_on_the_rows_is_found_too(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    write_revision(small_project, 1, create_table_code("a"))
    write_revision(small_project, 2, 'op.alter_column("a", "word", nullable=False)')
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    found = [each.rule for each in check_locks(recording, History.read(small_project.project))]
    assert recording.steps[-1].row_failures
    assert "not-null-scan" in found


def test_a_lock_is_known_although_env_py_holds_it_since_an_earlier_revision(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    (small_project.root / "scripts" / "env.py").write_text(ENV_IN_ONE_TRANSACTION)
    write_revision(small_project, 1, create_table_code("a") + "\n" + create_table_code("b"))
    write_revision(small_project, 2, 'op.create_index("ix_a", "a", ["word"])')
    write_revision(small_project, 3, 'op.create_foreign_key("fk_a", "a", "b", ["size"], ["id"])')
    write_revision(small_project, 4, execute_call("ALTER TABLE a ALTER COLUMN word SET STATISTICS 200"))
    write_revision(small_project, 5, 'op.drop_column("a", "word")')
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    found = list(check_locks(recording, History.read(small_project.project)))
    messages = {each.rule: each.message.partition(":")[0] for each in found if each.revision in {"002", "003"}}
    assert "ix_a is built under SHARE on a" in messages["index-not-concurrent"]
    validated = next(each.message for each in found if each.rule == "constraint-validated-under-lock")
    assert "under SHARE ROW EXCLUSIVE on a and b: nobody can write to them" in validated
    (waiting,) = (each for each in found if each.rule == "no-lock-timeout")
    assert (waiting.revision, "SHARE ROW EXCLUSIVE on" in waiting.message) == ("003", True)


def test_regretted_types_are_one_note_each_unless_a_later_revision_corrects_them(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    write_revision(
        small_project,
        1,
        execute_call("CREATE TABLE a (id serial PRIMARY KEY, data json, more json)")
        + "\n"
        + execute_call("CREATE TABLE b (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data jsonb)")
        + "\n"
        + execute_call("CREATE TABLE c (id bigserial PRIMARY KEY, word text)"),
    )
    write_revision(small_project, 2, execute_call("ALTER TABLE a ALTER more TYPE jsonb"))
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    found = {each.rule: each for each in check_locks(recording, History.read(small_project.project))}
    assert found["json-column"].message == "a.data: json, not jsonb (type json)"
    assert found["integer-key"].message == "a.id, b.id: a counter that ends early (type integer)"
    assert found["integer-key"].severity is found["json-column"].severity is Severity.NOTE


def test_a_renamed_schema_may_be_in_use(small_project: SmallProject, postgres_server: throwaway.Server) -> None:
    tables = execute_call("CREATE SCHEMA old; CREATE SCHEMA bare; CREATE TABLE old.a (id bigint)")
    write_revision(small_project, 1, tables)
    write_revision(small_project, 2, execute_call('ALTER SCHEMA "old" RENAME TO new'))
    write_revision(small_project, 3, execute_call("ALTER SCHEMA bare RENAME TO barer"))
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    (found,) = check_locks(recording, History.read(small_project.project))
    assert (found.rule, found.object, found.revision) == ("renamed-in-use", "old", "002")
    assert found.message.startswith("the schema old is renamed to new, and with it a; programs of the last release")


def test_a_label_that_is_renamed_may_be_in_use(small_project: SmallProject, postgres_server: throwaway.Server) -> None:
    write_revision(
        small_project, 1, create_table_code("a") + "\n" + execute_call("CREATE TYPE mood AS ENUM ('low', 'it''s high')")
    )
    write_revision(small_project, 2, execute_call("ALTER TYPE mood RENAME VALUE 'low' TO 'down'"))
    write_revision(small_project, 3, execute_call("ALTER TABLE a ADD COLUMN mood mood, ADD COLUMN moods mood[]"))
    write_revision(small_project, 4, execute_call("ALTER TYPE mood RENAME VALUE 'it''s high' TO 'up'"))
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    history = History.read(small_project.project)
    (found,) = (each for each in check_locks(recording, history) if each.rule == "renamed-in-use")
    assert (found.object, found.revision) == ("mood.it's high", "004")
    assert found.message.startswith("the label it's high of a.mood, a.moods is renamed to up; programs of the last")
    others = check_locks(recording, history, used_columns={"a": frozenset({"word"})})
    assert [each for each in others if each.rule == "renamed-in-use"] == []


def test_refreshing_a_view_blocks_its_readers(small_project: SmallProject, postgres_server: throwaway.Server) -> None:
    view = "CREATE MATERIALIZED VIEW {} AS SELECT id FROM a"
    write_revision(
        small_project,
        1,
        "\n".join(
            (create_table_code("a"), execute_call(view.format("v")), execute_call(view.format("e") + " WITH NO DATA"))
        ),
    )
    write_revision(small_project, 2, execute_call("CREATE UNIQUE INDEX i ON v (id)"))
    for number, refreshed in enumerate(("v", "CONCURRENTLY v", "e"), start=3):
        write_revision(small_project, number, execute_call(f"REFRESH MATERIALIZED VIEW {refreshed}"))
    write_revision(small_project, 6, execute_call("DROP MATERIALIZED VIEW v") + "\n" + execute_call(view.format("v")))
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    (found,) = check_locks(recording, History.read(small_project.project))
    assert (found.rule, found.object, found.revision) == ("table-rewrite", "v", "003")
    assert "v is refilled under ACCESS EXCLUSIVE on v" in found.message


def test_sqlite_has_no_locks_on_tables(small_project: SmallProject) -> None:
    write_revision(small_project, 1, create_table_code("a"))
    write_revision(small_project, 2, 'op.create_index("ix", "a", ["word"])')
    recording = replay_history(small_project.project, scratch_sqlite)
    assert list(check_locks(recording, History.read(small_project.project))) == []


def test_detaching_a_partition_blocks_unless_concurrently(
    small_project: SmallProject, postgres_server: throwaway.Server
) -> None:
    tables = (
        "CREATE TABLE p (id integer) PARTITION BY LIST (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)",
        "CREATE TABLE q (id integer) PARTITION BY LIST (id)",
        "CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1)",
        "CREATE TABLE q0 PARTITION OF q DEFAULT",
    )
    write_revision(small_project, 1, "\n".join(map(execute_call, tables)))
    write_revision(small_project, 2, execute_call("ALTER TABLE p DETACH PARTITION p1"))
    write_revision(small_project, 3, AUTOCOMMIT + execute_call("ALTER TABLE p DETACH PARTITION p2 CONCURRENTLY"))
    write_revision(small_project, 4, execute_call("ALTER TABLE q DETACH PARTITION q1"))
    recording = replay_history(small_project.project, lambda: throwaway.scratch_postgresql(postgres_server))
    plain, with_default = check_locks(recording, History.read(small_project.project))
    assert (plain.rule, plain.object, plain.revision) == ("partition-detach-not-concurrent", "p1", "002")
    assert "p1 is detached from p under ACCESS EXCLUSIVE on p: nobody can read or write it" in plain.message
    assert 'op.execute("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")' in plain.hint
    assert (with_default.object, with_default.revision) == ("q1", "004")
    assert with_default.hint.startswith("a default partition rules CONCURRENTLY out")
