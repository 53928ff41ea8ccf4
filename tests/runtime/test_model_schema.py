"""What a project's env.py and models say is compared as Alembic compares it, on both backends."""

from __future__ import annotations

import textwrap
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

from dormatory.backends.postgresql.server import throwaway
from dormatory.backends.sqlite.scratch import scratch_sqlite
from dormatory.checks.drift import check_drift
from dormatory.errors import EnvironmentFailedError, ModelsFailedError
from dormatory.project.project import Project
from dormatory.runtime import env_filters, model_schema, scratch

if TYPE_CHECKING:
    from pathlib import Path

    from dormatory.backends.parts import ScratchMaker
    from dormatory.checks.finding import Finding

BOTH = ("sqlite", "postgresql")
ENV = """
import sqlalchemy as sa
from alembic import context
metadata = sa.MetaData({metadata})
{models}
{functions}
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, {options})
with context.begin_transaction():
    context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "a1", None
def upgrade():
{upgrade}
def downgrade():
    pass
"""
ROOM = 'sa.Table("room", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("label", sa.String(9)))'
ROOM_TABLE = 'op.create_table("room", sa.Column("id", sa.Integer, primary_key=True), sa.Column("label", sa.String(9)))'


class Setup(NamedTuple):
    """A project: its models, functions and options of env.py, and the statements of its one revision."""

    models: str = ROOM
    upgrade: str = ROOM_TABLE
    functions: str = ""
    options: str = ""
    metadata: str = ""
    env: str = ""


class FindDrift(Protocol):
    """Write a project, apply its history on a backend, and compare it with its models."""

    def __call__(self, root: Path, backend: str, setup: Setup) -> list[Finding]:
        """Return the findings."""


@pytest.fixture
def drift_findings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FindDrift:
    """A function that compares in this process, on one server: a worker for each step would take seconds."""
    for module in (env_filters, model_schema, scratch):
        monkeypatch.setattr(module, "call_in_worker", lambda _project, function, *arguments: function(*arguments))

    def find(root: Path, backend: str, setup: Setup) -> list[Finding]:
        maker: ScratchMaker = scratch_sqlite
        if backend == "postgresql":
            maker = partial(throwaway.scratch_postgresql, request.getfixturevalue("postgres_server"))
        return _compare(write_project(root, setup), maker)

    return find


def _compare(project: Project, maker: ScratchMaker) -> list[Finding]:
    with scratch.at_revision(project, maker) as head:
        return list(check_drift(model_schema.compare_with_models(project, maker, head, ("alembic_version",))))


def write_project(root: Path, setup: Setup) -> Project:
    """Write the files of a project."""
    (root / "scripts" / "versions").mkdir(parents=True)
    (root / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/scripts\nprepend_sys_path = %(here)s\npath_separator = os\n"
        "[alembic:exclude]\ntables = other\n"
    )
    env = setup.env or ENV.format(**setup._asdict())
    (root / "scripts" / "env.py").write_text(env)
    upgrade = textwrap.indent(textwrap.dedent(setup.upgrade), "    ")
    (root / "scripts" / "versions" / "a1.py").write_text(REVISION.format(upgrade=upgrade))
    return Project.read(root / "alembic.ini")


def rules(findings: list[Finding]) -> list[str]:
    """Return the rules of findings."""
    return [finding.rule for finding in findings]


OTHER = ROOM_TABLE + '\nop.create_table("other", sa.Column("id", sa.Integer, primary_key=True))'
EXCLUDE = """
excluded = context.config.get_section("alembic:exclude")["tables"].split(",")
def include_object(item, name, kind, reflected, compare_to):
    return not (kind == "table" and name in excluded)
"""
LEFT_OUT = {
    "tables in the ini": Setup(upgrade=OTHER, functions=EXCLUDE, options="include_object=include_object"),
    "only what the models have": Setup(
        upgrade=OTHER,
        functions="def include_object(i, name, kind, reflected, other):\n"
        "    return not (kind == 'table' and reflected and other is None)",
        options="include_object=include_object",
    ),
    "info of a model": Setup(
        models=ROOM + '\nsa.Table("summary", metadata, sa.Column("id", sa.Integer), info={"is_view": True})',
        functions="def include_object(i, name, kind, reflected, other): return not i.info.get('is_view')",
        options="include_object=include_object",
    ),
    "columns": Setup(
        upgrade=ROOM_TABLE + '\nop.add_column("room", sa.Column("x_synced", sa.Integer))',
        functions="def include_object(i, name, kind, reflected, other):\n"
        "    return not (kind == 'column' and name.startswith('x_') and i.table.name == 'room')",
        options="include_object=include_object",
    ),
    "indexes by name": Setup(
        upgrade=ROOM_TABLE + '\nop.create_index("tmp_label", "room", ["label"])',
        functions="def include_name(name, kind, parents):\n"
        "    return not (kind == 'index' and parents['table_name'] == 'room' and name.startswith('tmp_'))",
        options="include_name=include_name",
    ),
    "types": Setup(
        models=ROOM.replace("String(9)", "Text"),
        functions="def same(context, column, model, old, new): return False if column.name == 'label' else None",
        options="compare_type=same",
    ),
    "defaults": Setup(
        models=ROOM.replace("String(9)", "String(9), server_default='a'"),
        upgrade=ROOM_TABLE.replace("String(9)", "String(9), server_default='b'"),
        functions="def same(context, column, model, old, new, rendered): return False",
        options="compare_server_default=same",
    ),
}


EXPAND = """
def keep(context, revision, directives):
    for operations in directives[0].upgrade_ops.ops:
        operations.ops = [it for it in operations.ops if getattr(it, "column_name", "") != "old"]
"""
LEFT_OUT["operations"] = Setup(
    upgrade=ROOM_TABLE + '\nop.add_column("room", sa.Column("old", sa.Text))',
    functions=EXPAND,
    options="process_revision_directives=keep",
)


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("setup", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_env_leaves_out_is_one_note(setup: Setup, backend: str, tmp_path: Path, drift_findings: FindDrift) -> None:
    findings = drift_findings(tmp_path, backend, setup)
    assert rules(findings) == ["left-out-by-env"]
    assert "1 difference" in findings[0].message


def test_a_filter_leaves_the_rest_to_the_comparison(tmp_path: Path, drift_findings: FindDrift) -> None:
    setup = LEFT_OUT["tables in the ini"]
    findings = drift_findings(tmp_path, "sqlite", setup._replace(models=ROOM.replace("String(9)", "String(10)")))
    assert rules(findings) == ["left-out-by-env", "drift"]


def test_a_filter_that_raises_is_named(tmp_path: Path, drift_findings: FindDrift) -> None:
    setup = Setup(
        upgrade=OTHER,
        functions="def include_object(i, name, *rest): return {}[name]",
        options="include_object=include_object",
    )
    with pytest.raises(EnvironmentFailedError, match=r"its include_object raised KeyError: 'other'") as caught:
        drift_findings(tmp_path, "sqlite", setup)
    assert caught.value.location.path.endswith("scripts/env.py")


def test_a_namespace_that_alembic_does_not_compare_is_left_out(tmp_path: Path, drift_findings: FindDrift) -> None:
    upgrade = ROOM_TABLE + '\nop.execute("CREATE SCHEMA audit")\nop.execute("CREATE TABLE audit.event (id int)")'
    findings = drift_findings(tmp_path / "without", "postgresql", Setup(upgrade=upgrade))
    assert rules(findings) == ["left-out-by-env", "outside-models"]
    with_schemas = drift_findings(
        tmp_path / "with", "postgresql", Setup(upgrade=upgrade, options="include_schemas=True")
    )
    assert sorted(rules(with_schemas)) == ["drift", "outside-models"]


@pytest.mark.parametrize("backend", BOTH)
def test_no_metadata_is_a_note(backend: str, tmp_path: Path, drift_findings: FindDrift) -> None:
    env = ENV.format(models="", functions="", options="", metadata="").replace(
        "target_metadata=metadata", "target_metadata=None"
    )
    assert rules(drift_findings(tmp_path, backend, Setup(env=env))) == ["no-models"]


def test_models_that_only_a_revision_imports_are_loaded(tmp_path: Path) -> None:
    tmp_path.joinpath("base.py").write_text("import sqlalchemy as sa\nmetadata = sa.MetaData()\n")
    tmp_path.joinpath("late.py").write_text(f"import sqlalchemy as sa\nfrom base import metadata\n{ROOM}\n")
    project = write_project(tmp_path, Setup("from base import metadata"))
    assert rules(_compare(project, scratch_sqlite)) == ["models-not-imported", "models-missing"]
    revision = tmp_path / "scripts" / "versions" / "a1.py"
    revision.write_text("import late\n" + revision.read_text())
    assert _compare(project, scratch_sqlite) == []


@pytest.mark.parametrize("backend", BOTH)
def test_an_index_without_columns_is_named_and_hides_nothing(
    backend: str, tmp_path: Path, drift_findings: FindDrift
) -> None:
    models = ROOM.replace("String(9))", "String(19)), sa.Index('ix_room')")
    upgrade = f"{ROOM_TABLE}\nop.create_index('ix_room', 'room', ['label'])"
    found = drift_findings(tmp_path, backend, Setup(models, upgrade))
    assert rules(found) == ["models-fail", "drift"]
    assert "without columns: index ix_room on room; the rest" in found[0].message
    assert "19" in found[1].message


@pytest.mark.parametrize("backend", BOTH)
def test_a_constraint_that_a_revision_adds_to_a_model_by_the_way_is_none_of_the_model(
    backend: str, tmp_path: Path, drift_findings: FindDrift
) -> None:
    check = "sa.CheckConstraint(room.c.label.in_([{}]), name='label_known')"
    models = f"room = {ROOM}\n{check.format('chr(97), chr(98)')}\n{check.format('chr(97)')}"
    upgrade = ROOM_TABLE.replace("String(9))", "String(9)), sa.CheckConstraint(\"label IN ('a', 'b')\", 'label_known')")
    assert rules(drift_findings(tmp_path, backend, Setup(models, upgrade))) == []


def test_a_failure_of_the_models_names_the_statement(tmp_path: Path, drift_findings: FindDrift) -> None:
    models = ROOM.replace("String(9))", "String(9)), sa.Index('ix_room', sa.text('nothing(label)'))")
    with pytest.raises(ModelsFailedError, match=r'near "nothing": syntax error, at: CREATE INDEX ix_room ON room'):
        drift_findings(tmp_path, "sqlite", Setup(models))


CONVENTION = 'naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}'


@pytest.mark.parametrize("backend", BOTH)
def test_a_naming_convention_gives_no_name(backend: str, tmp_path: Path, drift_findings: FindDrift) -> None:
    models = ROOM.replace("String(9))", "String(9), unique=True)")
    upgrade = ROOM_TABLE.replace("String(9))", "String(9)), sa.UniqueConstraint('label', name='theirs')")
    assert rules(drift_findings(tmp_path, backend, Setup(models, upgrade, metadata=CONVENTION))) == []


@pytest.mark.parametrize("backend", BOTH)
def test_a_unique_constraint_on_the_key_says_nothing(backend: str, tmp_path: Path, drift_findings: FindDrift) -> None:
    unique = 'with op.batch_alter_table("room") as batch:\n    batch.create_unique_constraint("uq", ["id"])'
    models = ROOM.replace("primary_key=True", "primary_key=True, unique=True")
    assert rules(drift_findings(tmp_path / "a", backend, Setup(models, f"{ROOM_TABLE}\n{unique}"))) == []
    assert rules(drift_findings(tmp_path / "b", backend, Setup(models))) == []


@pytest.mark.parametrize("backend", BOTH)
def test_defaults_for_old_rows_are_one_warning(backend: str, tmp_path: Path, drift_findings: FindDrift) -> None:
    with_default = "sa.String(9), server_default='x'"
    upgrade = ROOM_TABLE.replace("sa.String(9)", with_default)
    assert rules(drift_findings(tmp_path / "a", backend, Setup(upgrade=upgrade))) == ["default-not-in-models"]
    models = ROOM.replace("sa.String(9)", with_default)
    assert rules(drift_findings(tmp_path / "b", backend, Setup(models))) == ["drift"]


NAMES = {
    "unique": 'sa.UniqueConstraint("label"{name})',
    "check": "sa.CheckConstraint(\"label <> ''\"{name})",
    "index": 'sa.Index({index}, "label")',
}


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("kind", NAMES)
def test_a_name_counts_where_the_models_give_one(
    kind: str, backend: str, tmp_path: Path, drift_findings: FindDrift
) -> None:
    def room(name: str) -> str:
        part = NAMES[kind].format(name=f', name="{name}"' if name else "", index=repr(name or None))
        return ROOM.replace("sa.String(9))", f"sa.String(9)), {part}")

    def table(name: str) -> str:
        return room(name).replace("sa.Table(", "op.create_table(").replace("metadata, ", "")

    index = ROOM_TABLE + '\nop.create_index("theirs", "room", ["label"])'
    upgrade = index if kind == "index" else table("theirs")
    assert rules(drift_findings(tmp_path / "unnamed", backend, Setup(room(""), upgrade))) == []
    assert rules(drift_findings(tmp_path / "named", backend, Setup(room("ours"), upgrade))) == ["drift"]


@pytest.mark.parametrize("backend", BOTH)
def test_the_length_of_an_enumeration_is_not_described(backend: str, tmp_path: Path, drift_findings: FindDrift) -> None:
    def with_type(text: str, code: str) -> str:
        return text.replace("sa.String(9)", code)

    models = with_type(ROOM, 'sa.Enum("ab", "abcd", native_enum=False)')
    wide = drift_findings(tmp_path / "wide", backend, Setup(models, with_type(ROOM_TABLE, "sa.String(20)")))
    assert rules(wide) == []
    narrow = drift_findings(tmp_path / "narrow", backend, Setup(models, with_type(ROOM_TABLE, "sa.String(3)")))
    assert rules(narrow) == ["drift"]


SUPPLIES = """
op.execute("CREATE DOMAIN word AS text CHECK (VALUE <> '')")
op.execute("CREATE TYPE mood AS ENUM ('low', 'high')")
op.execute("CREATE FUNCTION new_label() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'a' $$")
op.execute("CREATE TABLE room (id serial PRIMARY KEY, label word DEFAULT new_label(), mood mood, other text)")
"""
USES = """
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType
class Word(UserDefinedType):
    def get_col_spec(self, **_): return "word"
sa.Table(
    "room", metadata, sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("label", Word, server_default=sa.text("new_label()")),
    sa.Column("mood", postgresql.ENUM("low", HIGH, name="mood", create_type=CREATED)),
    sa.Column("other", OTHER),
)
"""


def test_models_may_use_what_only_a_migration_makes(tmp_path: Path, drift_findings: FindDrift) -> None:
    models = USES.replace("HIGH", '"high"').replace("CREATED", "False").replace("OTHER", "sa.Text")
    findings = drift_findings(tmp_path, "postgresql", Setup(models, SUPPLIES))
    assert set(rules(findings)) == {"outside-models"}
    assert {finding.object for finding in findings} == {"domain word", "function new_label()"}


def test_models_that_need_supplies_are_compared(tmp_path: Path, drift_findings: FindDrift) -> None:
    models = USES.replace("HIGH", '"higher"').replace("CREATED", "True").replace("OTHER", "sa.Integer")
    findings = drift_findings(tmp_path, "postgresql", Setup(models, SUPPLIES))
    assert {finding.object for finding in findings if finding.rule == "drift"} == {"enum mood", "column room.other"}


def test_partitions_that_only_the_history_has_are_left_to_it(tmp_path: Path, drift_findings: FindDrift) -> None:
    columns = 'sa.Column("id", sa.Integer, primary_key=True), sa.Column("size", sa.Integer)'
    history = """
    op.execute("CREATE TABLE room (id int NOT NULL PRIMARY KEY, size int) PARTITION BY RANGE (id)")
    op.execute("CREATE TABLE room_rest PARTITION OF room DEFAULT")
    """
    models = f'sa.Table("room", metadata, {columns.replace("True", "True, autoincrement=False")})'
    found = drift_findings(tmp_path / "plain", "postgresql", Setup(models, history))
    assert set(rules(found)) == {"outside-models"}
    assert any("partition key" in it.message for it in found)
    partitioned = f"{models[:-1]}, postgresql_partition_by='LIST (id)')"
    assert "drift" in rules(drift_findings(tmp_path / "other", "postgresql", Setup(partitioned, history)))
