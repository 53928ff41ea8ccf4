"""Each rule of a revision's text fires on its example, at its line, and not on similar code."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dormatory.checks.finding import Severity
from dormatory.checks.registry import RULES
from dormatory.checks.source import ApplicationModules, check_source
from dormatory.project.project import Project
from dormatory.project.revision_files import read_scripts
from dormatory.project.script import Script
from dormatory.recording.leg import Direction, Leg, Statement
from dormatory.recording.model import Recording, Step
from dormatory.schema.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Collection

    from dormatory.checks.finding import Finding

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = ApplicationModules(frozenset({"shop", "migrations"}), frozenset({"migrations"}))
BOTH = ("sqlite", "postgresql")
TEMPLATE_HEAD = '''"""Do one step."""

import sqlalchemy as sa
from alembic import op
{extra}
revision = "002"
down_revision = "001"
'''


def revision_script(upgrade: str, downgrade: str = "pass", extra: str = "") -> Script:
    """Return a revision with this code in its two functions, and `extra` above them."""
    body = "\n\n".join(
        f"def {name}():\n{textwrap.indent(textwrap.dedent(code).strip(), '    ')}"
        for name, code in (("upgrade", upgrade), ("downgrade", downgrade))
    )
    return Script.parse(Path("versions/002_step.py"), f"{TEMPLATE_HEAD.format(extra=extra)}\n{body}\n".encode())


def findings(upgrade: str, downgrade: str = "pass", extra: str = "", backends: Collection[str] = BOTH) -> list[Finding]:
    found = check_source(
        [revision_script(upgrade, downgrade, extra)], APPLICATION, backends=backends, large_tables=("big",)
    )
    return [item for item in found if item.severity is not Severity.NOTE]


def found_rules(upgrade: str, downgrade: str = "pass", extra: str = "", backends: Collection[str] = BOTH) -> list[str]:
    return [item.rule for item in findings(upgrade, downgrade, extra, backends)]


GUARD = 'if op.get_context().dialect.name == "postgresql":\n    '
BATCH = 'with op.batch_alter_table("a") as b:\n    '
EXTENSION = 'op.execute("CREATE EXTENSION x")'
BLOCK = "with op.get_context().autocommit_block():\n    "

TRY = "from sqlalchemy.orm import Session\nsession = Session(op.get_bind())\ntry:\n    session.flush()\n"
UNDONE = f"{TRY}except Exception:\n    session.rollback()\n    raise"

FIRES: dict[str, tuple[str, str]] = {
    # id of the case: (rule, upgrade)
    "create_all": ("create-all", "import shop\nshop.Base.metadata.create_all(op.get_bind())"),
    "drop_all": ("create-all", "op.get_context().opts['target_metadata'].drop_all(op.get_bind())"),
    "unnamed unique": (
        "unnamed-constraint",
        'with op.batch_alter_table("a") as b:\n    b.create_unique_constraint(None, ["x"])',
    ),
    "dropped without a name": (
        "unnamed-constraint",
        'with op.batch_alter_table("a") as b:\n    b.drop_constraint(None)',
    ),
    "name by uuid": ("random-name", 'import uuid\nop.create_index(f"ix_{uuid.uuid4().hex}", "a", ["b"])'),
    "name by a variable": ("random-name", 'import time as t\nx = f"t{t.time()}"\nop.create_table(x)'),
    "name in SQL": ("random-name", 'import random\nop.execute(f"CREATE INDEX ix_{random.random()} ON a (b)")'),
    "default by a clock": (
        "frozen-default",
        'from datetime import datetime as d\nop.add_column("a", sa.Column("b", server_default=str(d.now())))',
    ),
    "default in SQL": (
        "frozen-default",
        "import uuid\nop.execute(f\"ALTER TABLE a ADD COLUMN b TEXT DEFAULT '{uuid.uuid4()}'\")",
    ),
    "colon in quotes": ("unescaped-colon", "op.execute(\"UPDATE a SET b = ':c'\")"),
    "colon in a default": (
        "unescaped-colon",
        "op.add_column('a', sa.Column('b', server_default=sa.text('\\'{\"x\":1}\\'')))",
    ),
    "parameter without value": ("unescaped-colon", 'op.execute(sa.text("UPDATE a SET b = :c"))'),
    "colon in a CHECK": ("unescaped-colon", "op.create_table('a', sa.CheckConstraint(\"b <> ':x'\", name='c'))"),
    "commit": ("transaction-ended", "op.get_bind().commit()"),
    "rollback of a variable": ("transaction-ended", "bind = op.get_bind()\nbind.rollback()"),
    "rollback in a handler that goes on": ("transaction-ended", f"{TRY}except Exception:\n    session.rollback()"),
    "rollback, and an exception that is caught": (
        "transaction-ended",
        f"try:\n{textwrap.indent(UNDONE, '    ')}\nexcept Exception:\n    print('never mind')",
    ),
    "rollback, and perhaps an exception": (
        "transaction-ended",
        f"{TRY}except Exception:\n    session.rollback()\n    if session.new:\n        return\n    raise",
    ),
    "commit before an exception": ("transaction-ended", "bind = op.get_bind()\nbind.commit()\nraise RuntimeError('x')"),
    "rollback by a helper that is called twice": (
        "transaction-ended",
        f"{TRY}except Exception:\n    undo()\n    raise\ndef undo():\n    op.get_bind().rollback()\nundo()",
    ),
    "commit in SQL": ("transaction-ended", 'op.execute("COMMIT")'),
    "begin in SQL": ("transaction-ended", 'op.execute("-- now\\nBEGIN;")'),
    "concurrently": ("concurrently-in-transaction", 'op.create_index("i", "a", ["b"], postgresql_concurrently=True)'),
    "concurrently in SQL": (
        "concurrently-in-transaction",
        GUARD + 'op.execute("CREATE INDEX CONCURRENTLY i ON a (b)")',
    ),
    "extension": ("dialect-only", 'op.execute("CREATE EXTENSION pg_trgm")'),
    "cast": ("dialect-only", 'op.execute("UPDATE a SET b = c::text")'),
    "alter column": ("dialect-only", 'op.alter_column("a", "b", type_=sa.Text())'),
    "constraint": ("dialect-only", 'op.create_foreign_key("f", "a", "b", ["c"], ["d"])'),
    "foreign key in a new column": (
        "dialect-only",
        'op.add_column("a", sa.Column("b", sa.Integer, sa.ForeignKey("c.d", name="f")))',
    ),
    "array": (
        "dialect-only",
        'from sqlalchemy.dialects import postgresql as pg\nop.add_column("a", sa.Column("b", pg.ARRAY(sa.Text())))',
    ),
    "insert or ignore": ("dialect-only", 'op.execute("INSERT OR IGNORE INTO a VALUES (1)")'),
    "helper": ("dialect-only", 'def run(sql):\n    op.execute(sql)\nrun("CREATE EXTENSION pg_trgm")'),
    "no such dialect": ("dead-branch", 'if op.get_bind().dialect.name == "postgres":\n    op.drop_table("a")'),
    "large table": (
        "schema-and-data",
        'op.add_column("big", sa.Column("b", sa.Integer))\nop.execute("UPDATE big SET b = 1")',
    ),
}

SILENT: dict[str, str] = {
    "helper within a condition": (
        "def is_slow(bind):\n    return bind.execute(sa.text(\"SELECT 'a'::regclass\"))\n"
        'is_server = op.get_bind().dialect.name == "postgresql"\n'
        'if True and is_server and is_slow(op.get_bind()):\n    op.drop_table("a")'
    ),
    "own metadata": 'own = sa.MetaData()\nsa.Table("a", own, sa.Column("b", sa.Text))\nown.create_all(op.get_bind())',
    "named": 'with op.batch_alter_table("a") as b:\n    b.create_unique_constraint(op.f("uq_a_x"), ["x"])',
    "table described for a query": 'sa.Table("a", sa.MetaData(), sa.Column("b", sa.ForeignKey("c.d"), unique=True))',
    "keys drawn for rows": 'import uuid\nop.bulk_insert(sa.table("a", sa.column("b")), [{"b": str(uuid.uuid4())}])',
    "default of the database": 'op.add_column("a", sa.Column("b", sa.DateTime, server_default=sa.func.now()))',
    "default that is taken away": (
        "from datetime import datetime\n"
        'with op.batch_alter_table("a") as b:\n'
        '    b.add_column(sa.Column("c", sa.DateTime, server_default=str(datetime.now()), nullable=False))\n'
        'with op.batch_alter_table("a") as b:\n    b.alter_column("c", server_default=None)'
    ),
    "escaped colon": "op.execute(r\"UPDATE a SET b = '\\:c'\")",
    "time of day": "op.execute(\"UPDATE a SET b = '12:30:00', c = 'x: y'\")",
    "cast on PostgreSQL": GUARD + 'op.execute("UPDATE a SET b = c::text")',
    "parameter with a value": 'op.execute(sa.text("UPDATE a SET b = :c").bindparams(c=1))',
    "parameter of a connection": 'op.get_bind().execute(sa.text("UPDATE a SET b = :c"), {"c": 1})',
    "driver's own SQL": "op.get_bind().exec_driver_sql(\"UPDATE a SET b = ':c'\")",
    "colon next to an unknown part": "for c in 'xy':\n    op.execute(f\"UPDATE a SET b = '{c}:d'\")",
    "savepoint": "with op.get_bind().begin_nested() as point:\n    op.drop_table('a')\n    point.rollback()",
    "rollback before an exception": UNDONE,
    "rollback before an exception of its own": (
        f"{TRY}except ValueError as error:\n    if session.is_active:\n        session.rollback()\n"
        "    print(error)\n    raise RuntimeError('not migrated') from error\nfinally:\n    session.close()"
    ),
    "rollback where rows do not fit": (
        "bind = op.get_bind()\nif bind.scalar(sa.text('SELECT count(*) FROM a')):\n"
        "    bind.rollback()\n    raise ValueError('empty a first')"
    ),
    "rollback in SQL before an exception": (
        "try:\n    op.drop_table('a')\nexcept Exception:\n    op.execute('ROLLBACK')\n    raise"
    ),
    "rollback by a helper": f"{TRY}except Exception:\n    undo()\n    raise\ndef undo():\n    op.get_bind().rollback()",
    "trigger": 'op.execute("CREATE TRIGGER t AFTER UPDATE ON a BEGIN DELETE FROM b; END")',
    "rollback to a savepoint": 'op.execute("ROLLBACK TO SAVEPOINT a")',
    "block alone": BLOCK + 'op.create_index("i", "a", ["b"], postgresql_concurrently=True)',
    "block alone on its backend": (
        'if op.get_context().dialect.name != "postgresql":\n    op.create_index("i", "a", ["b"])\n    return\n'
        + BLOCK
        + 'op.create_index("i", "a", ["b"], postgresql_concurrently=True)'
    ),
    "concurrent refresh": GUARD + 'op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY v")',
    "guard": GUARD + 'op.execute("CREATE EXTENSION pg_trgm")',
    "guard by a variable": 'pg = op.get_bind().dialect.name == "postgresql"\nif pg:\n    ' + EXTENSION,
    "guard by a helper": (
        'def on_pg():\n    return op.get_context().dialect.name == "postgresql"\n'
        'if on_pg():\n    op.execute("CREATE EXTENSION x")'
    ),
    "guard by an early return": (
        'if op.get_bind().dialect.name == "sqlite":\n    return\nop.drop_constraint("c", "a")\n' + EXTENSION
    ),
    "guard by a list": 'if op.get_bind().dialect.name in ("postgresql", "redshift"):\n    ' + EXTENSION,
    "guard by match": (
        'match op.get_bind().dialect.name:\n    case "postgresql":\n        op.execute("CREATE TYPE x")\n'
        '    case _:\n        op.execute("PRAGMA user_version = 1")'
    ),
    "guard that is not understood": "from other import is_postgres\nif is_postgres():\n    " + EXTENSION,
    "guarded helper": 'def run():\n    op.execute("CREATE EXTENSION x")\n' + GUARD + "run()",
    "operator in a literal": "op.execute(\"INSERT INTO a VALUES ('x::y USING gin (z)')\")",
    "batch": BATCH + 'b.alter_column("c", type_=sa.Text())\n    b.drop_constraint("d")',
    "rename alone": 'op.alter_column("a", "b", new_column_name="c")',
    "variant": (
        "from sqlalchemy.dialects import postgresql\n"
        'op.add_column("a", sa.Column("b", sa.JSON().with_variant(postgresql.HSTORE(), "postgresql")))'
    ),
    "type that both know": (
        'from sqlalchemy.dialects import postgresql\nop.add_column("a", sa.Column("b", postgresql.UUID()))'
    ),
    "rows of a new table": 'op.create_table("big")\nop.execute("INSERT INTO big VALUES (1)")',
    "rows of another table": 'op.add_column("big", sa.Column("b", sa.Integer))\nop.execute("UPDATE a SET b = 1")',
    "rows in the same block": BLOCK
    + 'op.add_column("big", sa.Column("b", sa.Integer))\n    op.execute("UPDATE big SET b = 1")',
}


@pytest.mark.parametrize(("rule", "upgrade"), FIRES.values(), ids=FIRES)
def test_it_fires(rule: str, upgrade: str) -> None:
    found = found_rules(upgrade)
    assert rule in found
    assert set(found) <= {rule, "application-import"}


@pytest.mark.parametrize("upgrade", SILENT.values(), ids=SILENT)
def test_similar_code_is_not_reported(upgrade: str) -> None:
    assert found_rules(upgrade) == []


def test_every_rule_of_the_family_is_tested() -> None:
    elsewhere = {"application-import", "autocommit-not-alone", "message-too-short", "pragma-foreign-keys"}
    tested = {rule for rule, _ in FIRES.values()} | elsewhere
    assert tested == {rule.id for rule in RULES.values() if rule.family == "source"}


@pytest.mark.parametrize(
    ("line", "use", "severity"),
    [
        ("from shop.models import Order", "op.get_bind().execute(sa.select(Order))", Severity.ERROR),
        ("import shop.models as m", "op.execute(sa.insert(m.Order))", Severity.ERROR),
        ("from shop import *", "pass", Severity.ERROR),
        ("from shop.models import State", 'op.add_column("a", sa.Column("b", sa.Enum(State)))', Severity.ERROR),
        ("from shop.models import Order", 'sa.Column("b", Order.__table__.c.id.type)', Severity.ERROR),
        (
            "from shop.models import Order",
            "op.get_bind().execute(sa.select(Order.id).where(Order.n == 1))",
            Severity.ERROR,
        ),
        ("from shop.models import Order", "Session(op.get_bind()).add(Order(id=1))", Severity.ERROR),
        ("from shop.db import orders", "op.execute(sa.delete(orders))", Severity.ERROR),
        ("from shop.models import State", 'sa.Column("b", sa.Enum(*[it.value for it in State]))', Severity.ERROR),
        ("from shop.models import Order", 'op.drop_column(Order.__tablename__, "b")', Severity.WARNING),
        ("from shop import tools", 'tools.column_exists(op.get_bind(), "a", "b")', Severity.WARNING),
        (
            "from shop.state import DONE",
            "op.execute(sa.update(A).where(A.c.b == DONE).values(b=DONE))",
            Severity.WARNING,
        ),
        ("from shop.errors import ShopError", 'raise ShopError("no")', Severity.WARNING),
        ("from shop.config import conf", 'if conf.get("a", "b"):\n    pass', Severity.WARNING),
        ("from shop import types", 'op.add_column("a", sa.Column("b", types.GUID(16)))', Severity.WARNING),
        ("from shop.models import Order", "pass", Severity.WARNING),
        ("from migrations.tools import fill", "fill()", Severity.WARNING),
    ],
)
def test_imports_of_the_application_are_as_bad_as_their_use(line: str, use: str, severity: Severity) -> None:
    (only,) = findings(use, extra=line)
    assert (only.rule, only.severity, only.location.line) == ("application-import", severity, 5)


def test_what_this_package_offers_to_revisions_may_be_imported_by_its_own() -> None:
    application = ApplicationModules(frozenset({"dormatory"}))
    assert not application.has_module("dormatory.operations")
    assert application.has_module("dormatory.models")
    assert application.has_module("dormatory")


def test_a_module_that_is_imported_several_times_is_reported_once_with_its_whole_name() -> None:
    use = "from shop.utils import tools\ntools.a()\nfrom shop.utils import tools\ntools.b()"
    (only,) = findings(use, extra="from shop.utils import tools")
    assert only.message.endswith("tools from shop.utils, which may have changed when the revision runs again: "
                                 "used in line 11 and 1 more")  # fmt: skip
    assert (only.location.line, only.object) == (5, "shop.utils")
    (whole,) = findings("shop.utils.tools.a()", extra="import shop.utils.tools")
    assert whole.object == "shop.utils.tools"


@pytest.mark.parametrize(
    "line",
    [
        "import json",
        "from sqlalchemy.dialects import postgresql",
        "from shopping import basket",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop import models",
    ],
)
def test_other_imports_are_not_reported(line: str) -> None:
    assert found_rules("pass", extra=line) == []


def test_a_module_imported_by_its_name_is_an_import() -> None:
    assert found_rules('import importlib\nimportlib.import_module("shop.models")') == ["application-import"]


@pytest.mark.parametrize(
    "imports",
    [
        "from alembic import op as o",
        "import alembic.op as o",
        "import alembic\no = alembic.op",
    ],
)
def test_aliases_are_followed(imports: str) -> None:
    (only,) = findings('o.execute("CREATE EXTENSION x")', extra=imports)
    assert only.rule == "dialect-only"


def test_a_finding_names_the_line_within_a_text() -> None:
    (only,) = findings('op.execute(\n    """\n    UPDATE a\n    SET b = \':c\'\n    """\n)')
    text = (
        revision_script('op.execute(\n    """\n    UPDATE a\n    SET b = \':c\'\n    """\n)')
        .source.decode()
        .splitlines()
    )
    assert "':c'" in text[only.location.line - 1]


def test_a_helper_is_checked_where_it_stands() -> None:
    helper = "\ndef run(sql):\n    op.execute(sql)\n"
    (only,) = findings('run("CREATE EXTENSION x")', extra=helper)
    assert (only.location.line, only.sql) == (7, "CREATE EXTENSION x")


@pytest.mark.parametrize(("backend", "expected"), [("sqlite", ["dialect-only"]), ("postgresql", [])])
def test_what_a_backend_does_not_know_matters_on_that_backend_only(backend: str, expected: list[str]) -> None:
    assert found_rules('op.execute("CREATE EXTENSION x")', backends=(backend,)) == expected


def test_notes_are_worth_knowing() -> None:
    upgrade = """
    from sqlalchemy.orm import Session
    session = Session(bind=op.get_bind())
    session.commit()
    if op.get_bind().dialect.name == "mysql":
        op.drop_table("b")
    op.create_table("a", sa.Column("b", sa.Integer, sa.ForeignKey("c.d")), sa.UniqueConstraint("b"))
    op.add_column("c", sa.Column("e", sa.Integer))
    op.execute("UPDATE c SET e = 1")
    with op.get_context().autocommit_block():
        op.create_index("i", "c", ["e"], postgresql_concurrently=True)
    """
    found = list(check_source([revision_script(upgrade)], APPLICATION))
    assert {item.severity for item in found} == {Severity.NOTE}
    assert [item.rule for item in found] == [
        "transaction-ended",
        "dead-branch",
        "unnamed-constraint",
        "schema-and-data",
        "autocommit-not-alone",
    ]


@pytest.mark.parametrize(
    ("guard", "dialects"), [('== "mysql"', "mysql"), ('in ("oracle", "mysql")', "mysql, oracle"), ("not in KNOWN", "")]
)
def test_a_branch_names_the_dialect_that_is_not_played(guard: str, dialects: str) -> None:
    upgrade = f"""
    KNOWN = ("sqlite", "postgresql", "mysql")
    if op.get_bind().dialect.name {guard}:
        op.drop_table("a")
    """
    (found,) = check_source([revision_script(upgrade)], APPLICATION)
    dialects = dialects or "another dialect"
    assert (found.object, found.message) == (dialects, f"this branch is for {dialects}, which is not played here")


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Tags", 1), ("", 1), ("Add tags", 0), ("add_tag_colours", 0), ("drop-tags.", 0), ("tags_", 1)],
)
def test_a_title_has_two_words(title: str, expected: int) -> None:
    text = revision_script("pass").source.replace(b"Do one step.", title.encode())
    found = list(check_source([Script.parse(Path("002_x.py"), text)], APPLICATION))
    assert [item.rule for item in found] == ["message-too-short"] * expected


def test_a_merge_needs_no_title() -> None:
    text = revision_script("pass").source.replace(b"Do one step.", b"merge").replace(b'"001"', b'("001", "000")')
    assert list(check_source([Script.parse(Path("002_x.py"), text)], APPLICATION)) == []


def test_a_branch_that_no_replay_took_is_reported() -> None:
    upgrade = """
    if op.get_bind().dialect.name == "postgresql":
        if sa.inspect(op.get_bind()).has_table("never"):
            op.drop_table("never")
    else:
        op.create_table("b")
    """
    line = line_of(revised := revision_script(upgrade), "    if op.get_bind()")
    found = list(
        check_source(
            [revised],
            APPLICATION,
            recordings=[recording_of_lines("postgresql", 1), recording_of_lines("sqlite", line + 4)],
        )
    )
    assert [(item.rule, item.location.line) for item in found] == [("dead-branch", line)]


@pytest.mark.parametrize("backend", ["postgresql", "sqlite"])
def test_a_branch_that_its_backend_took_or_that_was_not_played_is_not_reported(backend: str) -> None:
    revised = revision_script(GUARD + 'op.drop_table("a")')
    recording = recording_of_lines(backend, line_of(revised, "        op.drop_table"))
    assert list(check_source([revised], APPLICATION, recordings=[recording])) == []


def line_of(script: Script, begin: str) -> int:
    return next(n for n, line in enumerate(script.source.decode().splitlines(), 1) if line.startswith(begin))


def recording_of_lines(backend: str, *lines: int) -> Recording:
    """Return a recording of the revision in which these lines issued a statement each."""
    statements = tuple(Statement("SELECT 1", (), "versions/002_step.py", line, 0.0, -1) for line in lines)
    legs = tuple(Leg(direction, 0.0, statements) for direction in Direction)
    return Recording(backend, backend, (Step("002", legs, Snapshot(), Snapshot()),))


def test_our_own_history_is_clean() -> None:
    project = Project.read(ROOT / "alembic.ini")
    assert list(check_source(read_scripts(project), ApplicationModules.of(project))) == []


def test_the_application_is_every_module_next_to_the_scripts(tmp_path: Path) -> None:
    for name in ("shop/__init__.py", "src/core/__init__.py", "conf.py", "db/migrations/env.py", "alembic/env.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/db/migrations\n")
    found = ApplicationModules.of(Project.read(tmp_path / "alembic.ini"))
    assert {name for name in ("shop", "core", "conf", "alembic", "json") if found.has_module(name)} == {
        "shop",
        "core",
        "conf",
    }
    assert found.is_revision_helper("db.migrations.tools")
    assert not found.is_revision_helper("db.models")


def test_the_application_is_the_package_around_the_scripts(tmp_path: Path) -> None:
    for name in ("site/shop/__init__.py", "site/shop/alembic/__init__.py", "site/other/__init__.py", "home/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ini = tmp_path / "home" / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = {tmp_path}/site/shop/alembic\n")
    found = ApplicationModules.of(Project.read(ini))
    assert (found.has_module("shop.models"), found.has_module("other"), found.has_module("x")) == (True, False, True)
